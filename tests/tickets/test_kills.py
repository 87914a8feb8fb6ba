"""Killed or without an answer at any point, it ends with one issue in the right state."""

from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Literal

import pytest
from trunkwatch.config import TicketsSection

from tests.github.faults import Faults, Kind
from tests.github.responses import Response
from tests.tickets.builders import fixed, job
from tests.tickets.stage import Ending, Scenario, Stage, a_stage


def opens(stage: Stage) -> None:
    stage.set_status(job("a"))
    stage.deliver("a")
    stage.settle()


def is_edited(stage: Stage) -> None:
    opens(stage)
    stage.set_status(job("a", failures_in_outage=4))
    stage.settle()


def is_commented_on(stage: Stage) -> None:
    opens(stage)
    stage.set_status(job("a"), job("b"))
    stage.settle()


def is_closed(stage: Stage) -> None:
    opens(stage)
    stage.set_status(fixed("a"))
    stage.settle()


def is_reopened(stage: Stage) -> None:
    is_closed(stage)
    opens(stage)


def is_opened_anew(stage: Stage) -> None:
    is_closed(stage)
    stage.wait(100 * 3600.0)
    opens(stage)


def is_closed_by_a_person(stage: Stage) -> None:
    opens(stage)
    stage.server.issues.close_by("author-b", stage.issue)
    stage.settle()
    stage.set_status(fixed("a"))
    stage.settle()


def is_closed_by_a_person_and_reopened(stage: Stage) -> None:
    opens(stage)
    stage.server.issues.close_by("author-b", stage.issue)
    stage.settle()
    stage.set_status(job("a"), job("b"))
    stage.deliver("b")
    stage.settle()


def is_all_of_it(stage: Stage) -> None:
    is_commented_on(stage)
    stage.set_status(fixed("a"), job("b"))
    stage.settle()
    stage.set_status(fixed("a"), fixed("b"))
    stage.settle()
    opens(stage)


Vendor = Literal["github", "gitlab"]
SCENARIOS: list[tuple[Scenario, int]] = [
    (opens, 1),
    (is_edited, 1),
    (is_commented_on, 1),
    (is_closed, 1),
    (is_reopened, 1),
    (is_opened_anew, 2),
    (is_closed_by_a_person, 1),
    (is_closed_by_a_person_and_reopened, 1),
    (is_all_of_it, 1),
]
each_scenario = pytest.mark.parametrize(
    ("scenario", "issues", "vendor"),
    # The long one has every step; the others would find nothing more of GitLab.
    [*((*each, "github") for each in SCENARIOS), (is_all_of_it, 1, "gitlab")],
    ids=lambda each: getattr(each, "__name__", None),
)  # fmt: skip


def undisturbed(
    scenario: Scenario, folder: Path, config: TicketsSection | None = None
) -> tuple[list[Ending], list[str]]:
    """Return the final issues of a scenario without a kill, and the checkpoints it passes."""
    folder.mkdir()
    with a_stage(folder, config) as stage:
        scenario(stage)
        return stage.endings(), stage.passed


def folders(base: Path) -> Iterator[Path]:
    """Yield empty folders."""
    for number in count():
        folder = base / str(number)
        folder.mkdir()
        yield folder


@pytest.mark.slow
@each_scenario
def test_a_kill_at_any_point_changes_nothing(
    scenario: Scenario, issues: int, vendor: Vendor, tmp_path: Path
) -> None:
    """Killed at any step of any operation and restarted, it ends with the same issues."""
    config = TicketsSection(type=vendor)
    wanted, points = undisturbed(scenario, tmp_path / "undisturbed", config)
    assert len(wanted) == issues
    for kill_at, folder in zip(range(1, len(points) + 1), folders(tmp_path), strict=False):
        with a_stage(folder, config, kill_at=kill_at) as stage:
            scenario(stage)
            assert stage.endings() == wanted, f"killed where {points[kill_at - 1]}"


class NthWrite(Faults):
    """Makes the nth write request fail."""

    def __init__(self, kind: Kind, number: int, retry_after: int | None) -> None:
        super().__init__(retry_after=retry_after)
        self._kind = kind
        self._left = number

    def pick(self, path: str, result: Response) -> Kind | None:
        del result  # the fault does not depend on it
        if path.startswith("GET "):
            return None
        self._left -= 1
        if self._left:
            return None
        self.happened.append((self._kind, path))
        return self._kind


@pytest.mark.slow
@pytest.mark.parametrize(
    ("vendor", "kind", "late", "retry_after"),
    [
        ("github", Kind.SERVER_ERROR, False, None),
        ("github", Kind.SERVER_ERROR, True, None),
        ("github", Kind.RESET, True, None),
        ("github", Kind.TRUNCATED, True, None),
        ("github", Kind.SECONDARY_LIMIT, False, 30),
        ("github", Kind.TOO_MANY, False, None),
        ("gitlab", Kind.SERVER_ERROR, True, None),
        ("gitlab", Kind.TOO_MANY, False, 30),
    ],
)
def test_an_answer_that_is_lost_changes_nothing(
    vendor: Vendor, kind: Kind, late: bool, retry_after: int | None, tmp_path: Path
) -> None:
    """Each write of a long scenario fails once, with and without an effect."""
    config = TicketsSection(type=vendor)
    wanted, _ = undisturbed(is_all_of_it, tmp_path / "undisturbed", config)
    number = 0
    for number, folder in enumerate(folders(tmp_path), 1):
        with a_stage(folder, config) as stage:
            stage.server.issues.fail_late = late
            stage.server.faults = NthWrite(kind, number, retry_after)
            is_all_of_it(stage)
            assert stage.endings() == wanted, f"change {number}"
            if not stage.server.faults.happened:
                break
    assert number > 6


@pytest.mark.parametrize("seed", range(3))
def test_a_github_that_fails_often_changes_nothing(seed: int, tmp_path: Path) -> None:
    """A third of all requests fail, and the final issue is right."""
    kinds = (Kind.SERVER_ERROR, Kind.BAD_GATEWAY, Kind.RESET, Kind.TRUNCATED, Kind.TOO_MANY)
    with a_stage(tmp_path) as stage:
        stage.server.faults = Faults(0.3, seed, kinds, retry_after=5)
        stage.server.issues.fail_late = bool(seed % 2)
        for jobs in ([job("a")], [job("a"), job("b")], [fixed("a"), fixed("b")], [job("a")]):
            stage.set_status(*jobs)
            stage.deliver("a")
            for _ in range(8):
                stage.round()
                stage.wait(1000.0)
        assert len(stage.server.faults.happened) > 3
        assert stage.issue.state == "open"
        heads = [comment.body.splitlines()[1] for comment in stage.issue.comments]
        assert [head[:12] for head in heads] == ["**Broken now", "**Fixed: no ", "**Broken aga"]


def test_lists_that_are_behind_do_not_make_a_second_issue(tmp_path: Path) -> None:
    """A new issue that GitHub does not list for half a minute is not created again."""
    for kill_at in range(1, 6):
        folder = tmp_path / str(kill_at)
        folder.mkdir()
        with a_stage(folder, kill_at=kill_at) as stage:
            stage.server.issues.list_lag = 25.0
            stage.set_status(job("a"))
            stage.deliver("a")
            for _ in range(20):
                stage.round()
                stage.wait(5.0)
            assert stage.issue.state == "open"
