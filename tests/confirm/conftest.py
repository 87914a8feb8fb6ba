"""A stand-in for GitHub, of one repository."""

import pytest

from tests.confirm.stage import REPO
from tests.github.fake import FakeGitHub


@pytest.fixture
def fake() -> FakeGitHub:
    """Return a stand-in without commits."""
    made = FakeGitHub()
    made.repo(REPO)
    return made
