"""The alerts that inhibitions silence, and those that they do not."""

import signal
from functools import partial

import pytest

from tests.e2e.live import (
    NOT_GREEN_MINUTES,
    QUIET_SECONDS,
    LiveStack,
    LiveTrunk,
    notification,
)
from tests.support.waiting import always, eventually

pytestmark = pytest.mark.xdist_group("live")

MASS = "TrunkCommitBrokeEverything"
JOBS = "a b c d e"


def all_jobs(letters: str) -> dict[str, str]:
    """Give the five jobs the same letters."""
    return dict.fromkeys(JOBS.split(), letters)


def states(live: LiveStack, trunk: LiveTrunk, alert: str = "TrunkJobBroken") -> dict[str, str]:
    """Return each job's state in Alertmanager: `active`, or `suppressed` by an inhibition."""
    return {job: held["status"]["state"] for job, held in live.alerts(trunk, alert).items()}


def test_mass_breakage_silences_the_jobs_of_its_branch_from_its_first_commit(
    live: LiveStack,
) -> None:
    """A mass breakage silences the jobs of its branch, not those of another branch."""
    main, release = live.trunk("o/mass"), live.trunk("o/mass", "release")
    main.land(**all_jobs("P"), at_once="P")
    release.land(**all_jobs("P"), at_once="P")
    live.wait_until_read()
    main.land(**all_jobs("F"), at_once="F")
    eventually(
        lambda: live.notifications(main, MASS) == [notification(MASS)], "the commit's alert is sent"
    )
    live.wait_until_read()
    assert states(live, main) == {"at_once": "suppressed"}

    main.land(**all_jobs("F F"), at_once="F F")
    release.land(a="F F F", b="P P P")
    live.expect(release, [notification("a")])
    live.wait_until_read()
    live.expect_no_more(main, [])
    assert states(live, main) == dict.fromkeys([*JOBS.split(), "at_once"], "suppressed")
    assert states(live, release) == {"a": "active"}

    main.land(**all_jobs("P"), at_once="P")
    eventually(lambda: len(live.notifications(main, MASS)) == 2, "its resolve is sent")
    assert live.notifications(main, MASS)[1] == notification("", resolved=MASS)
    live.wait_until_read()
    live.expect_no_more(main, [])
    assert live.alerts(main) == {}
    assert live.notifications(release) == [notification("a")]
    assert live.notifications(release, MASS) == []


def test_a_job_that_is_still_broken_after_the_mass_breakage_is_notified(live: LiveStack) -> None:
    """A job that is still broken once most jobs have recovered is notified once."""
    # The notification may list the others as no longer broken, but never as broken.
    trunk = live.trunk("o/rest")
    trunk.land(**all_jobs("P F F F"))
    eventually(lambda: live.notifications(trunk, MASS), "the commit's alert is sent")
    live.wait_until_read()
    live.expect_no_more(trunk, [])
    trunk.land(**{**all_jobs("P"), "e": "F"})
    eventually(lambda: live.notifications(trunk), "the job's alert is sent")
    live.expect_no_more(trunk, live.notifications(trunk)[:1])
    assert live.notifications(trunk)[0].firing == {"e"}
    trunk.land(**all_jobs("P"))
    live.expect(trunk, [*live.notifications(trunk)[:1], notification("", resolved="e")])


def test_a_fix_under_mass_breakage_is_not_notified_before_that_ends(live: LiveStack) -> None:
    """A notified job that is fixed while silenced sends nothing until the mass breakage ends."""
    # A program that keeps state, such as `trunkwatch tickets`, must therefore query Alertmanager.
    trunk = live.trunk("o/unheard")
    trunk.land(**{**all_jobs("P P P P"), "a": "P F F F"})
    live.expect(trunk, [notification("a")])
    trunk.land(**{**all_jobs("F"), "a": "F"})
    eventually(lambda: states(live, trunk) == {"a": "suppressed"}, "the job is silenced")
    trunk.land(**{**all_jobs("F"), "a": "P"})
    live.wait_until_read()
    eventually(lambda: live.alerts(trunk) == {}, "Alertmanager lacks the job")
    live.expect_no_more(trunk, [notification("a")])
    assert live.notifications(trunk, MASS) == [notification(MASS)]
    trunk.land(**all_jobs("P"))
    eventually(
        lambda: len(live.notifications(trunk, MASS)) == 2,
        "the resolve of the mass breakage is sent",
    )
    # Prometheus resends a resolved alert for 15 minutes. What Alertmanager receives while the mass
    # breakage lasts it drops; what it receives afterwards it sends, once.
    always(
        lambda: live.notifications(trunk)[1:] in ([], [notification("", resolved="a")]),
        "nothing but the end of the job's alert is sent",
        QUIET_SECONDS,
    )


def test_a_failing_source_is_one_notification_and_silences_no_broken_job(live: LiveStack) -> None:
    """A failing source silences stale data, that "not green", which is a guess, and no job."""
    trunk = live.trunk("o/stale", source="other")
    trunk.land(**all_jobs("P"))
    live.wait_until_read("other")
    trunk.land(**{**all_jobs("P F F F"), "b": "P P P P", "c": "P P P P", "d": "P P P P"})
    live.expect(trunk, [notification("a e")])
    good = trunk.file.read_text()
    trunk.file.write_text("")
    trunk.file.unlink()
    failing = partial(live.deliveries_of_alert, "TrunkwatchSourceFailing")
    eventually(failing, "TrunkwatchSourceFailing is sent")
    eventually(lambda: live.alerts(trunk, "TrunkDataStale"), "the data is stale", 30)
    assert set(states(live, trunk, "TrunkDataStale").values()) == {"suppressed"}
    assert live.notifications(trunk, "TrunkNotGreen") == []
    eventually(
        lambda: live.metric(
            f'ALERTS{{alertname="TrunkNotGreen",alertstate="firing",{trunk.selector}}}'
        ),
        "not green fires",
        3 * NOT_GREEN_MINUTES,
    )
    eventually(lambda: live.alerts(trunk, "TrunkNotGreen"), "Alertmanager has it")
    assert states(live, trunk, "TrunkNotGreen") == {"TrunkNotGreen": "suppressed"}
    assert states(live, trunk) == {"a": "active", "e": "active"}
    live.expect_no_more(trunk, [notification("a e")])
    assert live.notifications(trunk, "TrunkNotGreen") == []

    trunk.file.write_text(good)
    # The source backs off after each failure; a reload resets the back-off.
    live.stack.exporter.send(signal.SIGHUP)
    eventually(lambda: failing()[-1].status == "resolved", "the source is read again")
    assert live.deliveries_of_alert("TrunkDataStale") == []
    eventually(lambda: live.notifications(trunk, "TrunkNotGreen"), "TrunkNotGreen is sent")
    live.expect_no_more(trunk, [notification("a e")])
