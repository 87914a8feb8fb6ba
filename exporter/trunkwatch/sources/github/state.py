"""The state of one trunk between refreshes, as small entries, and the context of its readers."""

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from trunkwatch.domain.model import Trunk
from trunkwatch.engine.facts import StateEntry
from trunkwatch.rest.lists import ListClient


class Kind(StrEnum):
    """The kind of an entry; "by X" means one entry per X, with X as its name.

    If the format of an entry changes, change its value here: the old entries are then dropped, and
    their content is read again. Ranges are time ranges of `created` in the run list.
    """

    CHAIN = "chain"  # the trunk's commits and the ETag of their list
    READ_DOWN_TO = "read_down_to"  # the oldest commit whose results have been read
    OPEN_RANGE = "open_range"  # the newest time range, in which runs still appear
    CLOSED_RANGE = "closed_range"  # by its start (seconds): a range of past runs
    UNREAD_RANGE = "unread_range"  # by its start (seconds): a range that is not read yet
    RUN = "run"  # by run id
    COMMIT = "commit"  # by commit: when its jobs were read last
    TYPICAL_CHECKS = (
        "typical_checks"  # number of check runs of the last commit: an estimate for the next
    )
    TIMED_OUT = "timed_out"  # by job id: a cancelled job that may have timed out, or its conclusion
    STEP = "step"  # by job id: its steps have been read
    ANNOTATED = "annotated"  # by job id: its annotations have been read
    PENDING = "pending"  # by run id: jobs from webhooks whose run has not been read
    EXTERNAL = "external"  # by commit: when results of other CI systems were read


EntriesByKind = Mapping[str, Mapping[str, str]]
"""The texts of one trunk's entries, by kind and name."""


def by_trunk(entries: Mapping[str, str]) -> dict[str, dict[str, dict[str, str]]]:
    """Group the entries of a source by "repo branch", kind and name, in one pass."""
    trunks: dict[str, dict[str, dict[str, str]]] = defaultdict(lambda: defaultdict(dict))
    for key, text in entries.items():
        repo, branch, kind, name = key.split(" ")
        trunks[f"{repo} {branch}"][kind][name] = text
    return trunks


def key_of(trunk: Trunk, kind: Kind, name: object = "") -> str:
    """Return the key of an entry: parts that contain no blank, joined by blanks."""
    return f"{trunk.repo} {trunk.branch} {kind} {name}"


class StateStore:
    """The entries of one trunk; collects changes until the refresh is stored."""

    def __init__(
        self, trunk: Trunk, entries: Mapping[str, str], by_kind: EntriesByKind | None = None
    ) -> None:
        """Args:
        trunk: the trunk to read.
        entries: the entries of all trunks of the source, by key.
        by_kind: those of this trunk, by kind and name; only `all` needs them.
        """
        self._trunk = trunk
        self._entries = entries
        self._by_kind = by_kind or {}
        self._complete: set[Kind] = set()
        self._values: dict[Kind, dict[str, Any]] = defaultdict(dict)
        self._changed: dict[tuple[Kind, str], None] = {}

    def all(self, kind: Kind) -> Mapping[str, Any]:
        """Return every entry of a kind by its name."""
        values = self._values[kind]
        if kind not in self._complete:
            self._complete.add(kind)
            for name, text in self._by_kind.get(kind, {}).items():
                if (kind, name) not in self._changed:
                    values[name] = json.loads(text)
        return values

    def get(self, kind: Kind, name: object = "") -> Any:
        """Return an entry, or None."""
        values, key = self._values[kind], str(name)
        if key not in values and kind not in self._complete and (kind, key) not in self._changed:
            text = self._entries.get(key_of(self._trunk, kind, key))
            if text is not None:
                values[key] = json.loads(text)
        return values.get(key)

    def put(self, kind: Kind, value: Any, name: object = "") -> None:
        """Write an entry; an equal value is no change."""
        if self.get(kind, name) != value:
            self._values[kind][str(name)] = value
            self._changed[kind, str(name)] = None

    def drop(self, kind: Kind, name: object = "") -> None:
        """Delete an entry."""
        if self.get(kind, name) is not None:
            del self._values[kind][str(name)]
            self._changed[kind, str(name)] = None

    def drop_all(self, kind: Kind, names: Iterable[str]) -> None:
        """Delete several entries."""
        for name in list(names):
            self.drop(kind, name)

    def changes(self) -> Iterator[StateEntry]:
        """Yield the changes to store."""
        for kind, name in self._changed:
            value = self._values[kind].get(name)
            text = None if value is None else json.dumps(value, separators=(",", ":"))
            yield StateEntry(key_of(self._trunk, kind, name), text)


@dataclass(frozen=True, slots=True)
class TrunkContext:
    """The dependencies of everything that reads one trunk.

    Attributes:
        trunk: the trunk.
        client: of GitHub's API.
        state: the stored state of the trunk.
        events: the events whose runs count.
        now: seconds since the epoch.
    """

    trunk: Trunk
    client: ListClient
    state: StateStore
    events: frozenset[str]
    now: float

    @property
    def repo_path(self) -> str:
        """The path of the repository in the API."""
        return f"/repos/{self.trunk.repo}"
