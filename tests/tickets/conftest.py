"""One keeper on one GitHub, and one process with all that stands around it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.tickets.around import Around, all_around
from tests.tickets.stage import Stage, a_stage


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    """Return a stage on which nothing has happened."""
    with a_stage(tmp_path) as found:
        yield found


@pytest.fixture
def around(tmp_path: Path) -> Iterator[Around]:
    """Serve a job that is broken to everybody who asks."""
    with all_around(tmp_path) as found:
        yield found
