"""Hypothesis strategies for histories."""

from hypothesis import strategies as st

from tests.reference.histories import History, generate

LETTERS = "PPPFFF-s?!ntx"


def histories() -> st.SearchStrategy[History]:
    """Whole random histories: (lines, configuration, now). They shrink only by their seed."""
    return st.integers(min_value=0, max_value=2**32 - 1).map(generate)


def notations(shards: int = 2, runs: int = 2, commits: int = 14) -> st.SearchStrategy[str]:
    """Texts of the vectors' notation, which shrink to the shortest that still fails."""
    attempts = st.text(st.sampled_from(LETTERS), min_size=1, max_size=2)
    shard = st.one_of(attempts, st.just("."))
    run = st.lists(shard, min_size=1, max_size=shards).map("|".join)
    commit = st.lists(run, min_size=1, max_size=runs).map("/".join)
    return st.lists(commit, min_size=1, max_size=commits).map(" ".join)
