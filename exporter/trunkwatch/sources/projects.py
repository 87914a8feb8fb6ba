"""The projects that a source reads: those named in full, and those that globs match."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from typing import NamedTuple, Protocol

import msgspec

from trunkwatch.config.repositories import DEFAULT_BRANCH, is_glob, repo_matches
from trunkwatch.config.schema import ProjectsSource
from trunkwatch.domain.model import Trunk
from trunkwatch.engine.facts import StateEntry
from trunkwatch.errors import NotFoundError, SourceError
from trunkwatch.rest.client import FATAL_ERRORS
from trunkwatch.rest.lists import ListClient
from trunkwatch.sources.port import Limitation

NAMED_SECONDS, GLOB_SECONDS = 3600.0, 600.0
"""Seconds after which a project, and a list of projects, is read again."""


class Project(NamedTuple):
    """A project.

    Attributes:
        id: stays when it is renamed.
        path: with that of its group.
        default_branch: None where it is empty, or its CI is switched off.
        archived: whether nothing can change any more.
    """

    id: int
    path: str
    default_branch: str | None
    archived: bool


class ProjectsApi(Protocol):
    """The requests for projects; both may raise RequestError."""

    client: ListClient

    def project(self, name: str | int) -> Project:
        """Return a project by its path, also a former one, or its id."""

    def projects_below(self, glob: str) -> Iterable[Project]:
        """Return the projects of the owner whose projects a glob may match."""


class _Listed(msgspec.Struct):
    """The projects of one entry of `repos`, as they are stored.

    Attributes:
        site: address of the server.
        read_at: seconds since the epoch.
        projects: as they were then.
    """

    site: str = ""
    read_at: float = 0.0
    projects: list[Project] = []


class Projects:
    """The projects of one refresh.

    Attributes:
        found: by the name under which their results are kept.
        errors: by the entry of `repos` that could never be read.
        gone: by the name of a project that was read before, and that the server does not show any
            more.
        entries: to store.
    """

    def __init__(
        self, api: ProjectsApi, config: ProjectsSource, owns: Callable[[str], bool]
    ) -> None:
        """Args:
        api: of the server.
        config: the source's section of the configuration.
        owns: see `SourceContext`.
        """
        self._api = api
        self._config = config
        self._owns = owns
        self.found: dict[str, Project] = {}
        self.errors: dict[str, SourceError] = {}
        self.gone: dict[str, SourceError] = {}
        self.entries: list[StateEntry] = []
        self._fatal: SourceError | None = None

    def read(self, stored: Mapping[str, str], now: float, *, again: bool) -> None:
        """Read the projects that are due.

        Args:
            stored: the entries of the source's state.
            now: seconds since the epoch.
            again: whether all are due, because one could not be found.
        """
        ids: set[int] = set()
        for entry in sorted(dict.fromkeys(self._config.repos), key=is_glob):
            if not is_glob(entry) and not self._owns(entry):
                continue
            for project in self._listed(entry, stored.get(f"repos {entry}"), now, again).projects:
                selected = not is_glob(entry) or self._config.selects(project.path)
                name = project.path if is_glob(entry) else entry
                if selected and project.id not in ids and self._owns(name):
                    ids.add(project.id)
                    self.found[name] = project

    def _listed(self, entry: str, stored: str | None, now: float, again: bool) -> _Listed:
        listed = _Listed()
        with suppress(msgspec.MsgspecError):
            listed = msgspec.json.decode(stored or "", type=_Listed)
        if listed.site != self._config.site:
            listed = _Listed()
        due = listed.read_at + (GLOB_SECONDS if is_glob(entry) else NAMED_SECONDS)
        if listed.site and listed.read_at <= now < due and not again:
            return listed
        try:
            if self._fatal is not None:
                raise self._fatal
            projects = list(self._projects(entry, listed.projects))
        except SourceError as error:
            if isinstance(error, FATAL_ERRORS):
                self._fatal = error
            # The stored ones are read on: their own requests show whether that is right.
            if not listed.site:
                self.errors[entry] = error
            elif isinstance(error, NotFoundError) and not is_glob(entry):
                self.gone[entry] = error
            return listed
        fresh = _Listed(self._config.site, now, projects)
        self.entries.append(StateEntry(f"repos {entry}", msgspec.json.encode(fresh).decode()))
        return fresh

    def _projects(self, entry: str, before: Iterable[Project]) -> Iterator[Project]:
        if not is_glob(entry):
            yield self._api.project(entry)
            return
        listed = {
            project.id: project
            for project in self._api.projects_below(entry)
            if repo_matches(entry, project.path)
        }
        yield from listed.values()
        for missing in before:
            # Pages shift when a project is deleted: only its own address shows that one is gone.
            if missing.id not in listed and self._owns(missing.path):
                with suppress(NotFoundError):
                    project = self._api.project(missing.id)
                    if repo_matches(entry, project.path) and not project.archived:
                        yield project

    def trunks(self) -> dict[Trunk, Project]:
        """Return the trunks and their projects; an empty project has none."""
        branches = self._config.branches
        return {
            Trunk(repo, project.default_branch if branch == DEFAULT_BRANCH else branch): project
            for repo, project in self.found.items()
            for branch in branches
            if project.default_branch is not None
        }

    def limitations(self) -> Iterator[Limitation]:
        """Yield the named projects that have another path now, or nothing to watch."""
        found = [
            f"{repo} is now {project.path}"
            for repo, project in self.found.items()
            if project.path.lower() != repo.lower()
        ]
        if found:
            text = f"{', '.join(found)}: read on under the old path; write the new one into repos"
            yield Limitation("renamed", text)
        empty = [repo for repo, project in self.found.items() if project.default_branch is None]
        if named := [repo for repo in empty if repo in self._config.repos]:
            yield Limitation("empty", f"{', '.join(named)}: it has no commit, or its CI is off")
