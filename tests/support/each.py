"""Runs a test for each value of a long list, as one test."""

import functools
import inspect
from collections.abc import Callable, Iterable
from typing import Any, TypeVar

import pytest

T = TypeVar("T")


def for_each(
    name: str, values: Iterable[T], ids: Callable[[T], object] = repr
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Return a decorator for a test whose cases take microseconds each.

    pytest and xdist spend milliseconds on each case of `pytest.mark.parametrize`, which is most of
    the time of a long list. All values are tried, and a failure names its value.

    Args:
        name: the test's argument that takes a value.
        values: at least one.
        ids: returns the text that stands for a value in a failure.
    """
    cases = list(values)

    def decorate(test: Callable[..., None]) -> Callable[..., None]:
        @functools.wraps(test)
        def try_all(**fixtures: Any) -> None:
            assert cases, f"no {name} to test"
            failures: list[BaseException] = []
            for case in cases:
                try:
                    test(**fixtures, **{name: case})
                # The second is raised by `pytest.raises` where nothing was raised.
                except (Exception, pytest.fail.Exception) as failure:
                    failure.add_note(f"{name}: {ids(case)}")
                    failures.append(failure)
            if failures:
                raise BaseExceptionGroup(f"{len(failures)} of {len(cases)} fail", failures)

        signature = inspect.signature(test)
        fixtures = [each for each in signature.parameters.values() if each.name != name]
        # pytest reads the names of the fixtures from it.
        try_all.__signature__ = signature.replace(parameters=fixtures)  # type: ignore[attr-defined]
        return try_all

    return decorate
