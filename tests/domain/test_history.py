"""The columns of a job: immutable histories that share what they have in common."""

from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st
from trunkwatch.domain.history import ColumnHistory, Place
from trunkwatch.domain.model import Verdict

results = st.one_of(
    st.builds(Place, st.integers(0, 12), st.sampled_from(Verdict), st.just(False)),
    st.builds(Place, st.integers(0, 12), st.just(Verdict.NONE), st.just(True)),
)
places = st.lists(results, max_size=20).map(
    lambda drawn: sorted(drawn, key=lambda place: place.commit_index)
)
edits = st.lists(st.tuples(st.integers(0, 13), places), max_size=6)


@given(places, edits, st.integers(1, 4))
def test_a_history_is_the_list_of_its_columns(
    first: Sequence[Place], changes: Sequence[tuple[int, Sequence[Place]]], size: int
) -> None:
    """After any replacements each history still has its own columns, whatever it shares."""
    made = [(list(first), ColumnHistory(first))]
    for commit_index, later in changes:
        expected, history = made[-1]
        new = [place for place in later if place.commit_index >= commit_index]
        kept = [place for place in expected if place.commit_index < commit_index]
        made.append((kept + new, history.replaced(commit_index, new)))
    for expected, history in made:
        assert list(history.since(0)) == expected
        assert len(history) == len(expected)
        pairs = [(place.commit_index, place.verdict) for place in expected]
        assert list(zip(history.commit_indexes, history.verdicts, strict=True)) == pairs
        assert list(history.newest(size)) == expected[-size:]
        decided = [verdict for _, verdict in pairs[::-1] if verdict.decided]
        assert history.newest_decided(size, len(history)) == decided[:size]
        near = [verdict for _, verdict in pairs[-size:][::-1] if verdict.decided]
        assert history.newest_decided(20, size) == near
        for commit_index in range(13):
            at = [place.verdict for place in expected if place.commit_index == commit_index]
            assert list(history.at(commit_index)) == at
        parts = dict(history.parts(size, since=0))
        assert ColumnHistory.from_parts(parts.values()) == history
        for others, other in made:
            assert (history == other) is (expected == others)
            assert hash(history) == hash(other) or expected != others
            lost, gained = history.changes(other)
            assert applied(others, lost, gained) == expected
            known = dict(other.parts(size, since=0)) | dict(
                history.parts(size, since=history.same_as(other))
            )
            used = [known[part] for part in sorted(known) if part * size < len(history)]
            assert ColumnHistory.from_parts(used) == history


def applied(
    columns: Sequence[Place], lost: Sequence[Place], gained: Sequence[Place]
) -> list[Place]:
    """Return columns after a change, which is one of whole commits."""
    commits = {place.commit_index for place in (*lost, *gained)}
    assert [place for place in columns if place.commit_index in commits] == list(lost)
    kept = [place for place in columns if place.commit_index not in commits]
    return sorted([*kept, *gained], key=lambda place: place.commit_index)
