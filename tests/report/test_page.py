"""The landing page."""

from dataclasses import replace
from html.parser import HTMLParser
from typing import Any

import pytest
from trunkwatch.domain.groups import Match
from trunkwatch.domain.model import TrunkOrder, WorkflowState
from trunkwatch.domain.policy import Policy
from trunkwatch.engine.snapshot import Snapshot, TrunkSource
from trunkwatch.report.page import landing_page

from tests.domain.builders import NOW, TRUNK, evaluate, evaluate_histories, row
from tests.report.sample import COMPARE, POLICY, SOURCE, hostile, snapshot
from tests.vectors.notation import sha_of

WELL = replace(evaluate_histories({"job": "P"}), data_at=NOW - 60)


class Read(HTMLParser):
    """What a browser would make of a page: its links, its elements and its words."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.links: list[str] = []
        self.elements: set[str] = set()
        self._words: list[str] = []
        self.feed(page)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self._words).split())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.add(tag)
        self.links += [value or "" for name, value in attrs if name == "href"]

    def handle_data(self, data: str) -> None:
        self._words.append(data)


def page(shown: Snapshot | None = None, now: float = NOW) -> Read:
    return Read(landing_page(shown or snapshot(), COMPARE, "1.2.3", now))


def test_it_says_what_is_broken() -> None:
    """The page leads with how many jobs are broken, and how old the data is."""
    text = page().text
    assert "o/r main ✗ 2 broken. 4 jobs, tip" in text
    assert "data 60 s ago" in text
    assert text.index("Broken Group") < text.index("Failing, not yet broken")


def test_it_names_the_commits() -> None:
    """A broken job's row has both ends, the title and the author of first bad, and its suspects."""
    text = page().text
    assert f"{sha_of(3)[:10]} change 3 author-3 {sha_of(1)[:10]} 2 commits" in text


def test_it_links_to_the_log_and_the_comparison() -> None:
    """The job links to its failing run, the suspects to what changed."""
    links = page().links
    assert "https://ci.example/401/1/1" in links
    assert f"https://git.example/compare/{sha_of(1)}...{sha_of(3)}" in links


def test_it_links_to_everything_else() -> None:
    """Metrics, health and the JSON of each trunk are one step away."""
    assert {"/metrics", "/-/ready", "/-/healthy", "/api/v1/trunk/o/r/main"} <= set(page().links)


def test_known_broken_jobs_are_marked() -> None:
    """A known-broken job is listed with the end and the reason of its exemption."""
    assert "d / exempt Known broken until 2026-03-02T12:00:00Z: no runner 6" in page().text


def test_hints_stand_by_the_suspects() -> None:
    """What helps to see why a job broke stands in its row."""
    assert "2 commits 1 of 2 suspects tested 2026-03-01 09:16 UTC 3 h ago" in page().text
    policy = Policy(groups=(replace(POLICY.groups[0], name="other", match=Match()),))
    broken = evaluate_histories({"a": "P F F F"}, policy)
    apart = evaluate_histories({"b": "P F F F"})
    both = replace(broken, jobs=(*broken.jobs, *apart.jobs))
    text = page(replace(snapshot(), trunks=(both,))).text
    assert "1 commit also broken since then: ci / b" in text


def test_groups_are_listed() -> None:
    """Each group shows its team, its longest streak and whether it fires."""
    assert "g team-g P2 3 1 (fires at 1) ✗ firing" in page().text
    assert "default trunk P3 6 0 (fires at 1) ✓ quiet" in page().text


def test_it_says_that_all_is_well() -> None:
    """Where nothing is broken the page states it in words."""
    text = page(replace(snapshot(), trunks=(WELL,))).text
    assert "✓ Nothing is broken." in text
    assert "✓ quiet" in text


@pytest.mark.parametrize(
    ("changes", "note"),
    [
        ({"data_at": NOW - 600}, "Stale: the results were read up to 10 min ago."),
        ({"data_at": None}, "data never"),
        ({"missing": 25}, "Doubtful: 25 newer commits have no run that counts although"),
        ({"jobs": (), "groups": ()}, "Nothing to watch"),
        (
            {"sources": (TrunkSource("ci", False, NOW, 5.0, "<empty>"),)},
            "not read: <empty>",
        ),
    ],
)
def test_what_cannot_be_relied_on_is_never_well(changes: dict[str, Any], note: str) -> None:
    """Old, doubtful or missing data are shown, and nothing is green."""
    text = page(replace(snapshot(), trunks=(replace(WELL, **changes),))).text
    assert note in text
    assert "? Whether something is broken is unknown." in text
    assert "✓" not in text.replace("✓ up", "")


def test_limits_of_a_source_stand_in_its_row() -> None:
    """What its credentials do not allow, and rows that cannot be used, are shown."""
    source = replace(SOURCE, limitations={"checks": "no <steps>"}, dropped={"bad_time": 2})
    text = page(snapshot(source)).text
    assert "source ci: limited (checks): no <steps>" in text
    assert "source ci: 2 rows cannot be used: 2 bad time" in text


def test_a_workflow_that_was_disabled_for_inactivity_is_named() -> None:
    """Its jobs do not run, which no result shows; one that a person disabled is no news."""
    states = {"night<ly": WorkflowState.INACTIVE, "other": WorkflowState.DISABLED}
    trunk = replace(evaluate_histories({"a": "P F"}), workflow_states=states)
    found = page(replace(snapshot(), trunks=(trunk,)))
    assert "The workflow night<ly was disabled by its CI for inactivity" in found.text
    assert "other" not in found.text


def test_mass_breakage_leads() -> None:
    """When one commit broke most jobs that is the headline."""
    all_broke = replace(snapshot(), trunks=(evaluate_histories(dict.fromkeys("abcd", "P F")),))
    assert "✗ One commit broke most of the jobs." in page(all_broke).text


def test_it_says_that_nothing_was_read() -> None:
    """Without any trunk the page states that no result has been read."""
    assert "Nothing has been read yet." in page(Snapshot(NOW)).text


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({}, "✓ up 60 s ago"),
        ({"answered": False, "up": False, "last_success": None}, "… being read for the first time"),
        ({"up": False, "problem": "refused"}, "✗ failing 60 s ago refused"),
        ({"up": False, "last_success": None, "problem": "refused"}, "✗ failing never refused"),
        ({"last_success": NOW - 3600}, "! stale 60 min ago"),
    ],
)
def test_sources_say_how_they_are(changes: dict[str, object], words: str) -> None:
    """A source is up, failing, stale or still being read, in words and not by colour alone."""
    source = replace(SOURCE, **changes)  # type: ignore[arg-type]  # any of its fields
    assert f"ci {words}" in page(snapshot(source)).text


def test_staleness_is_of_now() -> None:
    """A page that is asked for later shows the same snapshot as older."""
    assert "data 60 min ago" in page(now=NOW + 3540).text


def test_a_flake_does_not_hide_the_failures() -> None:
    """While a flake ends the streak, a broken job's row shows the failures of its outage."""
    flaked = replace(snapshot(), trunks=(evaluate_histories({"job": "P F F F K"}),))
    assert f"ci / job 3 failures since 2026-03-01 08:16 UTC {sha_of(1)[:10]}" in page(flaked).text


def test_a_trunk_without_commits() -> None:
    """A trunk without commits has no tip."""
    empty = evaluate([], TrunkOrder(snapshot().trunks[0].trunk, ()))
    assert "tip unknown" in page(replace(snapshot(), trunks=(empty,))).text


def test_texts_of_ci_are_no_html() -> None:
    """Names, titles, authors, steps and problems cannot add an element to the page."""
    found = page(hostile("<script>alert('x')</script><img src=x onerror=y>"))
    assert not {"script", "img"} & found.elements
    assert "<script>alert('x')</script>" in found.text


@pytest.mark.parametrize("url", ["javascript:alert(1)", "data:text/html,x", "//x", " https://x"])
def test_only_web_addresses_become_links(url: str) -> None:
    """An address, of a log or of a comparison, is a link only when it is a web page's."""
    assert url not in page(hostile(url)).links
    compared = landing_page(snapshot(), {TRUNK: url}, "1.2.3", NOW)
    assert url not in Read(compared).links


def test_failures_that_pushes_hide_are_shown() -> None:
    """Red scheduled runs of a job that green pushes hide are a line with job and event."""
    nights = [row(n, "job", "failure", event="schedule", run_id=90 + n) for n in range(3)]
    hidden = evaluate_histories({"job": "P P P"}, extra=nights)
    assert "ci / job: its last 3 schedule runs failed" in page(Snapshot(NOW, (hidden,))).text
    assert "runs failed" not in page().text
