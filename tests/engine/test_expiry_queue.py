"""The queue of items that expire by time alone."""

from hypothesis import given
from hypothesis import strategies as st
from trunkwatch.engine.expiry_queue import ExpiryQueue

from tests.domain.scripts import bounded


def test_an_item_expires_at_its_time() -> None:
    """An item expires at its time and not before, and is returned once."""
    queue: ExpiryQueue[str] = ExpiryQueue()
    queue.put("a", 10.0)
    assert queue.pop_expired(9.9) == []
    assert queue.pop_expired(10.0) == ["a"]
    assert queue.pop_expired(10.0) == []


def test_the_latest_time_replaces_earlier_ones() -> None:
    """An item that is put again has only its new time: earlier, later or none."""
    queue: ExpiryQueue[str] = ExpiryQueue()
    for moment in (10.0, 5.0, 20.0):
        queue.put("a", moment)
    assert queue.pop_expired(19.9) == []
    assert queue.next_expiry() == 20.0
    queue.put("a", None)
    assert queue.next_expiry() is None
    assert queue.pop_expired(1e9) == []


def test_a_time_may_be_put_again() -> None:
    """An item that expired and gets the same time again expires again."""
    queue: ExpiryQueue[str] = ExpiryQueue()
    for _ in range(2):
        queue.put("a", 10.0)
        assert queue.pop_expired(10.0) == ["a"]


changes = st.lists(
    st.tuples(st.integers(0, 5), st.one_of(st.none(), st.integers(0, 9).map(float))), max_size=400
)


@bounded
@given(changes, st.integers(0, 9))
def test_the_queue_equals_a_table_of_times(drawn: list[tuple[int, float | None]], now: int) -> None:
    """After any sequence of changes only the last time of each item decides."""
    queue: ExpiryQueue[int] = ExpiryQueue()
    table: dict[int, float] = {}
    for thing, moment in drawn:
        queue.put(thing, moment)
        table.pop(thing, None)
        if moment is not None:
            table[thing] = moment
        assert queue.next_expiry() == min(table.values(), default=None)
    due = {thing for thing, moment in table.items() if moment <= now}
    assert set(queue.pop_expired(now)) == due
    rest = [moment for thing, moment in table.items() if thing not in due]
    assert queue.next_expiry() == min(rest, default=None)
