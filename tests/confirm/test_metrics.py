"""The metrics by which `TrunkwatchConfirmFailing` sees that confirm cannot work."""

from collections.abc import Callable, Mapping
from unittest import mock

import pytest
from trunkwatch.confirm.metrics import COUNTERS, GAUGES, OPEN, ROUND_AT, UP, ConfirmMetrics
from trunkwatch.confirm.store import ConfirmStore
from trunkwatch.errors import StoreError

from tests.confirm.builders import history
from tests.confirm.stage import REPO, Stage, stage
from tests.github.fake import FakeGitHub
from tests.github.http_server import HttpResponse


def samples(metrics: ConfirmMetrics, family: str) -> Mapping[str, float]:
    """Return the values of a family by the value of its label, which is empty without one."""
    found = {name: values for name, _, _, values in metrics.families()}
    return {"".join(labels.values()): value for labels, value in found[family]}


def test_before_the_first_round_its_time_is_zero() -> None:
    """All families are there, and no peer has a sample."""
    metrics = ConfirmMetrics()
    names = {name for name, *_ in metrics.families()}
    assert names == {*GAUGES, *(counter.name for counter in COUNTERS.values())}
    assert samples(metrics, ROUND_AT) == {"": 0.0}
    assert samples(metrics, UP) == {}


def refuse_token(made: Stage) -> None:
    made.instead = lambda _: HttpResponse(401, b"{}")


def lose_exporter(made: Stage) -> None:
    made.exporter_answer = HttpResponse(503, b"")


@pytest.mark.parametrize(
    ("fail", "peers"),
    [(refuse_token, {"ci": 0, "exporter": 1}), (lose_exporter, {"ci": 1, "exporter": 0})],
)
def test_a_peer_that_fails_is_down(
    fake: FakeGitHub, fail: Callable[[Stage], None], peers: Mapping[str, float]
) -> None:
    """A refused token shows without any question, and the round ends all the same."""
    with stage(fake) as made:
        fail(made)
        made.confirmer.round()
        assert samples(made.metrics, UP) == peers
        assert samples(made.metrics, ROUND_AT) == {"": fake.now}


def test_a_round_without_its_storage_does_not_end(fake: FakeGitHub) -> None:
    """The time of the last round stays as it is, and both peers with it."""
    with stage(fake) as made:
        made.confirmer.round()
        before = fake.now
        fake.now += 60
        error = StoreError("of confirm", "disk is full")
        unusable = mock.patch.object(ConfirmStore, "questions", side_effect=error)
        with unusable, pytest.raises(StoreError):
            made.confirmer.round()
        assert samples(made.metrics, ROUND_AT) == {"": before}


def test_a_question_without_an_answer_is_no_fault(fake: FakeGitHub) -> None:
    """While its result is to come, it is open, and all peers are up."""
    history(fake.repos[REPO], "PCFFF")
    with stage(fake) as made:
        made.exporter.refresh_until_idle()
        made.confirmer.round()
        assert samples(made.metrics, OPEN) == {"": 1.0}
        assert samples(made.metrics, UP) == {"ci": 1, "exporter": 1}
