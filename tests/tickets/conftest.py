"""A reconciler with a stand-in GitHub, and a process with its whole environment."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.tickets.around import Around, all_around
from tests.tickets.stage import Stage, a_stage


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    """Return a stage without issues."""
    with a_stage(tmp_path) as found:
        yield found


@pytest.fixture
def around(tmp_path: Path) -> Iterator[Around]:
    """Run an exporter, a GitHub and an Alertmanager that report one broken job."""
    with all_around(tmp_path) as found:
        yield found
