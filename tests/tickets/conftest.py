"""A reconciler with a stand-in GitHub, and a process with its whole environment."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from trunkwatch.config import TicketsSection

from tests.tickets.around import Around, all_around
from tests.tickets.stage import Stage, a_stage


@pytest.fixture
def stage(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Stage]:
    """Return a stage without issues, on GitHub unless the test names a vendor."""
    config = TicketsSection(type=getattr(request, "param", "github"))
    with a_stage(tmp_path, config) as found:
        yield found


@pytest.fixture
def around(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Around]:
    """Run an exporter, a GitHub and an Alertmanager that report one broken job."""
    with all_around(tmp_path, getattr(request, "param", "github")) as found:
        yield found
