"""Rules for every test: the hypothesis profile, and no secret in any output."""

from tests.support.examples import register_profiles
from tests.support.secrets import pytest_configure, pytest_runtest_makereport, pytest_unconfigure

__all__ = ["pytest_configure", "pytest_runtest_makereport", "pytest_unconfigure"]

register_profiles()
