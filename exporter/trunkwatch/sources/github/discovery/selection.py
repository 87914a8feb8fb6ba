"""The repositories that the configuration selects, by name or from the lists of their owners."""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import TypedDict

from trunkwatch.config.repositories import repo_matches
from trunkwatch.config.sources import GithubSource
from trunkwatch.engine.facts import Fact, StateEntry
from trunkwatch.errors import NotFoundError, RequestError, SourceError
from trunkwatch.sources.github.discovery.listing import ListedRepo, OwnerLists
from trunkwatch.sources.github.discovery.record import RecordReader, stored_record
from trunkwatch.sources.github.stored import stored_value
from trunkwatch.sources.port import Limitation

LIST_SECONDS = 3600.0
"""Seconds after which the list of an owner's repositories is read again."""

RETRY_SECONDS = 300.0
"""Seconds after which a list that could not be read is tried again, and after which a webhook of a
repository that is not in it makes it due."""

MAX_CONFIRMED = 20
"""Repositories that left their list, and are asked for one by one in a refresh."""


@dataclass
class _Owner:
    """The list of one owner.

    Attributes:
        at: when it was read (seconds since the epoch).
        repos: its rows.
        tried_at: when it was tried last.
        error: why that failed.
        asked_for_at: when a webhook made it due.
    """

    at: float = 0.0
    repos: tuple[ListedRepo, ...] = ()
    tried_at: float = 0.0
    error: SourceError | None = None
    asked_for_at: float = 0.0


@dataclass
class Selection:
    """The repositories to read.

    Attributes:
        repos: by name.
        left: repositories that are not read any more, with the reason.
        facts: to store.
    """

    repos: list[str] = field(default_factory=list)
    left: dict[str, str] = field(default_factory=dict)
    facts: list[Fact] = field(default_factory=list)


class StoredList(TypedDict):
    """The list of an owner, as it is stored."""

    at: float
    repos: tuple[ListedRepo, ...]


class Selector:
    """Selects repositories; one per source, since it notes the failures of lists."""

    def __init__(
        self,
        config: GithubSource,
        lists: OwnerLists,
        records: RecordReader,
        clock: Callable[[], float],
        owns: Callable[[str], bool],
    ) -> None:
        """Args:
        config: of the source.
        lists: reads the lists of owners.
        records: reads single repositories.
        clock: seconds since the epoch.
        owns: see `SourceContext`.
        """
        self._config = config
        self._lists = lists
        self._records = records
        self._clock = clock
        self._owns = owns
        self._owners: dict[str, _Owner] = {}
        self._confirmed: dict[str, float] = {}
        owners = dict.fromkeys(glob.owner for glob in config.globs)
        self._names: Mapping[str, str] = {owner.lower(): owner for owner in owners}

    def select(self, entries: Mapping[str, str], read: Mapping[str, object]) -> Selection:
        """Return the repositories to read now.

        A repository leaves when it is not selected any more: by the configuration, by a list that
        was read as a whole, and then only if it is not found, archived or renamed. It stays while
        its list cannot be read.

        Args:
            entries: the stored state of the source.
            read: the repositories that were read before.
        """
        found = Selection()
        for owner in self._names.values():
            self._refresh(owner, entries, found)
        selected = dict.fromkeys(filter(self._owns, self._config.named_repos))
        renamed = self._renamed(entries)
        taken = {name.lower() for name in selected} | renamed.keys()
        for name in filter(self._owns, self._listed()):
            if name.lower() not in taken:
                taken.add(name.lower())
                selected[name] = None
        confirmed = 0
        for name in filter(self._owns, read):
            if name in selected:
                continue
            if name.lower() in renamed:
                found.left[name] = f"read as {renamed[name.lower()]}, its former name in repos"
            elif name.lower() in taken:
                found.left[name] = "read under another spelling of its name"
            elif self._config.entry_of(name) is None:
                found.left[name] = "not selected by repos and exclude"
            elif confirmed < MAX_CONFIRMED and self._may_have_left(name):
                confirmed += 1
                self._confirm(name, selected, found)
            else:
                selected[name] = None
        found.repos = list(selected)
        return found

    def _renamed(self, entries: Mapping[str, str]) -> dict[str, str]:
        """Return the former names of repositories in `repos`, by their current ones in lower case.

        A glob may select the current name too; one repository must not be two.
        """
        records = {name: stored_record(name, entries) for name in self._config.named_repos}
        return {
            record.name.lower(): name
            for name, record in records.items()
            if record is not None and record.name.lower() != name.lower()
        }

    def ask_again(self, repo: str) -> None:
        """Make the list of an owner due, since a webhook came of a repository that it lacks."""
        owner = self._owners.get(repo.partition("/")[0].lower())
        if owner is not None:
            owner.asked_for_at = self._clock()

    def error(self) -> SourceError | None:
        """Return why nothing is selected: a list that cannot be read, or a glob without match."""
        failed = (owner.error for owner in self._owners.values() if owner.error is not None)
        unmatched = (NotFoundError(problem) for problem in self._unmatched())
        return next(failed, None) or next(unmatched, None)

    def limitations(self) -> Iterator[Limitation]:
        """Yield what the lists lack."""
        problems = [
            f"the repositories of {self._names[name]} cannot be listed ({owner.error}):"
            + (" those of the last list are read" if owner.at else " none is read")
            for name, owner in sorted(self._owners.items())
            if owner.error is not None
        ]
        problems.extend(self._unmatched())
        if problems:
            yield Limitation("repositories", "; ".join(problems))

    # ------------------------------------------------------------------ lists

    def _refresh(self, name: str, entries: Mapping[str, str], found: Selection) -> None:
        """Read the list of an owner, if it is due."""
        key, now = f"{name} - list -", self._clock()
        owner = self._owners.get(name.lower())
        if owner is None:
            owner = self._owners[name.lower()] = _Owner()
            stored = stored_value(entries.get(key), StoredList)
            if stored is not None:
                owner.at, owner.repos = stored["at"], stored["repos"]
        due = not 0 <= now - owner.at < LIST_SECONDS or owner.asked_for_at > owner.tried_at
        due = due or owner.tried_at > now  # The clock was wrong then.
        if not due or 0 <= now - owner.tried_at < RETRY_SECONDS:
            return
        owner.tried_at = now
        try:
            repos = self._lists.read(name)
        except RequestError as error:
            owner.error = error
            return
        if owner.repos and not repos:
            # Rather a token that lost its rights than an owner that deleted everything.
            owner.error = NotFoundError(f"{name}: the list is empty, and was not before")
            return
        owner.at, owner.repos, owner.error = now, tuple(sorted(repos)), None
        document = {"at": round(now), "repos": owner.repos}
        found.facts.append(StateEntry(key, json.dumps(document, separators=(",", ":"))))

    def _listed(self) -> Iterator[str]:
        for owner in self._owners.values():
            for repo in owner.repos:
                if self._config.entry_of(repo.name) is not None and self._is_wanted(repo):
                    yield repo.name

    def _is_wanted(self, repo: ListedRepo) -> bool:
        may_be_archived, may_be_fork = self._config.archived, self._config.forks
        return (may_be_archived or not repo.archived) and (may_be_fork or not repo.fork)

    def _unmatched(self) -> Iterator[str]:
        """Yield the globs that select nothing of a list that was read."""
        for glob in self._config.globs:
            owner = self._owners.get(glob.owner.lower(), _Owner())
            matched = [repo for repo in owner.repos if repo_matches(glob.name, repo.name)]
            excluded = [repo for repo in matched if self._config.entry_of(repo.name) is None]
            if owner.at and not any(map(self._is_wanted, set(matched) - set(excluded))):
                yield (
                    f"repos: {glob.name} selects none of the {len(owner.repos)} repositories that"
                    f" are listed: {len(matched)} match, {len(excluded)} of these are excluded,"
                    f" {sum(repo.archived for repo in matched)} archived and"
                    f" {sum(repo.fork for repo in matched)} forks"
                )

    # ------------------------------------------------------------------ repositories that left

    def _may_have_left(self, name: str) -> bool:
        """Return whether a repository is missing in a list that was read as a whole lately."""
        owner = self._owners.get(name.partition("/")[0].lower())
        if owner is None or owner.error is not None or not owner.at:
            return False
        return self._confirmed.get(name) != owner.at

    def _confirm(self, name: str, selected: dict[str, None], found: Selection) -> None:
        """Ask for a repository itself: a list may lack one that exists."""
        try:
            current, _, archived = self._records.repository(name)
        except RequestError as error:
            if error.status in (HTTPStatus.NOT_FOUND, HTTPStatus.GONE):
                found.left[name] = "deleted, or made private"
            else:
                selected[name] = None
            return
        owner = self._owners[name.partition("/")[0].lower()]
        self._confirmed[name] = owner.at
        row = next((repo for repo in owner.repos if repo.name == name), None)
        if current.lower() != name.lower():
            found.left[name] = f"renamed to {current}"
        elif archived and not self._config.archived:
            found.left[name] = "archived"
        elif row is not None and row.fork and not self._config.forks:
            found.left[name] = "a fork"
        else:
            selected[name] = None
