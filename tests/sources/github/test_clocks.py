"""A machine whose clock is wrong for one refresh, and then right again."""

import json

import pytest
from trunkwatch.sources.github.source import SPENT_KEY

from tests.github.exporter import POLL, SimulatedExporter, running_exporter
from tests.github.fake import T0
from tests.sources.github.stories import HOUR, MINUTE, Story, check_truth

pytestmark = pytest.mark.slow

JUMPS = {"+14 h": 14 * HOUR, "-14 h": -14 * HOUR, "2100": 4_102_444_800.0 - T0}


def refresh_with_wrong_clock(exporter: SimulatedExporter, seconds: float, restart: str) -> None:
    """Refresh once while the clock is wrong, then twice while it is right."""
    exporter.ahead = seconds
    if restart == "during":
        exporter.restart()
    exporter.refresh()
    exporter.ahead = 0.0
    if restart == "after":
        exporter.restart()
    for _ in range(2):
        exporter.fake.now += POLL
        exporter.refresh()


@pytest.mark.parametrize("jump", JUMPS.values(), ids=JUMPS)
@pytest.mark.parametrize("restart", ["never", "during", "after"])
def test_a_wrong_clock_is_forgotten_within_two_refreshes(
    jump: float, restart: str, graphql: bool
) -> None:
    """Results that came before, meanwhile and afterwards are as with a right clock, and no spent
    request of the future is kept.
    """
    story = Story("P F F P", every=10 * MINUTE)
    with running_exporter(story.fake, graphql=graphql) as exporter:
        exporter.refresh_until_idle()
        story.then("F")
        refresh_with_wrong_clock(exporter, jump, restart)
        check_truth(exporter)
        for letter in "FF":
            story.then(letter)
            story.fake.now += POLL
            exporter.refresh()
            exporter.refresh()
            check_truth(exporter)
        assert exporter.engine.snapshot.sources[0].up
        (trunk,) = exporter.engine.snapshot.trunks
        assert trunk.data_at is not None
        assert story.fake.now - 2 * POLL <= trunk.data_at <= story.fake.now
        spent = json.loads(exporter.engine.state("gh").entries[SPENT_KEY])
        assert max(map(int, spent)) <= story.fake.now / MINUTE
