"""Reading one repository: which trunks it has, those with news, and those that are gone."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from http import HTTPStatus

from trunkwatch.config.repositories import DEFAULT_BRANCH
from trunkwatch.config.sources import GithubSource
from trunkwatch.domain.model import Trunk
from trunkwatch.engine.facts import Fact, StateEntry, TrunkRemoved
from trunkwatch.errors import BadAnswerError, NotFoundError, RequestError, SourceError
from trunkwatch.sources.github.discovery.heads import Head, HeadRequest
from trunkwatch.sources.github.discovery.idle import is_settled, last_read, note_read
from trunkwatch.sources.github.discovery.record import (
    RecordReader,
    RepoRecord,
    key_of_repo,
    stored_record,
)
from trunkwatch.sources.github.outcome import Outcome
from trunkwatch.sources.github.state import EntriesByKind, Kind, TrunkContext

RECORD_SECONDS = 3600.0
"""Seconds after which a repository's default branch, and the branches of globs, are read again."""

ReadTrunk = Callable[[TrunkContext], Outcome]
ContextOf = Callable[[Trunk, EntriesByKind], TrunkContext]


@dataclass(frozen=True, slots=True)
class StoredRepo:
    """The stored state of one repository.

    Attributes:
        repo: owner/name.
        entries: the state of the whole source, by key.
        trunks: the entries of each trunk that was read, by branch.
    """

    repo: str
    entries: Mapping[str, str]
    trunks: Mapping[str, EntriesByKind]

    @property
    def record(self) -> RepoRecord | None:
        """The stored record of the repository."""
        return stored_record(self.repo, self.entries)

    def without(self, branch: str, reason: str) -> Iterator[Fact]:
        """Yield the removal of a trunk and of the state that was stored to read it."""
        yield TrunkRemoved(Trunk(self.repo, branch), reason)
        for kind, names in self.trunks.get(branch, {}).items():
            yield from (StateEntry(f"{self.repo} {branch} {kind} {name}", None) for name in names)

    def removal(self, reason: str) -> Iterator[Fact]:
        """Yield the removal of all its trunks and of all its state."""
        for branch in self.trunks:
            yield from self.without(branch, reason)
        if key_of_repo(self.repo) in self.entries:
            yield StateEntry(key_of_repo(self.repo), None)


@dataclass
class RepoOutcome:
    """The result of reading one repository.

    Attributes:
        repo: owner/name.
        facts: to store.
        trunks: the outcome of each trunk that was read, or could not be.
        watched: the trunks of the repository now; None where they could not be read.
        record: of the repository, if it has one.
        is_left_out: whether nothing was read, since no request could be sent for it now.
    """

    repo: str
    facts: list[Fact] = field(default_factory=list)
    trunks: dict[Trunk, Outcome] = field(default_factory=dict)
    watched: frozenset[Trunk] | None = None
    record: RepoRecord | None = None
    is_left_out: bool = False


class RepoReader:
    """Reads repositories, several at once."""

    def __init__(
        self,
        config: GithubSource,
        records: RecordReader,
        context: ContextOf,
        clock: Callable[[], float],
    ) -> None:
        """Args:
        config: of the source.
        records: reads repositories themselves.
        context: returns the dependencies of reading a trunk.
        clock: seconds since the epoch.
        """
        self._config = config
        self._records = records
        self._context = context
        self._clock = clock

    def head_request(self, stored: StoredRepo) -> HeadRequest:
        """Return the query about the heads of a repository."""
        sections, record = self._config.branches_of(stored.repo), stored.record
        globs = tuple(section.name for section in sections if section.is_glob)
        listed = record.trunks(stored.repo, sections) if record is not None else {}
        branches = [section.name for section in sections if not section.is_default]
        named = [name for name in branches if name not in globs]
        found = [trunk.branch for trunk, name in listed.items() if name in globs]
        return HeadRequest(
            stored.repo,
            tuple(dict.fromkeys([*named, *found])),
            any(section.is_default for section in sections),
            globs if self._is_due(stored, record) else (),
        )

    def with_heads(self, stored: StoredRepo, head: Head) -> RepoRecord:
        """Return the record of a repository, given its heads."""
        before, now = stored.record, self._clock()
        if before is None:
            before = RepoRecord(0.0, head.name, head.default)
        sections = self._config.branches_of(stored.repo)
        named = {each.name for each in sections if not (each.is_default or each.is_glob)}
        missing = {branch for branch in named if branch in head.tips and head.tips[branch] is None}
        was_read = {branch for branch, kinds in stored.trunks.items() if Kind.CHAIN in kinds}
        gone = missing if self._by_glob(stored.repo) else missing & (was_read | set(before.gone))
        is_due = self._is_due(stored, stored.record)
        return replace(
            before,
            at=round(now) if is_due else before.at,
            name=head.name,
            default=head.default,
            branches=head.branches if is_due else before.branches,
            gone=tuple(sorted(gone)),
        )

    def read(
        self, stored: StoredRepo, head: Head | None, read_trunk: ReadTrunk, *, moved: bool = False
    ) -> RepoOutcome:
        """Read the trunks of a repository; an error is that of its trunks.

        Args:
            stored: its state.
            head: its heads; None where they were not read.
            read_trunk: reads one trunk.
            moved: whether the server redirected requests of the repository.
        """
        found = RepoOutcome(stored.repo)
        sections = self._config.branches_of(stored.repo)
        try:
            record = found.record = self._record(stored, head, moved=moved)
        except SourceError as error:
            branches = stored.trunks or [section.name for section in sections]
            found.trunks = {Trunk(stored.repo, each): Outcome(error=error) for each in branches}
            return found
        if record is not None and record != stored.record:
            found.facts.append(record.entry(stored.repo))
        plain = record or RepoRecord(0.0, stored.repo, "")
        trunks = {trunk: name for trunk, name in plain.trunks(stored.repo, sections).items()
                  if trunk.branch}  # fmt: skip
        for branch in stored.trunks:
            if Trunk(stored.repo, branch) not in trunks:
                reason = self._reason(Trunk(stored.repo, branch), plain)
                found.facts.extend(stored.without(branch, reason))
        found.watched = frozenset(trunks)
        self._check_default(plain, found)
        for trunk in trunks:
            tip = head.tips.get(trunk.branch) if head is not None else None
            self._read_trunk(trunk, tip, stored, read_trunk, found)
        return found

    def _check_default(self, record: RepoRecord, found: RepoOutcome) -> None:
        """Note the error of a repository that is named in full, and has no commit yet."""
        wants_default = any(each.is_default for each in self._config.branches_of(found.repo))
        if wants_default and not record.default and not self._by_glob(found.repo):
            error = BadAnswerError(f"{found.repo}: Git Repository is empty.")
            found.trunks[Trunk(found.repo, DEFAULT_BRANCH)] = Outcome(error=error)

    def _read_trunk(
        self,
        trunk: Trunk,
        tip: str | None,
        stored: StoredRepo,
        read_trunk: ReadTrunk,
        found: RepoOutcome,
    ) -> None:
        entries = stored.trunks.get(trunk.branch, {})
        context = self._context(trunk, entries)
        outcome = read_trunk(context)
        error = outcome.error
        by_glob = self._by_glob(trunk.repo)
        may_be_gone = isinstance(error, NotFoundError) and (by_glob or Kind.CHAIN in entries)
        if may_be_gone and self._forget_gone(trunk, stored, found):
            default = found.record.default if found.record else ""
            if default not in ("", trunk.branch) and default not in stored.trunks:
                self._read_trunk(Trunk(trunk.repo, default), None, stored, read_trunk, found)
            return
        is_empty = isinstance(error, RequestError) and error.status == HTTPStatus.CONFLICT
        if by_glob and is_empty:
            found.watched = frozenset((found.watched or frozenset()) - {trunk})
            return
        now = self._clock()
        settled = is_settled(outcome, context.state, now)
        before = last_read(trunk, stored.entries)
        note = note_read(trunk, before, tip, settled=settled, now=now)
        found.facts.extend(outcome.facts)
        found.facts.extend([] if note is None else [note])
        found.trunks[trunk] = outcome

    def _by_glob(self, repo: str) -> bool:
        """Return whether a glob selects a repository, which may then be empty or lack branches."""
        entry = self._config.entry_of(repo)
        return entry is not None and entry.is_glob

    def _forget_gone(self, trunk: Trunk, stored: StoredRepo, found: RepoOutcome) -> bool:
        """End the trunk of a branch that was deleted; return whether it was.

        It is no error from then on. Another default branch may have taken its place.
        """
        sections, now = self._config.branches_of(stored.repo), round(self._clock())
        record = found.record or RepoRecord(now, stored.repo, "")
        try:
            if not self._records.is_gone(trunk.repo, trunk.branch):
                return False
            if any(section.name == trunk.branch for section in sections):
                record = replace(record, gone=tuple(sorted({*record.gone, trunk.branch})), at=now)
            else:
                record = self._records.read(stored.repo, sections, replace(record, etag=None), now)
        except RequestError:
            return False
        found.record = record
        found.facts.append(record.entry(stored.repo))
        found.facts.extend(stored.without(trunk.branch, self._reason(trunk, record)))
        found.watched = frozenset(record.trunks(stored.repo, sections))
        return True

    def _record(self, stored: StoredRepo, head: Head | None, *, moved: bool) -> RepoRecord | None:
        """Return the record of a repository, read again if it is due."""
        if head is not None:
            return self.with_heads(stored, head)
        record = stored.record
        sections = self._config.branches_of(stored.repo)
        by_name = not any(section.is_default or section.is_glob for section in sections)
        was_moved = record is not None and record.name.lower() != stored.repo.lower()
        if by_name and not moved and not (record and (record.gone or was_moved)):
            return record
        if not self._is_due(stored, record) and (was_moved or not moved):
            return record
        return self._records.read(stored.repo, sections, record, round(self._clock()))

    def _is_due(self, stored: StoredRepo, record: RepoRecord | None) -> bool:
        """Return whether a repository's own data are read again."""
        if record is None:
            return True
        sections = self._config.branches_of(stored.repo)
        globs = {section.name for section in sections if section.is_glob}
        is_new = bool(globs - record.branches.keys())
        no_default = not record.default and any(section.is_default for section in sections)
        return is_new or no_default or not 0 <= self._clock() - record.at < RECORD_SECONDS

    def _reason(self, trunk: Trunk, record: RepoRecord) -> str:
        repo, branch = trunk
        sections = self._config.branches_of(repo)
        if branch in record.gone:
            return "the branch was deleted"
        if any(section.is_glob and section.may_select(branch) for section in sections):
            rows = (name for each in record.branches.values() for name, _, _ in each)
            is_there = branch in rows
            return "no longer among the newest" if is_there else "the branch was deleted"
        if any(section.is_default for section in sections):
            return f"not the default branch, which is {record.default}"
        return "not selected by branches"
