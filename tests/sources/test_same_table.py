"""One history, played through every CI server, gives one table."""

from pathlib import Path

import pytest

from tests.sources.one_history import PLAYERS, printed_table, recorded


@pytest.mark.parametrize("kind", sorted(set(PLAYERS) - {"recorded"}))
def test_one_history_has_one_table(kind: str, tmp_path: Path) -> None:
    """The broken jobs, their first bad commits and flakes are those of a recorded file."""
    with PLAYERS[kind](tmp_path) as (section, commits):
        found = printed_table(section, tmp_path)
    with recorded(tmp_path, commits) as (section, _):
        assert found == printed_table(section, tmp_path)
    assert "3 broken, 1 failing; 6 jobs over 6 commits" in found
