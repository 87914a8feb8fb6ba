"""The suspects of an outage in the order of the evidence, from the files that they change.

A failure may name files, in its failed step or its annotations, and belongs to a workflow. A
suspect that changes one of these is likelier to have broken the job than one that does not; it is
evidence, and no verdict.
"""

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from types import MappingProxyType
from typing import NamedTuple

from trunkwatch.domain.blame import Blame
from trunkwatch.domain.model import Commit

PATHS_LIMIT = 300
"""Changed files of a commit that are kept: GitHub lists no more on one page."""

PATH_CHARACTERS = 300
"""Characters of a path; a longer one, or one that cannot be shown, is left out."""

PATHS_CHARACTERS = 16_384
"""Characters of all paths of a commit together."""

RANKED_COMMITS = 10
"""The newest suspects of an outage whose files are read one by one."""

RANKED_RANGES = 20
"""The newest ranges of suspects of a trunk that are ranked: outages that began together share
one."""

STEP_CHARACTERS = 500
"""Characters of a step's name in which files are looked for."""


class Span(NamedTuple):
    """One commit, or all commits after another one up to it.

    Attributes:
        until: the newest commit, as a full hash.
        since: the commit before the oldest one; None for one commit alone.
    """

    until: str
    since: str | None = None


@dataclass(frozen=True)
class ChangedFiles:
    """The files that a commit changes, or several commits together.

    Attributes:
        paths: from the root of the repository, also the former one of a renamed file.
        is_complete: whether these are all of them.
    """

    paths: tuple[str, ...]
    is_complete: bool

    @cached_property
    def by_end(self) -> Mapping[str, str]:
        """A path by each of its ends: `a/b.py` by `a/b.py` and `b.py`; a whole path comes first."""
        ends: dict[str, str] = {path: path for path in self.paths}
        for path in self.paths:
            rest = path
            while "/" in rest:
                rest = rest.partition("/")[2]
                ends.setdefault(rest, path)
        return ends

    @cached_property
    def by_folder(self) -> Mapping[str, str]:
        """The first path below each top folder."""
        folders: dict[str, str] = {}
        for path in self.paths:
            folder, slash, _ = path.partition("/")
            if slash:
                folders.setdefault(folder, path)
        return folders


NO_FILES: Mapping[Span, ChangedFiles] = MappingProxyType({})
"""The files of a trunk of which none were read."""

UNREADABLE_FILES = ChangedFiles((), is_complete=False)
"""Stands for files that were asked for and cannot be read."""


def changed_files(paths: Iterable[object], *, is_complete: bool) -> ChangedFiles:
    """Return the files of a commit, bounded; texts that cannot be shown are left out.

    Args:
        paths: as the source has them.
        is_complete: whether these are all of them.
    """
    kept: dict[str, None] = {}
    characters = 0
    for path in paths:
        if not isinstance(path, str) or not path.isprintable() or len(path) > PATH_CHARACTERS:
            is_complete = False
        elif path and path not in kept:
            characters += len(path)
            if characters > PATHS_CHARACTERS or len(kept) == PATHS_LIMIT:
                is_complete = False
                break
            kept[path] = None
    return ChangedFiles(tuple(kept), is_complete)


class SuspectEvidence(StrEnum):
    """The strongest evidence against a suspect, strongest first."""

    FAILED = "failed"  # the job failed there
    NAMED_FILE = "named_file"  # it changes a file that the failed step or an annotation names
    WORKFLOW = "workflow"  # it changes the workflow, or CI's configuration beside it
    OTHER = "other"  # it changes neither
    UNKNOWN = "unknown"  # its files were not read, or not all of them


_PLACES: Mapping[SuspectEvidence, int] = {
    SuspectEvidence.FAILED: 0,
    SuspectEvidence.NAMED_FILE: 1,
    SuspectEvidence.WORKFLOW: 2,
    # Unread files are evidence neither against a commit nor for it.
    SuspectEvidence.OTHER: 3,
    SuspectEvidence.UNKNOWN: 3,
}


class FileEvidence(NamedTuple):
    """The evidence of the files of a commit.

    Attributes:
        kind: any but `FAILED`.
        path: the changed file; None where there is none.
    """

    kind: SuspectEvidence
    path: str | None = None


class RankedSuspect(NamedTuple):
    """A suspect with the evidence against it.

    Attributes:
        commit: the suspect.
        failed: whether the job failed there.
        files: the evidence of its files.
    """

    commit: Commit
    failed: bool
    files: FileEvidence

    @property
    def evidence(self) -> SuspectEvidence:
        """The strongest evidence."""
        return SuspectEvidence.FAILED if self.failed else self.files.kind


class Clues(NamedTuple):
    """The files that a failure points to.

    Attributes:
        names: ends of paths, or absolute paths, as the failure names them.
        workflow: the path of its workflow; None where the CI has none.
    """

    names: tuple[str, ...]
    workflow: str | None

    def evidence_of(self, files: ChangedFiles) -> FileEvidence:
        """Return the evidence of some changed files."""
        named = next(filter(None, (_named(name, files) for name in self.names)), None)
        if named is not None:
            return FileEvidence(SuspectEvidence.NAMED_FILE, named)
        configured = self._configuration(files)
        if configured is not None:
            return FileEvidence(SuspectEvidence.WORKFLOW, configured)
        kind = SuspectEvidence.OTHER if files.is_complete else SuspectEvidence.UNKNOWN
        return FileEvidence(kind)

    def _configuration(self, files: ChangedFiles) -> str | None:
        """Return a changed file of the workflow, its own file first.

        Beside it are those of its hidden top folder, such as `.github`: other workflows and actions
        that it may use.
        """
        path = self.workflow or ""
        if files.by_end.get(path) == path:
            return path
        folder, slash, _ = path.partition("/")
        return files.by_folder.get(folder) if slash and folder.startswith(".") else None


def clues_of(blame: Blame) -> Clues:
    """Return the files that the first failing run points to."""
    texts = ((blame.failed_step or "")[:STEP_CHARACTERS], *blame.annotations)
    return Clues(tuple(dict.fromkeys(_names(texts))), blame.run.job.workflow_path)


# Without the colon, which stands before a line number or a drive's path.
_WORD = re.compile(r"[\w./\\+@~-]+")


def _names(texts: Iterable[str]) -> Iterator[str]:
    """Yield the words of some texts that may name a file: with a folder, or with an ending."""
    for word in (word for text in texts for word in _WORD.findall(text)):
        name = word.replace("\\", "/").rstrip(".")
        while name.startswith(("./", "../")):
            name = name.partition("/")[2]
        if "/" in name or "." in name:
            yield name


def _named(name: str, files: ChangedFiles) -> str | None:
    """Return the changed file that a name means: by an end of its path, or by a place on disk."""
    found = files.by_end.get(name)
    rest = name if name.startswith("/") else ""
    while found is None and "/" in rest:
        rest = rest.partition("/")[2]
        found = rest if files.by_end.get(rest) == rest else None
    return found or None


def ranked_suspects(blame: Blame, files: Mapping[Span, ChangedFiles]) -> list[RankedSuspect]:
    """Return the suspects, those with the strongest evidence first, else the newest first.

    Args:
        blame: of an outage or a streak.
        files: of commits, and of all suspects together, as far as they were read.
    """
    # Most outages have no files, and many jobs may fail at once.
    clues = clues_of(blame) if files else Clues((), None)
    together = files.get(_range_of(blame))
    of_all = clues.evidence_of(together) if together is not None else None
    is_other = of_all is not None and of_all.kind is SuspectEvidence.OTHER
    default = FileEvidence(SuspectEvidence.OTHER if is_other else SuspectEvidence.UNKNOWN)
    found = []
    for commit in reversed(blame.suspects or ()):
        own = files.get(Span(commit.sha))
        evidence = default if own is None else clues.evidence_of(own)
        # First bad is the only one with a result, see `Blame.tested`.
        found.append(RankedSuspect(commit, commit.sha == blame.first_bad.sha, evidence))
    return sorted(found, key=lambda each: _PLACES[each.evidence])


def unread_files_of(blames: Iterable[Blame], files: Mapping[Span, ChangedFiles]) -> list[Span]:
    """Return the files to read next to rank the suspects of some outages.

    First those of all suspects of an outage together: one comparison shows whether those of each
    can discriminate. Only the newest outages of a trunk are looked at, so that the files of all of
    them are kept.

    Args:
        blames: of the open outages of a trunk.
        files: those that were read.
    """
    by_range: dict[Span, list[Blame]] = defaultdict(list)
    for blame in sorted(blames, key=lambda each: -each.commit_index):
        together = _range_of(blame)
        has_room = together in by_range or len(by_range) < RANKED_RANGES
        if len(blame.suspects or ()) > 1 and has_room:
            by_range[together].append(blame)
    unread: dict[Span, None] = {}
    for together, members in by_range.items():
        if together not in files:
            unread[together] = None
            continue
        newest = reversed((members[0].suspects or ())[-RANKED_COMMITS:])
        spans = [span for span in map(Span, (each.sha for each in newest)) if span not in files]
        if spans and any(_may_discriminate(blame, files[together]) for blame in members):
            unread |= dict.fromkeys(spans)
    return list(unread)


def _may_discriminate(blame: Blame, together: ChangedFiles) -> bool:
    """Return whether the files of each suspect may rank them, given those of all together."""
    return clues_of(blame).evidence_of(together).kind is not SuspectEvidence.OTHER


def _range_of(blame: Blame) -> Span:
    good = blame.last_good
    return Span(blame.first_bad.sha, good.sha if good is not None else None)
