"""Deliveries that are repeated, late, out of order or lost do not change the result."""

from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.examples import examples
from tests.tickets.builders import fixed, job
from tests.tickets.stage import Stage, a_stage

NAMES = ("a", "b")


def changes(stage: Stage, broken: frozenset[str]) -> None:
    """Set which jobs are broken."""
    stage.set_status(*(job(name) if name in broken else fixed(name) for name in NAMES))


some_jobs = st.frozensets(st.sampled_from(NAMES))
events = st.lists(
    st.one_of(
        st.tuples(st.just("status"), some_jobs),
        st.tuples(st.just("firing"), some_jobs),
        st.tuples(st.just("resolved"), some_jobs),
        st.tuples(st.just("round"), st.just(frozenset[str]())),
        st.tuples(st.just("killed"), st.integers(1, 6)),
    ),
    max_size=14,
)


def play(stage: Stage, event: str, value: frozenset[str] | int) -> None:
    """Apply one event."""
    if isinstance(value, int):
        stage.kill_at = len(stage.passed) + value
    elif event == "status":
        changes(stage, value)
    elif event == "round":
        stage.round()
        stage.wait(20.0)
    elif value:
        stage.deliver(*sorted(value), status=event)


@given(events, some_jobs)
@settings(max_examples=examples(40))
def test_the_end_is_what_is_true(
    story: list[tuple[str, frozenset[str] | int]], last: frozenset[str]
) -> None:
    """At most one issue exists, and it is open exactly while a job is broken."""
    with TemporaryDirectory() as folder, a_stage(Path(folder)) as stage:
        changes(stage, frozenset())
        for event, value in story:
            play(stage, event, value)
            assert len(stage.issues) <= 1
        changes(stage, last)
        stage.deliver(*sorted(last or NAMES))
        stage.settle()
        stage.settle()
        assert [issue.state for issue in stage.issues if issue.state == "open"] == ["open"] * bool(
            last
        )
        assert len(stage.issues) <= 1
        if last:
            shown = {name for name in NAMES if f"1. `pull / {name}`" in stage.issue.body
                     or f"2. `pull / {name}`" in stage.issue.body}  # fmt: skip
            assert shown == last
            assert not stage.store.plans()
