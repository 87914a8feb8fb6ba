"""What the source keeps of one trunk between refreshes, as notes of one small thing each."""

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from enum import StrEnum
from typing import Any

from trunkwatch.domain.model import Trunk
from trunkwatch.engine.facts import StateEntry


class Kind(StrEnum):
    """What a note is about; its name is in the comment.

    A note that is to say something else needs another word here: old notes are then forgotten, and
    what they knew is read again.
    """

    CHAIN = "chain"  # the trunk's commits and the ETag of their list
    DEPTH = "depth"  # the oldest commit whose results have been read
    HEAD = "head"  # the part of the run list that is still open
    WINDOW = "window"  # by first second: a closed part of the run list
    GAP = "gap"  # by first second: a part of the run list that has not been read
    RUN = "run"  # by run id
    SWEEP = "sweep"  # by commit: when its jobs were read last
    TYPICAL = "typical"  # check runs of the commit that was read last
    HANG = "hang"  # by job id: a long job that was cancelled, and what its annotations say
    STEP = "step"  # by job id: its steps have been asked for
    EXPLAINED = "explained"  # by job id: its annotations have been asked for
    PARKED = "parked"  # by run id: jobs of a run that is not known yet, from webhooks
    OTHER = "other"  # by commit: when results of other CI systems were read


Shelves = Mapping[str, Mapping[str, str]]
"""The texts of one trunk's notes, by kind and name."""


def by_trunk(notes: Mapping[str, str]) -> dict[str, dict[str, dict[str, str]]]:
    """Sort all notes of a source by trunk, kind and name, in one pass."""
    shelves: dict[str, dict[str, dict[str, str]]] = defaultdict(lambda: defaultdict(dict))
    for key, text in notes.items():
        repo, branch, kind, name = key.split(" ")
        shelves[f"{repo} {branch}"][kind][name] = text
    return shelves


def key_of(trunk: Trunk, kind: Kind, name: object = "") -> str:
    """Name a note; neither a repository, a branch nor an id may hold a blank."""
    return f"{trunk.repo} {trunk.branch} {kind} {name}"


class Notebook:
    """One trunk's notes while somebody reads and changes them."""

    def __init__(
        self, trunk: Trunk, notes: Mapping[str, str], shelves: Shelves | None = None
    ) -> None:
        """Args:
        trunk: whose notes.
        notes: all notes of the source.
        shelves: those of the trunk, sorted; only `all` needs them.
        """
        self._trunk = trunk
        self._notes = notes
        self._shelves = shelves or {}
        self._whole: set[Kind] = set()
        self._values: dict[Kind, dict[str, Any]] = defaultdict(dict)
        self._changed: dict[tuple[Kind, str], None] = {}

    def all(self, kind: Kind) -> Mapping[str, Any]:
        """Return every note of a kind by its name."""
        values = self._values[kind]
        if kind not in self._whole:
            self._whole.add(kind)
            for name, text in self._shelves.get(kind, {}).items():
                if (kind, name) not in self._changed:
                    values[name] = json.loads(text)
        return values

    def get(self, kind: Kind, name: object = "") -> Any:
        """Return a note, or None."""
        values, key = self._values[kind], str(name)
        if key not in values and kind not in self._whole and (kind, key) not in self._changed:
            text = self._notes.get(key_of(self._trunk, kind, key))
            if text is not None:
                values[key] = json.loads(text)
        return values.get(key)

    def put(self, kind: Kind, value: Any, name: object = "") -> None:
        """Write a note; one that says what it said before is no change."""
        if self.get(kind, name) != value:
            self._values[kind][str(name)] = value
            self._changed[kind, str(name)] = None

    def drop(self, kind: Kind, name: object = "") -> None:
        """Forget a note."""
        if self.get(kind, name) is not None:
            del self._values[kind][str(name)]
            self._changed[kind, str(name)] = None

    def drop_all(self, kind: Kind, names: Iterable[str]) -> None:
        """Forget several notes."""
        for name in list(names):
            self.drop(kind, name)

    def changes(self) -> Iterator[StateEntry]:
        """Yield what has to be stored."""
        for kind, name in self._changed:
            value = self._values[kind].get(name)
            text = None if value is None else json.dumps(value, separators=(",", ":"))
            yield StateEntry(key_of(self._trunk, kind, name), text)
