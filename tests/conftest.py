"""What holds for every test: no secret comes out."""

from tests.support.secrets import pytest_configure, pytest_runtest_makereport, pytest_unconfigure

__all__ = ["pytest_configure", "pytest_runtest_makereport", "pytest_unconfigure"]
