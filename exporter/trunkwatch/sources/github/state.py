"""The state of one trunk between refreshes, as small entries, and the context of its readers."""

import json
import math
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, NamedTuple

from trunkwatch.domain.model import Trunk
from trunkwatch.engine.facts import StateEntry
from trunkwatch.rest.lists import ListClient
from trunkwatch.sources.github.rights import Right, Rights
from trunkwatch.sources.github.stored import BY_NUMBER, checked_entry


class Kind(StrEnum):
    """The kind of an entry; "by X" means one entry per X, with X as its name.

    If the format of an entry changes, change its value here: the old entries are then dropped, and
    their content is read again.
    """

    CHAIN = "chain"  # the trunk's commits and the ETag of their list
    READ_DOWN_TO = "read_down_to"  # the oldest commit whose results have been read
    RUN_LIST = "run_list"  # how far the list of runs has been read, and the ETag of its first page
    RUN = "run_2"  # by run id
    COMMIT = "commit"  # by commit: when its suites and its jobs were read last
    TYPICAL_CHECKS = (
        "typical_checks"  # number of check runs of the last commit: an estimate for the next
    )
    TIMED_OUT = "timed_out"  # by job id: a cancelled job that may have timed out, or its conclusion
    NODE = "node"  # by job id: the GraphQL id of a check run whose details may be read
    STEP = "step"  # by job id: its steps have been read
    ANNOTATED = "annotated"  # by job id: its annotations have been read
    PENDING = "pending"  # by run id: jobs from webhooks whose run has not been read
    EXTERNAL = "external"  # by commit: when results of other CI systems were read
    WORKFLOW = "workflow"  # by path: the last state that was reported
    HEAD = "head"  # the heads of the last read after which nothing was left to read
    WORKFLOWS_READ = "workflows_read"  # when the states were read, and at which tip


CLOCK_FIELDS = frozenset({"at", "listed", "changed", "checked"})
"""Fields of entries that hold a moment of our own clock (seconds since the epoch)."""

FAILING = "failing"
"""The field with the moment since which a commit cannot be read."""

HELD_SINCE = frozenset({Kind.PENDING})
"""Entries that are dropped when their moment is long ago; the others are read again then."""

EntriesByKind = Mapping[str, Mapping[str, str]]
"""The texts of one trunk's entries, by kind and name."""


def by_trunk(entries: Mapping[str, str]) -> dict[str, dict[str, dict[str, str]]]:
    """Group the entries of a source by "repo branch", kind and name, in one pass."""
    trunks: dict[str, dict[str, dict[str, str]]] = defaultdict(lambda: defaultdict(dict))
    for key, text in entries.items():
        parts = key.split(" ")
        if len(parts) == len(("repo", "branch", "kind", "name")):
            repo, branch, kind, name = parts
            trunks[f"{repo} {branch}"][kind][name] = text
    return trunks


def key_of(trunk: Trunk, kind: Kind, name: object = "") -> str:
    """Return the key of an entry: parts that contain no blank, joined by blanks."""
    return f"{trunk.repo} {trunk.branch} {kind} {name}"


class StateStore:
    """The entries of one trunk; collects changes until the refresh is stored."""

    def __init__(
        self,
        trunk: Trunk,
        entries: Mapping[str, str],
        by_kind: EntriesByKind | None = None,
        now: float = math.inf,
    ) -> None:
        """Args:
        trunk: the trunk to read.
        entries: the entries of all trunks of the source, by key.
        by_kind: those of this trunk, by kind and name; only `all` needs them.
        now: seconds since the epoch; stored moments after it are dropped.
        """
        self._now = now
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
                    self._load(kind, name, text)
        return values

    def get(self, kind: Kind, name: object = "") -> Any:
        """Return an entry, or None."""
        values, key = self._values[kind], str(name)
        if key not in values and kind not in self._complete and (kind, key) not in self._changed:
            text = self._entries.get(key_of(self._trunk, kind, key))
            if text is not None:
                self._load(kind, key, text)
        return values.get(key)

    def _load(self, kind: Kind, name: str, text: str) -> None:
        """Take over an entry, unless it is damaged.

        A moment of the future was written while the clock was wrong.
        """
        value = checked_entry(kind, text)
        if value is None or (kind in BY_NUMBER and not name.isdecimal()):
            return
        if isinstance(value, dict):
            for field_name in CLOCK_FIELDS & value.keys():
                if value[field_name] > self._now:
                    value[field_name] = self._now if kind in HELD_SINCE else 0.0
            if value.get(FAILING, 0.0) > self._now:
                del value[FAILING]
        self._values[kind][name] = value

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


class Details(NamedTuple):
    """The details of one check run, read through GraphQL.

    Attributes:
        annotations: level, message and path of each, as `annotations.Annotation` has them.
        failed_step: the first step that failed, or None.
    """

    annotations: tuple[tuple[str | None, str | None, str | None], ...]
    failed_step: str | None


@dataclass(frozen=True, slots=True)
class TrunkContext:
    """The dependencies of everything that reads one trunk.

    Attributes:
        trunk: the trunk.
        client: of GitHub's REST API.
        state: the stored state of the trunk.
        events: the events whose runs count.
        now: seconds since the epoch.
        rights: the addresses that the token may read.
        details: of check runs, by job id, as far as they were read ahead in this refresh.
    """

    trunk: Trunk
    client: ListClient
    state: StateStore
    events: frozenset[str]
    now: float
    rights: Rights
    details: dict[str, Details] = field(default_factory=dict)

    @property
    def repo_path(self) -> str:
        """The path of the repository in the API."""
        return f"/repos/{self.trunk.repo}"

    def may(self, right: Right) -> bool:
        """Return whether something of this repository was not refused lately."""
        return self.rights.allows(self.trunk.repo, right, self.now)

    def refused(self, right: Right) -> None:
        """Record that the server refuses something of this repository."""
        self.rights.refuse(self.trunk.repo, right, self.now)

    def granted(self, right: Right) -> None:
        """Record that the server has answered something of this repository."""
        self.rights.grant(self.trunk.repo, right)
