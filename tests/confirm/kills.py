"""Kills of confirm before and after each write and each request."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from unittest import mock

from trunkwatch.confirm.model import Target
from trunkwatch.confirm.runner import Examined, Runner
from trunkwatch.confirm.store import ConfirmStore
from trunkwatch.status.attempts import Attempt


class Killed(BaseException):
    """The end of the process."""


class Killer:
    """Ends the process at the nth of its steps: before and after each write and each request."""

    def __init__(self, at: int) -> None:
        self.steps: list[str] = []
        self._at = at

    def step(self, name: str) -> None:
        """Pass a step, or end here."""
        self.steps.append(name)
        if len(self.steps) == self._at:
            raise Killed(name)

    def around(self, name: str, act: Callable[..., Any]) -> Callable[..., Any]:
        """Return a function with a step before and after it."""

        def passed(*arguments: Any) -> Any:
            self.step(f"before {name}")
            result = act(*arguments)
            self.step(f"after {name}")
            return result

        return passed


class SteppedRunner:
    """A runner whose requests are steps."""

    def __init__(self, runner: Runner, killer: Killer) -> None:
        self.check: Callable[[], None] = runner.check
        self.was_repeated: Callable[[Target], bool] = runner.was_repeated
        self.was_left_out: Callable[[Target], bool] = runner.was_left_out
        self.is_repetition: Callable[[Target, Attempt], bool] = runner.is_repetition
        self.examine: Callable[[Target], Examined] = killer.around("examine", runner.examine)
        self.run: Callable[[Target], None] = killer.around("run", runner.run)


@contextmanager
def stepped_store(killer: Killer) -> Iterator[None]:
    """Make each write of the storage file a step."""
    with (
        mock.patch.object(ConfirmStore, "save", _stepped(killer, "save", ConfirmStore.save)),
        mock.patch.object(ConfirmStore, "forget", _stepped(killer, "forget", ConfirmStore.forget)),
    ):
        yield


def _stepped(killer: Killer, name: str, act: Callable[..., Any]) -> Callable[..., Any]:
    def passed(store: ConfirmStore, *arguments: Any) -> Any:
        return killer.around(name, act)(store, *arguments)

    return passed
