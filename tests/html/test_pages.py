"""The pages, read without a browser."""

import re
from dataclasses import replace
from typing import Any

import pytest
from trunkwatch.addresses import job_path, outage_path
from trunkwatch.domain.blame import Blame
from trunkwatch.domain.groups import Group, Match
from trunkwatch.domain.model import RawJob, TrunkOrder, WorkflowState
from trunkwatch.domain.outage import Thresholds
from trunkwatch.domain.policy import KnownBroken, Policy
from trunkwatch.domain.suspects import ChangedFiles, Span
from trunkwatch.engine.snapshot import Snapshot, TrunkSource
from trunkwatch.html.filters import Choice
from trunkwatch.html.pages import HtmlPages
from trunkwatch.html.runbooks import names
from trunkwatch.patterns import Pattern
from trunkwatch.report.document import document

from tests.domain.builders import NOW, TRUNK, evaluate, evaluate_histories, history, row
from tests.html.reading import Page, job_page, landing, scene, text_of, trunk_page
from tests.report.sample import SOURCE, hostile, printed, snapshot
from tests.vectors.notation import sha_of

WELL = replace(evaluate_histories({"job": "P"}), data_at=NOW - 60)
STATE = snapshot().trunks[0]
JOBS = {job.key.job_name: job for job in STATE.jobs}

# ---------------------------------------------------------------------- the landing page


def test_the_headline_counts_broken_jobs() -> None:
    """The number of broken jobs leads, and a trunk's row has its worst job and its age."""
    page = landing(snapshot())
    assert page.text.startswith("1 job is broken · Trunkwatch")
    row_of_trunk = "o/r main ✗ 1 job is broken, 1 more is known broken ci / a / broken 3 h ago"
    assert row_of_trunk in page.text
    assert "4 jobs data read 60 s ago" in page.text
    assert {"/trunk/o/r/main", job_path(JOBS["a / broken"].key)} <= set(page.links)


def test_the_worst_trunk_leads() -> None:
    """Broken trunks come before those with old data, and these before those that are well."""
    broken = evaluate_histories({"a": "P F F F", "b": "P F F F"})
    named = [
        replace(each, order=replace(each.order, trunk=TRUNK._replace(branch=branch)), data_at=at)
        for each, branch, at in (
            (WELL, "well", NOW), (WELL, "old", NOW - 3600), (broken, "red", NOW - 60),
        )
    ]  # fmt: skip
    text = landing(replace(snapshot(), trunks=tuple(named))).text
    assert "2 jobs are broken on 1 trunk; the data of 1 trunk cannot be relied on" in text
    assert text.index("o/r red") < text.index("o/r old") < text.index("o/r well")
    assert "o/r old ? Whether a job is broken is unknown" in text
    assert "o/r well ✓ Nothing is broken" in text


def test_the_order_of_jobs_is_the_same_everywhere() -> None:
    """`check`, the JSON object and the page list broken jobs by priority and age, then the rest."""
    names = {"P1": "a", "P2": "[cde]", "P3": "[bf]"}
    policy = Policy(
        groups=tuple(
            Group(name, "team", name, Thresholds(3), match=Match(job_name=Pattern(f"job-{jobs}")))
            for name, jobs in names.items()
        ),
        known_broken=(KnownBroken(Match(job_name=Pattern("job-f")), "no runner"),),
    )
    texts = {
        "job-f": "F F F F F F", "job-e": "P P F F F F", "job-d": "P F F F F F",
        "job-c": "P P P F F F", "job-b": "P P P P P F", "job-a": "P P P F F F",
    }  # fmt: skip
    state = replace(evaluate_histories(texts, policy), data_at=NOW - 60)
    shown = Snapshot(NOW, (state,), (SOURCE,), complete=True)
    listed = [job["job_name"] for job in document(shown, {}, NOW)["jobs"]]
    assert listed == ["job-a", "job-d", "job-e", "job-c", "job-f", "job-b"]
    for text in (printed(shown), trunk_page(state).text):
        assert list(dict.fromkeys(re.findall(r"\bjob-.", text))) == listed


def test_known_broken_jobs_alone_are_not_well() -> None:
    """If only known-broken jobs are broken, that is the headline, and nothing is green."""
    exempt = replace(STATE, jobs=(JOBS["d / exempt"],))
    for page in (landing(Snapshot(NOW, (exempt,), complete=True)), trunk_page(exempt)):
        assert "1 job is known broken, no other job is broken" in page.text
        assert "✓ Nothing" not in page.text


def test_nothing_was_read() -> None:
    """Without any trunk the page does not call anything well."""
    text = landing(Snapshot(NOW)).text
    assert "? Nothing has been read yet" in text
    assert "✓" not in text


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({}, "✓ up 60 s ago none"),
        ({"answered": False, "up": False, "last_success": None}, "? being read for the first time"),
        ({"up": False, "problem": "refused"}, "✗ failing 60 s ago refused"),
        ({"up": False, "last_success": None, "problem": "refused"}, "✗ failing never refused"),
        ({"last_success": NOW - 3600}, "? stale 60 min ago"),
        ({"limitations": {"checks": "no <x>"}}, "source ci: limited (checks): no <x>"),
        ({"dropped": {"bad_time": 2}}, "source ci: 2 rows cannot be used: 2 bad time"),
    ],
)
def test_sources_and_their_problems(changes: dict[str, Any], words: str) -> None:
    """A source is up, failing, stale or still being read, in words and not by colour alone."""
    assert words in landing(snapshot(replace(SOURCE, **changes))).text


UNRELIABLE = [
    ({"data_at": NOW - 600}, "stale: data read 10 min ago"),
    ({"data_at": None}, "never read"),
    ({"missing": 25}, "doubtful: the newest 25 commits lack results"),
    ({"missing": 1}, "doubtful: the newest 1 commit lack results"),
    ({"jobs": (), "groups": ()}, "Nothing to watch"),
    ({"sources": (TrunkSource("ci", False, NOW, 5.0, "<empty>"),)}, "not read: <empty>"),
]


@pytest.mark.parametrize(("changes", "words"), UNRELIABLE)
def test_nothing_is_well_on_data_that_cannot_be_relied_on(
    changes: dict[str, Any], words: str
) -> None:
    """Old, doubtful or missing data stand in the headline, and no sign is green on either page."""
    state = replace(WELL, **changes)
    for page in (landing(Snapshot(NOW, (state,), complete=True)), trunk_page(state)):
        assert words in page.text
        assert "Whether a job is broken is unknown" in page.text
        assert "✓" not in page.text
    if state.jobs:
        assert "✓" not in job_page(state, "job").text


# ---------------------------------------------------------------------- the grid


def test_the_facts_of_a_broken_job_lead() -> None:
    """Above the grid stand when it broke, its first bad commit with author, and its suspects."""
    page = trunk_page(STATE)
    for words in (
        "Occurred at 3 h ago 2026-03-01 09:16 UTC",
        "Failures 3 in a row",
        f"First bad {sha_of(3)[:10]} change 3 author-3",
        f"Last good {sha_of(1)[:10]} change 1 author-1",
        "Suspects 2 commits: the first bad one and 1 not tested · compare "
        f"not tested {sha_of(2)[:10]} change 2 author-2 First failing run",
        "team team-g alert firing",
        "Known broken until 2026-03-02T12:00:00Z: no runner",
    ):
        assert words in page.text
    assert f"https://git.example/compare/{sha_of(1)}...{sha_of(3)}" in page.links
    assert "https://ci.example/401/1/1" in page.links


def test_many_suspects_and_running_commits_are_counted() -> None:
    """Of many suspects the newest three are named, and commits that are running are counted."""
    text = trunk_page(evaluate_histories({"job": "P . . . . F F F ? ?"})).text
    assert "Failures 3 in a row, 2 commits running or queued" in text
    assert "5 commits: the first bad one and 4 not tested" in text
    assert "change 4 author-4" in text
    assert "change 2 author-2 and 1 more commit First failing run" in text


def test_cells_have_their_place_in_the_outage() -> None:
    """The newest commit is left; the outage, its ends and its suspects are marked."""
    state = evaluate_histories({"job": "P P . F F F K ?"})
    (cells,) = (row for row in trunk_page(state).cells if row)
    assert cells == ["R o e n", "K o n", "F o", "F o", "F o b s", "s z u", "P g n", "P"]


def test_words_tell_what_the_marks_show() -> None:
    """Who hears the page instead of seeing it learns the same of the marked cells."""
    page = trunk_page(evaluate_histories({"job": "P . F F F"}))
    assert page.labels[-3:] == [
        "F, failed, first bad, suspect",
        "., did not run, suspect, not tested",
        "P, passed, last good",
    ]


@pytest.mark.parametrize(
    ("text", "cells"),
    [
        ("P F F F P P", ["P", "P", "F o e", "F o", "F o b s z n", "P g n"]),
        ("P K F F F P P", ["P", "P", "F o e", "F o", "F o b", "K", "P"]),
        ("P P F F", ["F", "F b s z n", "P g n", "P"]),
        ("P s - ? K P", ["P", "K", "R", "C", "S", "P"]),
        ("P . . P P P", ["P", "P", "P", "", "", "P"]),
    ],
    ids=["closed outage", "closed outage after a flake", "streak", "each letter", "not run"],
)
def test_the_letters_of_a_history(text: str, cells: list[str]) -> None:
    """A closed outage stays outlined, a streak has its first bad, and each verdict its letter."""
    state = evaluate_histories({"job": text})
    (found,) = (row for row in trunk_page(state).cells if row)
    assert found == cells


def test_broken_groups_lead() -> None:
    """Groups are in the order of their worst job, jobs broken first, then failing ones."""
    text = trunk_page(STATE).text
    order = ["g P2 team team-g", "a / broken", "b / failing", "default P3 team trunk", "d / exempt"]
    begin = text.index("Job author")
    places = [text.index(words, begin) for words in order]
    assert places == sorted(places)
    assert "team-g · ✗ alert firing , 1 job is broken" in text
    assert "team trunk · ✓ no alert" in text


@pytest.mark.parametrize(
    ("choice", "jobs"),
    [
        (Choice(), "abcd"),
        (Choice(team="team-g"), "ab"),
        (Choice(group="default"), "cd"),
        (Choice(state="broken"), "ad"),
        (Choice(state="failing"), "abd"),
        (Choice(state="known"), "d"),
        (Choice(state="pending"), ""),
        (Choice(text="WELL"), "c"),
        (Choice(team="team-g", text="fail"), "b"),
        (Choice(page=2), ""),
    ],
)
def test_filters(choice: Choice, jobs: str) -> None:
    """Rows are chosen by team, group, state and text; the form shows the choice."""
    page = trunk_page(STATE, choice)
    assert len([row for row in page.cells if row]) == len(jobs)
    assert f"{len(jobs)} job" in page.text or choice.page == 2
    assert ("Show all" in page.text) is choice.is_filtered


def test_many_jobs_have_pages() -> None:
    """Five hundred rows are on a page, with links to the others that keep the filters."""
    (job,) = WELL.jobs
    many = tuple(replace(job, key=job.key._replace(job_name=f"j{n:04}")) for n in range(1001))
    page = trunk_page(replace(WELL, jobs=many), Choice(team="trunk", page=2))
    assert len([row for row in page.cells if row]) == 500
    assert "page 2 of 3" in page.text
    assert {"?team=trunk", "?team=trunk&page=3"} <= set(page.links)


def test_jobs_that_never_alert_are_listed() -> None:
    """A job that is flaky on most commits, and failures that pushes hide, are named."""
    nights = [row(n, "job", "failure", event="schedule", run_id=90 + n) for n in range(3)]
    hidden = evaluate_histories({"job": "P P P"}, extra=nights)
    assert "ci / job: its last 3 schedule runs failed" in trunk_page(hidden).text
    flaky = trunk_page(evaluate_histories({"job": " ".join("K" * 11 + "P" * 9)})).text
    assert "ci / job: flaky on most of its last 20 commits" in flaky
    assert "mostly flaky" in flaky
    assert "Never alert" not in trunk_page(STATE).text


def test_notes_of_a_trunk() -> None:
    """A disabled workflow is named, and mass breakage is the headline."""
    states = {"night<ly": WorkflowState.INACTIVE}
    trunk = replace(evaluate_histories({"a": "P F"}), workflow_states=states)
    assert "The workflow night<ly was disabled by its CI" in trunk_page(trunk).text
    mass = evaluate_histories(dict.fromkeys("abcd", "P F"))
    assert "One commit broke most of the jobs: 0 jobs are broken" in trunk_page(mass).text
    empty = evaluate([], TrunkOrder(TRUNK, ()))
    assert "0 commits" in trunk_page(empty).text


# ---------------------------------------------------------------------- jobs


def test_a_job_page_has_what_a_person_needs() -> None:
    """What broke, since when, the suspects by name, the attempts, the team and the runbook."""
    rows = history("P P . F F F", "a / broken", failed_step="Test", annotations=("boom <b>",))
    page = job_page(STATE, "a / broken", rows)
    for words in (
        "✗ Broken: 3 in a row",
        "2 suspects",
        f"{sha_of(3)[:10]} change 3 author-3 F first bad",
        f"{sha_of(2)[:10]} change 2 author-2 ? not tested",
        "Every attempt at the newest 5 commits",
        "failure at the step Test, after",
        "boom <b>",
        "still open 3",
    ):
        assert words in page.text
    assert {"/runbooks/TrunkJobBroken", "/trunk/o/r/main"} <= set(page.links)
    # Once each.
    compared = f"https://git.example/compare/{sha_of(1)}...{sha_of(3)}"
    assert (page.text.count("team-g"), page.links.count(compared)) == (1, 1)
    assert outage_path(JOBS["a / broken"].key, sha_of(3)) in page.links


def test_suspects_are_listed_by_evidence() -> None:
    """The job's page and the card put the suspect with evidence first, with the reason."""
    state = evaluate_histories({"job": "P . . F F F"})
    named = ChangedFiles((".github/<b>.yml",), is_complete=True)
    other = ChangedFiles(("README.md",), is_complete=True)
    jobs = tuple(replace(job, blame=with_workflow(job.blame)) for job in state.jobs)
    files = {Span(sha_of(1)): named, Span(sha_of(2)): other}
    state = replace(state, jobs=jobs, files=files)
    text = job_page(state, "job", history("P . . F F F")).text
    assert (
        f"{sha_of(3)[:10]} change 3 author-3 F first bad"
        f" {sha_of(1)[:10]} change 1 author-1 ? not tested"
        " changes .github/<b>.yml, which configures CI"
        f" {sha_of(2)[:10]} change 2 author-2 ? not tested changes no file"
    ) in text
    card = trunk_page(state).text
    assert card.index("change 1 author-1") < card.index("change 2 author-2")


def with_workflow(blame: Blame | None) -> Blame | None:
    """Return a blame of which the first failing run is of a workflow of GitHub."""
    if blame is None:
        return None
    raw = RawJob("ci", ".github/workflows/ci.yml", "job")
    return replace(blame, run=blame.run.changed(job=raw))


def test_shards_are_named_by_their_difference() -> None:
    """Attempts of a folded job show the part of the name in which its shards differ."""
    rows = history("P|F", "job")
    page = job_page(evaluate_histories({"job": "P"}), "job", rows)
    assert "failure shard 2, after 5 min success shard 1, after 5 min" in page.text


def test_an_outage_has_a_page() -> None:
    """An outage is found by its first bad commit, open or closed; another commit is none."""
    state = evaluate_histories({"job": "P F F F P F"})
    rows = history("P F F F P F", failed_step="Test")
    page = job_page(state, "job", rows, first_bad=sha_of(1))
    assert f"The outage that began at {sha_of(1)[:10]} First bad" in page.text
    assert f"Closed by {sha_of(4)[:10]} change 4 author-4 Failures 3" in page.text
    assert f"Suspects {sha_of(1)[:10]} change 1 author-1" in page.text
    assert "Runs at first bad failure at the step Test" in page.text
    assert f"{sha_of(4)[:10]} change 4 author-4 3" in page.text
    shown = Snapshot(NOW, (state,), (), complete=True)
    assert HtmlPages("1").job(scene(shown), state, state.jobs[0], sha_of(2)) is None


def test_rows_that_cannot_be_read_now() -> None:
    """While the store is busy the page has everything else, and is not kept."""
    shown = snapshot()
    pages, busy = HtmlPages("1"), replace(scene(shown), columns=lambda *_: None)
    text = text_of(pages.job(busy, STATE, JOBS["a / broken"]))
    assert "load the page again" in text
    assert "load the page again" not in text_of(pages.job(scene(shown), STATE, JOBS["a / broken"]))


# ---------------------------------------------------------------------- hostile text

HOSTILE = [
    "<script>alert(1)</script>",
    '"><svg onload=alert(1)>',
    "' onmouseover='alert(1)",
    "</title></style><script>alert(1)</script>",
    "javascript:alert(1)",
    " https://x",
    "//evil.example",
    "data:text/html,x",
    "x" * 10_000,
    "\u202egnp.exe",
    "a\x00\x1b[31m",
    "{{ 7*7 }}{% raw %}",
    "<!--grid-->",
]


def every_page(shown: Snapshot) -> list[Page]:
    """Return each kind of page over a snapshot."""
    (state,) = shown.trunks
    (job,) = state.jobs
    pages, at = HtmlPages("1.2.3"), scene(shown)
    found = [
        pages.landing(at),
        pages.trunk(at, state, Choice()),
        pages.job(at, state, job),
        pages.message("x", "y", [("/", job.key.job_name)]),
    ]
    return [Page(text_of(page)) for page in found]


@pytest.mark.parametrize("text", HOSTILE, ids=lambda text: ascii(text)[:24])
def test_text_of_ci_is_only_text(text: str) -> None:
    """Names, titles, authors, steps, addresses and messages add no element, attribute or link."""
    clean = every_page(hostile("plain"))
    for page, plain in zip(every_page(hostile(text)), clean, strict=True):
        assert page.elements <= plain.elements
        assert page.attributes <= plain.attributes
        local = [link for link in page.links if not link.startswith("https://git.example/")]
        assert all(link.startswith(("/", "?", "#")) and not link.startswith("//") for link in local)
        assert not {"\x00", "\x1b", "\u202e"} & set(page.text)
    assert "<script>" not in page.text or text in page.text


@pytest.mark.parametrize("url", ["javascript:alert(1)", "//x", " https://x"])
def test_only_web_addresses_become_links(url: str) -> None:
    """The address of a comparison is a link only if it is a web page's."""
    shown = snapshot()
    at = replace(scene(shown), compare_urls={TRUNK: url})
    page = Page(text_of(HtmlPages("1").trunk(at, STATE, Choice())))
    assert url not in page.links


# ---------------------------------------------------------------------- keeping


def test_a_page_is_kept_while_nothing_changes() -> None:
    """The same state gives the same page until an age changes; a change gives another tag."""
    pages, shown = HtmlPages("1"), snapshot()
    first = pages.trunk(scene(shown), STATE, Choice())
    assert pages.trunk(scene(shown, now=NOW), STATE, Choice()) is first
    later = pages.trunk(scene(shown, now=NOW + 60), STATE, Choice())
    assert later.etag != first.etag
    assert b"".join(later.zipped().parts)[:2] == b"\x1f\x8b"
    assert pages.trunk(scene(shown), STATE, Choice(text="a")).etag != first.etag


# ---------------------------------------------------------------------- runbooks


@pytest.mark.parametrize("name", names())
def test_each_runbook_is_served(name: str) -> None:
    """Every runbook is a page whose links lead to other runbooks."""
    page = Page(text_of(HtmlPages("1").runbook(name)))
    assert name in page.text
    assert "Mitigation" in page.text
    inside = {link for link in page.links if "unbooks" in link or ".md" in link}
    assert inside <= {f"/runbooks/{other}" for other in names()}


@pytest.mark.parametrize("name", ["", "Nothing", "../pages", "TrunkJobBroken.md", "trunkjobbroken"])
def test_there_is_no_other_runbook(name: str) -> None:
    """A name that no alert has is no file."""
    assert HtmlPages("1").runbook(name) is None
