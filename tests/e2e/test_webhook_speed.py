"""Signed webhooks are soon visible on /metrics, and never lost once accepted."""

import signal
from collections.abc import Iterator

import pytest

from tests.support.waiting import eventually
from tools.bench_webhook import SAMPLE, Bench, Job, bench, values_of

RATE, SECONDS = 20.0, 3.0
DELIVERIES, RELOADS = 300, 4

SOON = 2.0
"""Seconds; many times the usual duration, so that the test passes on a busy machine."""


@pytest.fixture
def running() -> Iterator[Bench]:
    """Run an exporter that has read four commits."""
    with bench(commits=4, workflows=2, jobs=30) as found:
        yield found


def test_what_is_delivered_is_soon_on_metrics(running: Bench) -> None:
    """At twenty deliveries per second every result is on /metrics within two seconds."""
    late = running.measure(RATE, SECONDS)
    assert len(late) >= 5
    assert max(late) < SOON


def test_a_forged_delivery_is_refused(running: Bench) -> None:
    """A delivery that is signed with another secret is refused and counted."""
    each = running.push_commit()[0]
    answer = running.session.post(
        f"{running.url}/webhook/github", each.body, headers=each.headers("of-somebody-else")
    )
    assert answer.status_code == 401
    counts = running.served.samples("trunkwatch_webhook_deliveries_total")
    assert counts['{outcome="bad_signature"}'] == 1


def test_nothing_accepted_during_reloads_is_unseen() -> None:
    """Deliveries answered 202 while SIGHUPs replace the engine are all on /metrics afterwards."""
    with bench(commits=2, workflows=2, jobs=100) as running:
        queued = running.push_commit()[:DELIVERIES]
        # Only deliveries have results from now on: a refresh would hide that one was lost.
        (running.storage.parent / "token").write_text("refused")
        accepted: dict[Job, float] = {}
        for number, each in enumerate(queued):
            if number % (len(queued) // RELOADS) == 1:
                running.served.send(signal.SIGHUP)
            running.deliver(each)
            accepted.update(dict(values_of(each)))

        def unseen() -> set[Job]:
            text = running.session.get(f"{running.url}/metrics", timeout=30).text
            shown = {(flow, name): float(value) for name, flow, value in SAMPLE.findall(text)}
            return {job for job, value in accepted.items() if shown.get(job) != value}

        eventually(lambda: not unseen(), "every accepted result", seconds=15)
        print(f"{len(queued)} deliveries, {len(accepted)} results, 0 unseen")
        assert len(queued) > DELIVERIES * 0.6
        assert len(accepted) > 30
