"""What is due when time passes."""

from hypothesis import given
from hypothesis import strategies as st
from trunkwatch.engine.expiry_queue import ExpiryQueue

from tests.domain.scripts import bounded


def test_a_moment_is_due_when_it_comes() -> None:
    """A thing is due at its moment and not before, and it is told once."""
    queue: ExpiryQueue[str] = ExpiryQueue()
    queue.put("a", 10.0)
    assert queue.pop_expired(9.9) == []
    assert queue.pop_expired(10.0) == ["a"]
    assert queue.pop_expired(10.0) == []


def test_the_latest_moment_holds() -> None:
    """A thing that is put again has its new moment only, be it earlier, later or none."""
    queue: ExpiryQueue[str] = ExpiryQueue()
    for moment in (10.0, 5.0, 20.0):
        queue.put("a", moment)
    assert queue.pop_expired(19.9) == []
    assert queue.next_expiry() == 20.0
    queue.put("a", None)
    assert queue.next_expiry() is None
    assert queue.pop_expired(1e9) == []


def test_a_moment_may_be_put_again() -> None:
    """A thing that was due and has the same moment again is due again."""
    queue: ExpiryQueue[str] = ExpiryQueue()
    for _ in range(2):
        queue.put("a", 10.0)
        assert queue.pop_expired(10.0) == ["a"]


changes = st.lists(
    st.tuples(st.integers(0, 5), st.one_of(st.none(), st.integers(0, 9).map(float))), max_size=400
)


@bounded
@given(changes, st.integers(0, 9))
def test_an_agenda_is_a_table_of_moments(drawn: list[tuple[int, float | None]], now: int) -> None:
    """Whatever was put before, the last moment of each thing decides, however often it changed."""
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
