"""Each change of a group's broken jobs sends one notification, and nothing else does."""

import pytest

from tests.e2e.live import LiveStack, notification

pytestmark = pytest.mark.xdist_group("live")


def test_each_change_of_the_broken_jobs_is_one_notification(live: LiveStack) -> None:
    """Two jobs that break and are fixed one after the other send four notifications."""
    trunk = live.trunk("o/changes")
    trunk.land(a="P F F F", b="P P P P", c="P P P P")
    expected = [notification("a")]
    live.expect(trunk, expected)
    before = live.alerts(trunk)["a"]

    trunk.land(a="F F F", b="F F F", c="P P P")
    expected.append(notification("a b"))
    live.expect(trunk, expected)
    after = live.alerts(trunk)["a"]
    assert (after["fingerprint"], after["startsAt"]) == (before["fingerprint"], before["startsAt"])

    trunk.land(a="P", b="F", c="P")
    expected.append(notification("b", resolved="a"))
    live.expect(trunk, expected)

    trunk.land(a="P", b="P", c="P")
    expected.append(notification("", resolved="b"))
    live.expect(trunk, expected)
    live.expect_no_more(trunk, expected)


def test_jobs_that_break_and_are_fixed_by_one_commit_are_one_notification(live: LiveStack) -> None:
    """A commit that breaks or fixes several jobs at once sends one notification."""
    trunk = live.trunk("o/together")
    trunk.land(a="P F F F", b="P F F F", c="P P F F")
    expected = [notification("a b")]
    live.expect(trunk, expected)
    trunk.land(a="P", b="F", c="F")
    expected.append(notification("b c", resolved="a"))
    live.expect(trunk, expected)
    trunk.land(a="P", b="P", c="P")
    expected.append(notification("", resolved="b c"))
    live.expect(trunk, expected)
    live.expect_no_more(trunk, expected)


def test_changes_of_no_job_send_no_notification(live: LiveStack) -> None:
    """Further failures, a flake, an unfinished or skipped tip and a new runner send nothing."""
    trunk = live.trunk("o/quiet")
    trunk.land(a="P F F F", b="P P P P")
    expected = [notification("a")]
    live.expect(trunk, expected)
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
        live.wait_until_read()
        assert live.notifications(trunk) == expected
    trunk.finish("a", "K", "amz2023.linux.g5")
    live.wait_until_read()
    live.expect_no_more(trunk, expected)
    assert live.firing_counts(trunk) == {"a": 1}

    trunk.land(a="P", b="P")
    expected.append(notification("", resolved="a"))
    live.expect(trunk, expected)
    assert live.firing_counts(trunk) == {"a": 1}


def test_a_job_that_was_never_broken_sends_no_notification(live: LiveStack) -> None:
    """Two failures in a row, flakes between failures, and no result at all open no outage."""
    trunk = live.trunk("o/never")
    trunk.land(a="P F F P F F", b="P F K F K F", c="F F . . ? C")
    live.wait_until_read()
    live.expect_no_more(trunk, [])
    assert live.firing_counts(trunk) == {}
