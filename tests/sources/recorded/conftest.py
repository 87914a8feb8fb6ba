"""A recorded file for every test."""

from pathlib import Path

import pytest

from tests.sources.recorded.file import File


@pytest.fixture
def file(tmp_path: Path) -> File:
    """Return a file that does not exist yet."""
    return File(tmp_path / "results.ndjson")
