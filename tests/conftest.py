"""Rules for every test: hypothesis profiles, no secret in any output, the slowest tests first."""

import gc
import sys
from collections.abc import Generator
from pathlib import Path

import pytest

from tests.support.examples import register_profiles

pytest_plugins = ["tests.support.secrets", "tests.support.stores"]

register_profiles()

SLOWEST_FIRST = (
    "e2e/test_live_restarts.py",
    "e2e/test_live_inhibition.py",
    "e2e/test_live_noise.py",
    "e2e/test_buildbot.py",
    "e2e/test_recorded_incident.py",
    "docs/test_guide.py",
    "github/test_request_costs.py",
    "e2e/test_adoption.py",
    "soak/test_soak.py",
)
"""Tests of up to two minutes; started last, one of them would run alone at the end."""

COLLECTOR_THRESHOLDS = (50_000, 20, 50)
"""Of the three generations of the garbage collector. With the usual ones it takes a sixth of the
time of tests that keep hundreds of thousands of objects, as the stand-ins of large trunks do."""


@pytest.hookimpl(trylast=True)
def pytest_configure() -> None:
    """Report no finalizer that fails at the recursion limit, while a test decodes nested JSON.

    The garbage collector runs there as well, and finalizes what earlier tests have left.
    """
    report = sys.unraisablehook

    def unless_too_deep(unraisable: "sys.UnraisableHookArgs") -> None:
        if not isinstance(unraisable.exc_value, RecursionError):
            report(unraisable)

    sys.unraisablehook = unless_too_deep


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Keep the garbage collector from the modules and tests, which live until the end.

    While they come into being, and then in every full collection, it would walk all of them.
    """
    gc.disable()
    try:
        return (yield)
    finally:
        gc.enable()
        gc.freeze()
        gc.set_threshold(*COLLECTOR_THRESHOLDS)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Move the slowest tests to the front; pytest-randomly has shuffled the others."""
    folder = Path(__file__).parent
    places = {folder / name: place for place, name in enumerate(SLOWEST_FIRST)}
    items.sort(key=lambda item: places.get(item.path, len(places)))
