"""What a louder alert silences, and what it does not."""

import signal

import pytest

from tests.e2e.live import NOT_GREEN_MINUTES, LiveTrunk, World, told
from tests.support.waiting import eventually

pytestmark = pytest.mark.xdist_group("live")

MASS = "TrunkCommitBrokeEverything"
JOBS = "a b c d e"


def all_jobs(letters: str) -> dict[str, str]:
    """Give the five jobs the same letters."""
    return dict.fromkeys(JOBS.split(), letters)


def states(world: World, trunk: LiveTrunk, alert: str = "TrunkJobBroken") -> dict[str, str]:
    """Whether Alertmanager tells of an alert (`active`) or not (`suppressed`), by job."""
    return {job: held["status"]["state"] for job, held in world.alerts(trunk, alert).items()}


def test_mass_breakage_silences_the_jobs_of_its_branch_from_its_first_commit(live: World) -> None:
    """The commit is told, none of its jobs is, and a job of another branch is."""
    main, release = live.trunk("o/mass"), live.trunk("o/mass", "release")
    main.land(**all_jobs("P"), at_once="P")
    release.land(**all_jobs("P"), at_once="P")
    live.settle()
    main.land(**all_jobs("F"), at_once="F")
    eventually(lambda: live.told(main, MASS) == [told(MASS)], "the commit is told")
    live.settle()
    assert states(live, main) == {"at_once": "suppressed"}

    main.land(**all_jobs("F F"), at_once="F F")
    release.land(a="F F F", b="P P P")
    live.hears(release, [told("a")])
    live.settle()
    live.stays(main, [])
    assert states(live, main) == dict.fromkeys([*JOBS.split(), "at_once"], "suppressed")
    assert states(live, release) == {"a": "active"}

    main.land(**all_jobs("P"), at_once="P")
    eventually(lambda: len(live.told(main, MASS)) == 2, "the end of it is told")
    assert live.told(main, MASS)[1] == told("", ended=MASS)
    live.settle()
    live.stays(main, [])
    assert live.alerts(main) == {}
    assert live.told(release) == [told("a")]
    assert live.told(release, MASS) == []


def test_a_job_that_is_still_broken_after_the_mass_breakage_is_told(live: World) -> None:
    """Once most jobs are back, the one that is not is its own story again, and told once."""
    # The others may be named beside it as no longer broken, but never as broken.
    trunk = live.trunk("o/rest")
    trunk.land(**all_jobs("P F F F"))
    eventually(lambda: live.told(trunk, MASS), "the commit is told")
    live.settle()
    live.stays(trunk, [])
    trunk.land(**{**all_jobs("P"), "e": "F"})
    eventually(lambda: live.told(trunk), "the job is told")
    live.stays(trunk, live.told(trunk)[:1])
    assert live.told(trunk)[0].firing == {"e"}
    trunk.land(**all_jobs("P"))
    live.hears(trunk, [*live.told(trunk)[:1], told("", ended="e")])


def test_an_end_under_mass_breakage_is_not_told_but_can_be_asked_for(live: World) -> None:
    """A job that was told of ends while it is silenced: no word of it, and no alert any more."""
    # Whoever keeps a state, such as `trunkwatch tickets`, must ask Alertmanager, therefore.
    trunk = live.trunk("o/unheard")
    trunk.land(**{**all_jobs("P P P P"), "a": "P F F F"})
    live.hears(trunk, [told("a")])
    trunk.land(**{**all_jobs("F"), "a": "F"})
    eventually(lambda: states(live, trunk) == {"a": "suppressed"}, "the job is silenced")
    trunk.land(**{**all_jobs("F"), "a": "P"})
    live.settle()
    eventually(lambda: live.alerts(trunk) == {}, "Alertmanager lacks the job")
    live.stays(trunk, [told("a")])
    assert live.told(trunk, MASS) == [told(MASS)]
    trunk.land(**all_jobs("P"))
    eventually(lambda: len(live.told(trunk, MASS)) == 2, "the end of the mass breakage is told")
    live.stays(trunk, [told("a")])


def test_old_data_silences_not_green_and_no_broken_job(live: World) -> None:
    """While data is stale, "not green" is a guess and kept quiet; a broken job was seen."""
    trunk = live.trunk("o/stale", source="other")
    trunk.land(**all_jobs("P"))
    live.settle("other")
    trunk.land(**{**all_jobs("P F F F"), "b": "P P P P", "c": "P P P P", "d": "P P P P"})
    live.hears(trunk, [told("a e")])
    good = trunk.file.read_text()
    trunk.file.write_text("")
    trunk.file.unlink()
    eventually(lambda: live.told(trunk, "TrunkDataStale"), "old data is told")
    assert live.told(trunk, "TrunkNotGreen") == []
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
    live.stays(trunk, [told("a e")])
    assert live.told(trunk, "TrunkNotGreen") == []

    trunk.file.write_text(good)
    # The source waits ever longer from one failure to the next; a reload begins anew.
    live.stack.exporter.send(signal.SIGHUP)
    eventually(lambda: len(live.told(trunk, "TrunkDataStale")) == 2, "the data is new again")
    eventually(lambda: live.told(trunk, "TrunkNotGreen"), "not green is told")
    live.stays(trunk, [told("a e")])
