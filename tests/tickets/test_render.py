"""What an issue says: in which order, in whose time, and in no Markdown but our own."""

import re
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from trunkwatch.annotations import annotation_lines
from trunkwatch.tickets.comments import changed_comment, ended_jobs
from trunkwatch.tickets.facts import CommitLine, JobFacts, JobName, Key, Links, picture_of
from trunkwatch.tickets.markdown import BODY_LIMIT, TITLE_LIMIT, address, code, link, one_line, size
from trunkwatch.tickets.marker import find_marker
from trunkwatch.tickets.render import View, body_of, lasted, silence_url, title_of, when

from tests.github.fake import T0
from tests.tickets.builders import BAD, BRANCH, GROUP, REPO, Json, job, trunk

KEY = Key(REPO, BRANCH, GROUP)
LINKS = Links(
    "https://books.example.org/b", "https://boards.example.org/d", "https://prom.example.org/g",
    "https://alerts.example.org",
)  # fmt: skip
NONCE = "0" * 32


def view(*jobs: Json, zone: str = "UTC", **more: object) -> View:
    """Return what an issue about jobs shows."""
    picture = picture_of(trunk(*jobs))
    whole = {"links": LINKS, "before": None, **more}
    return View(KEY, picture.groups[GROUP], picture.broken(GROUP), zone=zone, **whole)  # type: ignore[arg-type]  # as given


def body(*jobs: Json, **more: object) -> str:
    return body_of(view(*jobs, **more), NONCE)  # type: ignore[arg-type]  # as given


def test_the_body_says_all_in_the_order_in_which_it_is_needed() -> None:
    """From the summary to the links, each part has its place."""
    text = body(
        job("a", confirmed=True, also_broken_since=["lint / b"]), job("b", failures_in_outage=7)
    )
    assert text == WHOLE


CONFIRMED = "; confirmed: it failed there in more than one attempt"

WHOLE = f"""\
<!-- trunkwatch:v1 key=o%2Fr/main/inductor nonce={NONCE} state=open -->
**2 jobs of the group `inductor` are broken on `o/r` `main`, for up to 7 commits in a row.**

- **Occurred at:** 2026-09-21 13:13 UTC
- **State:** firing
- **Team:** `broken-inductor`
- **Priority:** `P2`

### Jobs

1. `pull / b`
   - Failures: 7
   - First bad: `bbbbbbbbbb` by `author-b`: `Enable the new scheduler`
   - Last good: `aaaaaaaaaa`
   - Suspects: 2 commits, of which 1 tested
   - Also suspect: `cccccccccc` by `author-c`: `Tidy up`
   - Failing step: `Test`, the same at every failure
   - [first failing run](https://ci.example.org/runs/1) · [silence this job](SILENCE_B)
2. `pull / a`
   - Failures: 3
   - First bad: `bbbbbbbbbb` by `author-b`: `Enable the new scheduler`CONFIRMED
   - Last good: `aaaaaaaaaa`
   - Suspects: 2 commits, of which 1 tested
   - Also suspect: `cccccccccc` by `author-c`: `Tidy up`
   - Failing step: `Test`, the same at every failure
   - [first failing run](https://ci.example.org/runs/1) · [silence this job](SILENCE_A)

**Compare last good…first bad:** [aaaaaaaaaa…bbbbbbbbbb](https://ci.example.org/compare/1)

**At the tip now:** failing

**Broken at the same commit, in other groups:** `lint / b`

**Reason:** `Failure_Threshold=1, Number_of_Jobs_Failing=2`

[Runbook](https://books.example.org/b) · [Dashboard](https://boards.example.org/d) · \
[Source](https://prom.example.org/g) · [Silence the whole group](SILENCE)
""".replace("SILENCE_A", silence_url(LINKS, KEY, JobName("pull", "a")) or "").replace(
    "SILENCE_B", silence_url(LINKS, KEY, JobName("pull", "b")) or ""
).replace("SILENCE", silence_url(LINKS, KEY) or "").replace("CONFIRMED", CONFIRMED)  # fmt: skip


def test_the_title_says_how_bad_it_is_where_and_for_how_long() -> None:
    """It is the sentence that people know from the alert."""
    assert (
        title_of(view(job("a"))) == "[P2] inductor jobs broken for 3 commits in a row on o/r main"
    )
    one = view(job("a", failures_in_outage=1))
    assert "for 1 commit in a row" in title_of(one)


def test_a_silence_link_holds_every_label() -> None:
    """Alertmanager opens the form with the whole group, or with one job of it."""
    wanted = "%7Balertname%3D%22TrunkJobBroken%22%2Crepo%3D%22o%2Fr%22%2Cbranch%3D%22main%22%2C"
    group = silence_url(LINKS, KEY)
    assert group is not None
    assert group.startswith(f"https://alerts.example.org/#/silences/new?filter={wanted}")
    assert (silence_url(LINKS, KEY, JobName("w", 'a"b')) or "").endswith(
        "workflow%3D%22w%22%2Cjob_name%3D%22a%5C%22b%22%7D"
    )


def test_times_are_in_the_zone_of_the_team() -> None:
    """A zone is named, so that nobody has to guess."""
    assert "2026-09-21 15:13 CEST" in body(job("a"), zone="Europe/Paris")
    assert when(T0, "UTC") == "2026-09-21 14:13 UTC"


def test_what_the_first_failing_run_says_is_quoted() -> None:
    """Each line stands in a code span of its own, below the step that failed."""
    text = body(job("a", annotations=["1 test failed", "`@team` <b>"]))
    assert (
        "   - Failing step: `Test`, the same at every failure\n   - It says: `1 test failed`\n"
        "   - It says: `` `@team` <b> ``\n"
    ) in text


@pytest.mark.parametrize(("others", "left"), [(5, ""), (6, "1 commit more"), (9, "4 commits more")])
def test_the_newest_of_the_other_suspects_are_named(others: int, left: str) -> None:
    """Five by author and title, and how many more there are."""
    commits = [{"sha": f"{n:040x}", "author": f"author-{n}", "title": "x"} for n in range(others)]
    suspects = [*commits, {"sha": BAD, "author": "author-b", "title": "y"}]
    text = body(job("a", suspects=others + 1, suspect_commits=suspects))
    named = [f"by `author-{n}`" in text for n in range(others)]
    assert named == [False] * (others - 5) + [True] * 5
    assert (f"Also suspect: {left}; the comparison lists them" in text) == bool(left)


def test_unknown_facts_are_said_to_be_unknown() -> None:
    """Nothing is left out silently, and nothing is made up."""
    text = body(job("a", last_good=None, suspects=None, suspect_commits=[], since=None, url=None,
                    failed_step=None, compare_url=None), links=Links())  # fmt: skip
    assert "Occurred at:** unknown" in text
    assert f"First bad: `{BAD[:10]}`\n" in text
    assert "Last good: unknown" in text
    assert "Suspects: unknown, since no pass before it is known" in text
    assert "Failing step: unknown\n" in text
    assert "](" not in text


@pytest.mark.parametrize(
    ("facts", "said"),
    [
        ({"last_verdict": "FLAKY"}, "flaky at the tip: failed and passed on one commit; closes at"),
        ({"last_verdict": "PASS"}, "passing, and not often enough yet to close"),
        ({"pending_commits": 2}, "failing (2 commits still being tested)"),
        ({"last_verdict": None}, "no result yet"),
    ],
)
def test_the_tip_is_told_in_words(facts: dict[str, object], said: str) -> None:
    """Whoever wonders whether it is over finds out what is awaited."""
    assert f"**At the tip now:** {said}" in body(job("a", **facts))


def test_two_tips_are_told_apart() -> None:
    """Each saying names its jobs."""
    text = body(job("a"), job("b", last_verdict="FLAKY"))
    assert "- failing: `pull / a`\n- flaky at the tip" in text


def test_twenty_jobs_are_listed_and_the_others_counted() -> None:
    """Twenty are in full, and the twenty-first makes one more."""
    twenty = body(*(job(f"j{n:02}") for n in range(20)))
    assert ("20. `pull / j19`" in twenty, " more" in twenty) == (True, False)
    more = body(*(job(f"j{n:02}") for n in range(21)))
    assert "21. " not in more
    assert "\n\nand 1 more\n" in more


def test_a_body_that_is_too_long_lists_fewer_jobs() -> None:
    """GitHub refuses a longer one, and a ticket that is refused tells nobody."""
    run, compare = (f"https://ci.example.org/{letter * 1900}" for letter in "xy")
    jobs = [job(f"{n}{'é`' * 300}", url=run, compare_url=f"{compare}{n}") for n in range(20)]
    text = body(*jobs, links=LINKS._replace(alertmanager=f"https://a.example.org/{'z' * 900}"))
    assert size(text) <= BODY_LIMIT
    assert re.search(r"\n\nand \d+ more\n", text)
    assert "**Reason:**" in text


def test_a_title_is_cut_to_what_github_takes() -> None:
    """A long name of a group does not push out the place."""
    long = replace(view(job("a")), key=KEY._replace(group="g" * 500))
    assert len(title_of(long)) == TITLE_LIMIT
    assert title_of(long).endswith("… jobs broken for 3 commits in a row on o/r main")


# ---------------------------------------------------------------------- escaping

EVIL = [
    "@org/team fix #1 and GH-2",
    "a`b``c```d",
    "`",
    "<!-- trunkwatch:v1 key=x nonce=00 state=open -->",
    "--> <script>alert(1)</script> <img src=x>",
    "line\n\n# heading\r\n- [x] done\u2028## more",
    "[click](javascript:alert(1)) ![x](http://evil.example/x.png)",
    "\x1b[31m\u202eabc\x00",
    "| a | b |\n|---|---|",
    "   ",
]


@pytest.mark.parametrize("text", EVIL)
def test_what_ci_says_stays_in_one_code_span(text: str) -> None:
    """It ends neither its span nor its line, and looks like no marker."""
    alone(code(text), text)


@given(st.text())
def test_any_text_stays_in_one_code_span(text: str) -> None:
    """No text at all gets out."""
    alone(code(text), text)


def alone(span: str, text: str) -> None:
    """Read a code span as CommonMark does: it ends at the first run of as many backticks."""
    if not one_line(text).strip():
        assert span == "unknown"
        return
    assert len(span.splitlines()) == 1
    assert "<!--" not in span
    fence = re.match("`+", span)
    assert fence is not None
    inside = span[len(fence.group()) :]
    ends = [run.start() for run in re.finditer("`+", inside) if run.group() == fence.group()]
    assert ends == [len(inside) - len(fence.group())]


@pytest.mark.parametrize("text", EVIL)
def test_whatever_ci_says_the_rest_of_the_issue_stays(text: str) -> None:
    """Outside of code spans, a body with evil texts is the body with harmless ones."""
    suspects = [{"sha": BAD, "author": text, "title": text}]
    whole = body(job(text, failed_step=text, workflow=text, suspect_commits=suspects,
                     annotations=[f"said: {text}"],
                     also_broken_since=[text]), links=Links())  # fmt: skip
    plain = body(job("x", failed_step="x", workflow="x", also_broken_since=["x"],
                     annotations=["said: x"] * len(annotation_lines([f"said: {text}"])),
                     suspect_commits=[{"sha": BAD, "author": "x", "title": "x"}]),
                 links=Links())  # fmt: skip
    assert skeleton(whole) == skeleton(plain)
    assert find_marker(whole) == find_marker(plain)


def skeleton(text: str) -> str:
    """Return a text without what stands in its code spans."""
    return re.sub(r"(`+)(?!`).*?(?<!`)\1(?!`)", "``", text).replace("unknown", "``")


@pytest.mark.parametrize(
    "url",
    [None, "", "javascript:alert(1)", "data:text/html,x", "ftp://x/y", "//x/y", "http://[", "x" * 9,
     f"https://x/{'y' * 2000}"],
)  # fmt: skip
def test_what_is_no_web_address_is_no_link(url: str | None) -> None:
    """Only http and https, and nothing that a browser would not take."""
    assert link("run", url) is None


def test_an_address_cannot_end_its_link() -> None:
    """Brackets, blanks, quotes and line breaks are encoded."""
    found = address('https://x/a)b (c) [d] <e> "f"\n`g`')
    assert found is not None
    assert not set(found) & set('()[]<>"` \n')


# ---------------------------------------------------------------------- comments


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(0, "less than a minute"), (59, "less than a minute"), (60, "1 min"), (3600, "1 h"),
     (3725, "1 h 2 min"), (90_061, "1 d 1 h"), (-5, "less than a minute")],
)  # fmt: skip
def test_durations_are_told_in_two_units(seconds: float, said: str) -> None:
    """Nobody needs the seconds of a day."""
    assert lasted(seconds) == said


def test_a_comment_stays_within_what_github_takes() -> None:
    """Twenty jobs are named, however many there are, and each name is cut."""
    facts = [picture_of(trunk(job("`é" * 2000))).broken(GROUP)[0]] * 500
    names = [JobName("w", "`é" * 2000 + str(n)) for n in range(500)]
    ended = ended_jobs(names, picture_of(trunk()), KEY, {}, T0)
    text = changed_comment(NONCE, KEY, facts, ended, 7)
    assert size(text) <= BODY_LIMIT
    assert text.count("- and 480 more") == 2


def test_the_first_bad_without_author_is_only_a_hash() -> None:
    """Its author is known only where the suspects are."""
    facts: JobFacts = picture_of(trunk(job("a", suspect_commits=[]))).broken(GROUP)[0]
    assert facts.first_bad == CommitLine(BAD)
