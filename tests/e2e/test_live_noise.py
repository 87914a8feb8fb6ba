"""A group is told of each change of its broken jobs, once, and of nothing else."""

import pytest

from tests.e2e.live import World, told

pytestmark = pytest.mark.xdist_group("live")


def test_each_change_of_the_broken_jobs_is_one_notification(live: World) -> None:
    """One job breaks, one more does, one is fixed, the other is fixed: four notifications."""
    trunk = live.trunk("o/changes")
    trunk.land(a="P F F F", b="P P P P", c="P P P P")
    so_far = [told("a")]
    live.hears(trunk, so_far)
    before = live.alerts(trunk)["a"]

    trunk.land(a="F F F", b="F F F", c="P P P")
    so_far.append(told("a b"))
    live.hears(trunk, so_far)
    after = live.alerts(trunk)["a"]
    assert (after["fingerprint"], after["startsAt"]) == (before["fingerprint"], before["startsAt"])

    trunk.land(a="P", b="F", c="P")
    so_far.append(told("b", ended="a"))
    live.hears(trunk, so_far)

    trunk.land(a="P", b="P", c="P")
    so_far.append(told("", ended="b"))
    live.hears(trunk, so_far)
    live.stays(trunk, so_far)


def test_jobs_that_break_and_are_fixed_by_one_commit_are_told_together(live: World) -> None:
    """One commit breaks two jobs, one fixes both, and one trades one for another: one each."""
    trunk = live.trunk("o/together")
    trunk.land(a="P F F F", b="P F F F", c="P P F F")
    so_far = [told("a b")]
    live.hears(trunk, so_far)
    trunk.land(a="P", b="F", c="F")
    so_far.append(told("b c", ended="a"))
    live.hears(trunk, so_far)
    trunk.land(a="P", b="P", c="P")
    so_far.append(told("", ended="b c"))
    live.hears(trunk, so_far)
    live.stays(trunk, so_far)


def test_what_changes_no_job_is_told_to_nobody(live: World) -> None:
    """A fourth failure, a flake, a pending, skipped or cancelled tip, a new runner: not a word."""
    trunk = live.trunk("o/quiet")
    trunk.land(a="P F F F", b="P P P P")
    so_far = [told("a")]
    live.hears(trunk, so_far)
    for letter, runner in (
        ("F", "linux.g5"),
        (".", "linux.g5"),
        ("?", "linux.g5"),
        ("C", "linux.g5"),
        ("S", "linux.g5"),
        ("K", "linux.g5"),
        ("F", "linux.12xlarge.amx"),
        ("?", "amz2023.linux.g5"),
    ):
        trunk.land(runner, a=letter, b="P")
        live.settle()
        assert live.told(trunk) == so_far
    trunk.finish("a", "K", "amz2023.linux.g5")
    live.settle()
    live.stays(trunk, so_far)
    assert live.firings(trunk) == {"a": 1}

    trunk.land(a="P", b="P")
    so_far.append(told("", ended="a"))
    live.hears(trunk, so_far)
    assert live.firings(trunk) == {"a": 1}


def test_a_job_that_was_never_broken_is_told_to_nobody(live: World) -> None:
    """Two failures in a row, flakes between failures, and no result at all open no outage."""
    trunk = live.trunk("o/never")
    trunk.land(a="P F F P F F", b="P F K F K F", c="F F . . ? C")
    live.settle()
    live.stays(trunk, [])
    assert live.firings(trunk) == {}
