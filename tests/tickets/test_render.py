"""The text of an issue: its order, its time zone, and escaped texts from outside."""

import re
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from trunkwatch.annotations import annotation_lines
from trunkwatch.report.markdown import address, code, link, one_line
from trunkwatch.status.trunk_status import CommitLine, JobName, JobStatus, parse_trunk_status
from trunkwatch.tickets.model import Links, TicketKey
from trunkwatch.tickets.text.comments import changed_comment, ended_jobs
from trunkwatch.tickets.text.issue import (
    IssueView,
    issue_body,
    issue_title,
    lasted,
    resolved_body,
    silence_url,
    when,
)
from trunkwatch.tickets.text.markdown import (
    BODY_LIMIT,
    TITLE_LIMIT,
    Marker,
    find_marker,
    quoted,
    size,
)
from trunkwatch.times import format_time

from tests.github.fake import T0
from tests.tickets.builders import BAD, BRANCH, GROUP, REPO, Json, job, trunk

KEY = TicketKey(REPO, BRANCH, GROUP)
LINKS = Links(
    "https://books.example.org/b", "https://boards.example.org/d", "https://prom.example.org/g",
    "https://alerts.example.org",
)  # fmt: skip
NONCE = "0" * 32


def view(*jobs: Json, zone: str = "UTC", **more: object) -> IssueView:
    """Return the view of an issue about jobs."""
    status = parse_trunk_status(trunk(*jobs))
    whole = {"links": LINKS, "previous_number": None, **more}
    return IssueView(KEY, status.groups[GROUP], status.broken(GROUP), zone=zone, **whole)  # type: ignore[arg-type]  # as given


def body(*jobs: Json, **more: object) -> str:
    return issue_body(view(*jobs, **more), NONCE)  # type: ignore[arg-type]  # as given


def test_the_whole_body() -> None:
    """The parts have a fixed order, from the summary to the links."""
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
   - To test next: `cccccccccc`: then one suspect is left
   - Failing step: `Test`, the same at every failure
   - [first failing run](https://ci.example.org/runs/1) · [silence this job](SILENCE_B)
2. `pull / a`
   - Failures: 3
   - First bad: `bbbbbbbbbb` by `author-b`: `Enable the new scheduler`CONFIRMED
   - Last good: `aaaaaaaaaa`
   - Suspects: 2 commits, of which 1 tested
   - Also suspect: `cccccccccc` by `author-c`: `Tidy up`
   - To test next: `cccccccccc`: then one suspect is left
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


def test_the_title_has_priority_group_streak_and_trunk() -> None:
    """The title has the wording of the alert."""
    assert (
        issue_title(view(job("a")))
        == "[P2] inductor jobs broken for 3 commits in a row on o/r main"
    )
    one = view(job("a", failures_in_outage=1))
    assert "for 1 commit in a row" in issue_title(one)


@pytest.mark.parametrize(
    ("facts", "extent"),
    [
        ({}, ": 6 failures since 2026-09-21 15:13 CEST"),
        ({"broken_since": None}, ": 6 failures"),
        (
            {"failures_in_outage": 1, "consecutive_failures": 0},
            ": 1 failure since 2026-09-21 15:13 CEST",
        ),
        ({"consecutive_failures": 6}, " for 6 commits in a row"),
    ],
)
def test_in_a_row_is_only_the_streak(facts: dict[str, object], extent: str) -> None:
    """Once a flaky commit interrupts the streak, title and summary count failures since a time."""
    shown = job("a", **{"failures_in_outage": 6, "consecutive_failures": 3, **facts})
    title = issue_title(view(shown, zone="Europe/Paris"))
    assert title == f"[P2] inductor jobs broken{extent} on o/r main"
    bounded = extent.replace(": ", " with up to ", 1).replace(" for ", " for up to ")
    assert f"`o/r` `main`,{bounded}.**" in body(shown, zone="Europe/Paris")


def test_a_silence_link_holds_every_label() -> None:
    """The matchers select the whole group, or one job of it."""
    wanted = "%7Balertname%3D%22TrunkJobBroken%22%2Crepo%3D%22o%2Fr%22%2Cbranch%3D%22main%22%2C"
    group = silence_url(LINKS, KEY)
    assert group is not None
    assert group.startswith(f"https://alerts.example.org/#/silences/new?filter={wanted}")
    assert (silence_url(LINKS, KEY, JobName("w", 'a"b')) or "").endswith(
        "workflow%3D%22w%22%2Cjob_name%3D%22a%5C%22b%22%7D"
    )


def test_the_name_of_a_trunkwatch_is_in_its_silences_and_its_marker() -> None:
    """A silence from staging does not cover production, and neither takes the other's issue."""
    text = body(job("a"), name="staging")
    assert text.count("Ctrunkwatch%3D%22staging%22%7D)") == text.count("silences/new") == 2
    assert "trunkwatch%3D" not in body(job("a"))
    for state, written in ("open", text), ("resolved", resolved(text)):
        marker = find_marker(written)
        assert marker == Marker(quoted(KEY, "staging"), NONCE, state)
        assert marker.key != quoted(KEY)


def resolved(text: str) -> str:
    return resolved_body(text, NONCE, KEY, "staging", fixed=True)


def test_times_are_in_the_zone_of_the_team() -> None:
    """Each time contains the name of its zone."""
    assert "2026-09-21 15:13 CEST" in body(job("a"), zone="Europe/Paris")
    assert when(T0, "UTC") == "2026-09-21 14:13 UTC"


def test_annotations_are_quoted() -> None:
    """Each annotation is a code span of its own, below the failing step."""
    text = body(job("a", annotations=["1 test failed", "`@team` <b>"]))
    assert (
        "   - Failing step: `Test`, the same at every failure\n   - It says: `1 test failed`\n"
        "   - It says: `` `@team` <b> ``\n"
    ) in text


@pytest.mark.parametrize(("others", "left"), [(5, ""), (6, "1 commit more"), (9, "4 commits more")])
def test_the_newest_of_the_other_suspects_are_named(others: int, left: str) -> None:
    """Five are listed with author and title, and the others are counted."""
    commits = [{"sha": f"{n:040x}", "author": f"author-{n}", "title": "x"} for n in range(others)]
    suspects = [*commits, {"sha": BAD, "author": "author-b", "title": "y"}]
    text = body(job("a", suspects=others + 1, suspect_commits=suspects))
    named = [f"by `author-{n}`" in text for n in range(others)]
    assert named == [False] * (others - 5) + [True] * 5
    assert (f"Also suspect: {left}; the comparison lists them" in text) == bool(left)


def test_the_suspects_with_evidence_are_named_first() -> None:
    """The order is that of the exporter's rank, with the reason as a code span."""
    suspects = [
        {"sha": "a" * 40, "author": "author-a", "rank": 2, "reason": "changes `x`"},
        {"sha": "c" * 40, "author": "author-c", "rank": 3, "reason": None},
        {"sha": BAD, "author": "author-b", "rank": 1, "reason": "failed there"},
    ]
    text = body(job("a", suspects=3, suspect_commits=suspects))
    assert (
        "   - Also suspect: `aaaaaaaaaa` by `author-a`; `` changes `x` ``\n"
        "   - Also suspect: `cccccccccc` by `author-c`\n"
    ) in text


def test_a_suspect_that_is_running_needs_no_test() -> None:
    """Its result comes by itself."""
    waiting = {"sha": "c" * 40, "state": "R", "results": 2}
    text = body(job("a", next_test=waiting))
    assert "   - Being tested: `cccccccccc`\n" in text
    assert "To test next" not in text


def test_questions_about_the_outage_are_named() -> None:
    """What CI was asked, and its answer; nothing of it can end the code span."""
    row = {
        "repo": "o/r", "branch": "main", "workflow": "pull", "job_name": "a", "kind": "which",
        "first_bad": BAD, "sha": "c" * 40, "state": "answered", "at": format_time(T0),
        "reason": None, "answer": "P",
    }  # fmt: skip
    odd = {**row, "kind": "real", "sha": BAD, "state": "refused", "reason": "`x`", "answer": None}
    other = {**row, "job_name": "b", "sha": "d" * 40}
    items = [row, odd, other, {"sha": 5}, None]
    status = parse_trunk_status({**trunk(job("a")), "triage": {"questions": {"items": items}}})
    (found,) = status.jobs.values()
    assert [each.sha for each in found.questions] == ["c" * 40, BAD]
    shown = replace(view(job("a")), jobs=(found,))
    text = issue_body(shown, NONCE)
    assert "   - Confirm: `asked CI to test cccccccccc: it passes`\n" in text
    assert "   - Confirm: `` does not ask CI to run first bad bbbbbbbbbb again: `x` ``" in text


def test_missing_facts_are_shown_as_unknown() -> None:
    """A missing fact is shown as unknown and not left out."""
    text = body(job("a", last_good=None, suspects=None, suspect_commits=[], broken_since=None,
                    url=None, failed_step=None, compare_url=None), links=Links())  # fmt: skip
    assert "Occurred at:** unknown" in text
    assert f"First bad: `{BAD[:10]}`\n" in text
    assert "Last good: unknown" in text
    assert "Suspects: unknown, since no pass before it is known" in text
    assert "Failing step: unknown\n" in text
    assert "](" not in text


@pytest.mark.parametrize(
    ("facts", "state"),
    [
        ({"last_verdict": "FLAKY"}, "flaky at the tip: failed and passed on one commit; closes at"),
        ({"last_verdict": "PASS"}, "passing, and not often enough yet to close"),
        ({"pending_commits": 2}, "failing (2 commits still being tested)"),
        ({"last_verdict": None}, "no result yet"),
    ],
)
def test_the_state_at_the_tip_is_shown(facts: dict[str, object], state: str) -> None:
    """The body states the last verdict, and how many commits are pending."""
    assert f"**At the tip now:** {state}" in body(job("a", **facts))


def test_different_states_at_the_tip_are_listed() -> None:
    """Each state lists its jobs."""
    text = body(job("a"), job("b", last_verdict="FLAKY"))
    assert "- failing: `pull / a`\n- flaky at the tip" in text


def test_twenty_jobs_are_listed_and_the_others_counted() -> None:
    """The twenty-first job is only counted."""
    twenty = body(*(job(f"j{n:02}") for n in range(20)))
    assert ("20. `pull / j19`" in twenty, " more" in twenty) == (True, False)
    more = body(*(job(f"j{n:02}") for n in range(21)))
    assert "21. " not in more
    assert "\n\nand 1 more\n" in more


def test_a_body_that_is_too_long_lists_fewer_jobs() -> None:
    """A body that GitHub would refuse is shortened by whole jobs."""
    run, compare = (f"https://ci.example.org/{letter * 1900}" for letter in "xy")
    jobs = [job(f"{n}{'é`' * 300}", url=run, compare_url=f"{compare}{n}") for n in range(20)]
    text = body(*jobs, links=LINKS._replace(alertmanager=f"https://a.example.org/{'z' * 900}"))
    assert size(text) <= BODY_LIMIT
    assert re.search(r"\n\nand \d+ more\n", text)
    assert "**Reason:**" in text


def test_a_title_is_cut_to_what_github_takes() -> None:
    """A long group name does not displace repository and branch."""
    long = replace(view(job("a")), key=KEY._replace(group="g" * 500))
    assert len(issue_title(long)) == TITLE_LIMIT
    assert issue_title(long).endswith("… jobs broken for 3 commits in a row on o/r main")


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
def test_a_text_from_ci_stays_in_one_code_span(text: str) -> None:
    """The text ends neither its span nor its line, and does not match a marker."""
    alone(code(text), text)


@given(st.text())
def test_any_text_stays_in_one_code_span(text: str) -> None:
    """No text can leave its code span."""
    alone(code(text), text)


def alone(span: str, text: str) -> None:
    """Assert that a span ends at its last backticks, by the rule of CommonMark."""
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
def test_a_text_from_ci_changes_nothing_outside_its_span(text: str) -> None:
    """Outside of code spans, hostile and harmless texts give the same body."""
    suspects = [{"sha": BAD, "author": text, "title": text}]
    whole = body(job(text, failed_step=text, workflow=text, suspect_commits=suspects,
                     annotations=[f"E: {text}"],
                     also_broken_since=[text]), links=Links())  # fmt: skip
    plain = body(job("x", failed_step="x", workflow="x", also_broken_since=["x"],
                     annotations=["E: x"] * len(annotation_lines([f"E: {text}"])),
                     suspect_commits=[{"sha": BAD, "author": "x", "title": "x"}]),
                 links=Links())  # fmt: skip
    assert skeleton(whole) == skeleton(plain)
    assert find_marker(whole) == find_marker(plain)


def skeleton(text: str) -> str:
    """Return a text with empty code spans."""
    return re.sub(r"(`+)(?!`).*?(?<!`)\1(?!`)", "``", text).replace("unknown", "``")


@pytest.mark.parametrize(
    "url",
    [None, "", "javascript:alert(1)", "data:text/html,x", "ftp://x/y", "//x/y", "http://[", "x" * 9,
     f"https://x/{'y' * 2000}"],
)  # fmt: skip
def test_an_invalid_url_is_no_link(url: str | None) -> None:
    """Only valid http and https URLs of limited length become links."""
    assert link("run", url) is None


def test_an_address_cannot_end_its_link() -> None:
    """Brackets, blanks, quotes and line breaks are encoded."""
    found = address('https://x/a)b (c) [d] <e> "f"\n`g`')
    assert found is not None
    assert not set(found) & set('()[]<>"` \n')


# ---------------------------------------------------------------------- comments


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "less than a minute"), (59, "less than a minute"), (60, "1 min"), (3600, "1 h"),
     (3725, "1 h 2 min"), (90_061, "1 d 1 h"), (-5, "less than a minute")],
)  # fmt: skip
def test_durations_have_two_units(seconds: float, text: str) -> None:
    """A duration is shown in its two largest units."""
    assert lasted(seconds) == text


def test_a_comment_stays_within_the_limit() -> None:
    """Twenty jobs are listed with shortened names, and the others are counted."""
    facts = [parse_trunk_status(trunk(job("`é" * 2000))).broken(GROUP)[0]] * 500
    names = [JobName("w", "`é" * 2000 + str(n)) for n in range(500)]
    ended = ended_jobs(names, parse_trunk_status(trunk()), KEY, {}, T0)
    text = changed_comment(NONCE, KEY, facts, ended, 7)
    assert size(text) <= BODY_LIMIT
    assert text.count("- and 480 more") == 2


def test_the_first_bad_without_author_is_only_a_hash() -> None:
    """Without suspects, first bad has no author and no title."""
    facts: JobStatus = parse_trunk_status(trunk(job("a", suspect_commits=[]))).broken(GROUP)[0]
    assert facts.first_bad == CommitLine(BAD)


def test_jobs_and_trunk_have_pages() -> None:
    """With the exporter's address each job links to its page, and the last line to the trunk's."""
    text = body(job("a"), external_url="https://tw.example.com")
    trunk = f"https://tw.example.com/trunk/{KEY.repo}/{KEY.branch}"
    assert f"[page]({trunk}/job/pull/a)" in text
    assert f"[Page]({trunk})" in text
