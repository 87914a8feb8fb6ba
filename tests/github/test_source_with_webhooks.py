"""Webhooks in any order, repeated, late or lost lead to the same state as polling."""

from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.github.exporter import job_differences
from tests.github.faults import Faults
from tests.github.outage_check import SOURCE_OPTIONS, differences_after_settling
from tests.github.outage_check import run_scenario as run_scenario
from tests.github.scenario import scenario
from tests.github.webhook_harness import (
    BEGIN,
    END,
    entries_without_pending_jobs,
    small_deliveries,
    webhook_harness,
)
from tests.github.webhooks import deliveries
from tests.support.examples import examples

pytestmark = pytest.mark.slow

SHORT = 14
"""Commits of a shorter scenario; four of them are pushed while it runs."""

# ---------------------------------------------------------------------- the same as polling

# Deferred: every process imports the tests, and making the deliveries takes it a second.
places = st.deferred(lambda: st.sampled_from(range(len(small_deliveries()))))
orders = st.deferred(lambda: st.permutations(range(len(small_deliveries()))))
delays = st.deferred(
    lambda: st.tuples(
        *[st.sampled_from([0.0, 1.0, 30.0, 300.0, 2000.0, None])] * len(small_deliveries())
    )
)


@settings(max_examples=examples(20))
@given(
    order=orders,
    lost=st.sets(places),
    twice=st.sets(places),
    polls=st.lists(st.tuples(places, st.integers(0, 6)), max_size=3),
)
def test_any_order_twice_and_with_some_missing(
    order: list[int], lost: set[int], twice: set[int], polls: list[tuple[int, int]]
) -> None:
    """Deliveries in any order, some repeated, some lost, with refreshes in between and around them,
    lead to the expected state once polling has caught up.
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


@settings(max_examples=examples(12))
@given(
    delays=delays,
    every=st.sampled_from([60.0, 300.0, 1200.0]),
)
def test_late_deliveries_beside_polls(delays: tuple[float | None, ...], every: float) -> None:
    """Late or lost deliveries between frequent or rare polls lead to the expected state."""
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
    """Return the times at which GitHub is polled."""
    return [BEGIN + every * number for number in range(1, int((END - BEGIN) / every) + 1)]


@pytest.mark.parametrize("seed", [1, 2])
def test_webhooks_and_failing_polls_never_open_an_outage(seed: int) -> None:
    """With late, lost and repeated deliveries and failing polls over hours, no outage opens or
    closes wrongly, and the final state is the expected one.
    """
    chance = Random(seed)
    plan = scenario(SHORT, shards=4)
    arriving = [
        (each.at + chance.choice([0, 0, 5, 200, 900]), place, each)
        for place, each in enumerate(deliveries(plan.fake, plan.begin, plan.end))
        if each.event != "check_run"
        for _ in range(chance.choice([0, 1, 1, 1, 2]))
    ]
    arriving.sort(reverse=True)
    with webhook_harness(plan.fake, SOURCE_OPTIONS) as harness:
        exporter = harness.exporter
        exporter.server.faults = Faults(0.05, seed)

        def step() -> None:
            while arriving and arriving[-1][0] <= exporter.fake.now:
                harness.deliver(arriving.pop()[2])
            exporter.refresh()

        assert run_scenario(exporter, plan.end, step).wrong == []
        assert differences_after_settling(exporter) == {}


def test_without_polls() -> None:
    """With refreshes only after pushes, deliveries alone lead to the expected state, except for
    cancelled jobs.
    """
    with webhook_harness() as harness:
        for each in small_deliveries():
            harness.exporter.fake.now = each.at
            refresh_requests = harness.refresh_requests
            harness.deliver(each)
            if harness.refresh_requests > refresh_requests:
                harness.exporter.refresh()
        harness.exporter.fake.now = END
        # Only annotations show which of the cancelled jobs hung: a refresh reads them.
        assert {key.partition(":")[0] for key in harness.differences()} == {
            "slow / cut",
            "slow / hangs",
        }
        harness.exporter.refresh()
        assert harness.differences() == {}


def test_late_deliveries_of_read_results_change_nothing() -> None:
    """Late deliveries of results that were all read, newest first, change neither the jobs nor the
    source's state.
    """
    with webhook_harness() as harness:
        harness.exporter.fake.now = END
        assert harness.differences_after_polling() == {}
        before, state = entries_without_pending_jobs(harness), harness.exporter.jobs()
        for each in reversed(small_deliveries()):
            harness.deliver(each)
        assert entries_without_pending_jobs(harness) == before
        assert job_differences(harness.exporter.jobs(), state) == {}
