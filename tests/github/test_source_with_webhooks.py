"""Webhooks in any order, twice, late or not at all say the same in the end as polling."""

from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.github.exporter import job_differences, running_exporter
from tests.github.faults import Faults
from tests.github.outage_check import SOURCE_OPTIONS, differences_after_settling
from tests.github.outage_check import run_scenario as run_scenario
from tests.github.scenario import scenario
from tests.github.webhook_harness import (
    BEGIN,
    END,
    REPO,
    WebhookHarness,
    entries_without_pending_jobs,
    small_deliveries,
    webhook_harness,
)
from tests.github.webhooks import deliveries

SHORT = 14
"""Commits of the story of which webhooks tell: four of them come while it is played."""

# ---------------------------------------------------------------------- the same as polling

PLACES = range(len(small_deliveries()))


@settings(max_examples=20, deadline=None)
@given(
    order=st.permutations(PLACES),
    lost=st.sets(st.sampled_from(PLACES)),
    twice=st.sets(st.sampled_from(PLACES)),
    polls=st.lists(st.tuples(st.sampled_from(PLACES), st.integers(0, 6)), max_size=3),
)
def test_any_order_twice_and_with_some_missing(
    order: list[int], lost: set[int], twice: set[int], polls: list[tuple[int, int]]
) -> None:
    """Whatever order deliveries come in, some twice, some never, with refreshes between and around
    them: when polling has healed what was lost, everything is as it is.
    """
    arriving = [small_deliveries()[place] for place in order if place not in lost]
    arriving += [small_deliveries()[place] for place in sorted(twice)]
    with webhook_harness() as harness:
        harness.exporter.fake.now = END
        inside = dict(polls)
        while arriving:
            if len(arriving) in inside:
                number = inside[len(arriving)]
                harness.deliver_during_refresh(arriving[:number])
                arriving = arriving[number:] if number else arriving[1:]
            else:
                harness.deliver(arriving.pop(0))
        assert harness.differences_after_polling() == {}


@settings(max_examples=12, deadline=None)
@given(
    delays=st.lists(
        st.sampled_from([0.0, 1.0, 30.0, 300.0, 2000.0, None]),
        min_size=len(small_deliveries()),
        max_size=len(small_deliveries()),
    ),
    every=st.sampled_from([60.0, 300.0, 1200.0]),
)
def test_late_deliveries_beside_polls(delays: list[float | None], every: float) -> None:
    """Deliveries that come late or never, while GitHub is polled often or seldom, heal likewise."""
    pairs = zip(small_deliveries(), delays, strict=True)
    arrivals = [(each.at + late, place) for place, (each, late) in enumerate(pairs)
                if late is not None]  # fmt: skip
    with webhook_harness() as harness:
        fake = harness.exporter.fake
        events = sorted(arrivals + [(at, -1) for at in polls_at(every)])
        for fake.now, place in events:
            if place < 0:
                harness.exporter.refresh()
            else:
                harness.deliver(small_deliveries()[place])
        fake.now = max(fake.now, END)
        assert harness.differences_after_polling() == {}


def polls_at(every: float) -> list[float]:
    """Return the moments at which GitHub is polled."""
    return [BEGIN + every * number for number in range(1, int((END - BEGIN) / every) + 1)]


@pytest.mark.parametrize("seed", [1, 2])
def test_webhooks_beside_polls_that_fail_never_invent(seed: int) -> None:
    """Hours of deliveries of which some are late, some lost and some come twice, and of polls of
    which some fail: no outage opens or closes that did not, and the end is right.
    """
    chance = Random(seed)
    past = scenario(SHORT, shards=4)
    arriving = [
        (each.at + chance.choice([0, 0, 5, 200, 900]), place, each)
        for place, each in enumerate(deliveries(past.fake, past.begin, past.end))
        if each.event != "check_run"
        for _ in range(chance.choice([0, 1, 1, 1, 2]))
    ]
    arriving.sort(reverse=True)
    with running_exporter(past.fake, REPO, SOURCE_OPTIONS) as exporter:
        exporter.refresh_until_idle()
        exporter.server.faults = Faults(0.05, seed)
        harness = WebhookHarness(exporter)

        def step() -> None:
            while arriving and arriving[-1][0] <= exporter.fake.now:
                harness.deliver(arriving.pop()[2])
            exporter.refresh()

        assert run_scenario(exporter, past.end, step).wrong == []
        assert differences_after_settling(exporter) == {}


def test_without_polls() -> None:
    """While only pushes are followed by a refresh, each of the other deliveries says at once what
    a poll would have said.
    """
    with webhook_harness() as harness:
        for each in small_deliveries():
            harness.exporter.fake.now = each.at
            refresh_requests = harness.refresh_requests
            harness.deliver(each)
            if harness.refresh_requests > refresh_requests:
                harness.exporter.refresh()
        harness.exporter.fake.now = END
        # Only annotations tell which of the cancelled jobs hung: a refresh asks for them.
        assert {key.partition(":")[0] for key in harness.differences()} == {
            "slow / cut",
            "slow / hangs",
        }
        harness.exporter.refresh()
        assert harness.differences() == {}


def test_what_is_known_already_changes_nothing() -> None:
    """When everything has been read, deliveries that come late, the newest first, leave the rows
    and the notes as they are.
    """
    with webhook_harness() as harness:
        harness.exporter.fake.now = END
        assert harness.differences_after_polling() == {}
        before, state = entries_without_pending_jobs(harness), harness.exporter.jobs()
        for each in reversed(small_deliveries()):
            harness.deliver(each)
        assert entries_without_pending_jobs(harness) == before
        assert job_differences(harness.exporter.jobs(), state) == {}
