"""The projects and branches that a source reads: named in full, or matched by globs."""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple, Protocol

from trunkwatch.config.repositories import BranchSection, glob_matches, is_glob, repo_matches
from trunkwatch.config.sources import ProjectsSource
from trunkwatch.domain.model import Trunk
from trunkwatch.engine.facts import StateEntry
from trunkwatch.errors import NotFoundError, SourceError
from trunkwatch.rest.lists import ListClient
from trunkwatch.sources.port import Limitation
from trunkwatch.sources.stored_lists import StoredLists

NAMED_SECONDS, GLOB_SECONDS = 3600.0, 600.0
"""Seconds after which a project, and a list of projects or branches, is read again."""

READERS = 4
"""Trunks, or lists of branches, that are read at once."""

EMPTY = "it has no commit, its CI is off, or the token may not read its code"
"""Why a project has nothing to watch."""

BRANCHES_KEY = "branches "
"""The begin of the keys of the lists of branches, with the project's id and the glob after it."""


class Project(NamedTuple):
    """A project.

    Attributes:
        id: stays when it is renamed.
        path: with that of its group.
        default_branch: None where it is empty, or its CI is switched off.
        archived: whether nothing can change any more.
        shows_code: whether the token may read its code, and so the name of its default branch.
    """

    id: int
    path: str
    default_branch: str | None
    archived: bool
    shows_code: bool = True


class Branch(NamedTuple):
    """A branch.

    Attributes:
        name: of the branch.
        committed: date of its newest commit (seconds since the epoch); 0 for none.
    """

    name: str
    committed: float


class ProjectsApi(Protocol):
    """The requests for projects and branches; each may raise RequestError."""

    client: ListClient

    def project(self, name: str | int) -> Project:
        """Return a project by its path, also a former one, or its id."""

    def projects_below(self, glob: str) -> Iterable[Project]:
        """Return the projects of the owner whose projects a glob may match."""

    def branches(self, project: Project, glob: str) -> Iterable[Branch]:
        """Return the branches of a project among which a glob may match some."""

    def branch(self, project: Project, name: str) -> Branch:
        """Return a branch of a project."""


class Projects:
    """The projects of one refresh.

    Attributes:
        found: by the name under which their results are kept.
        errors: by the entry of `repos`, or the glob of branches, that could never be read.
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
        self._unmatched: list[str] = []
        self._branches: dict[tuple[int, str], list[Branch]] = {}

    def read(self, stored: Mapping[str, str], now: float, missing: Collection[str]) -> None:
        """Read the projects, and the branches that globs select, that are due.

        Args:
            stored: the entries of the source's state.
            now: seconds since the epoch.
            missing: the projects with a trunk that could not be found: the lists that select them
                are due, and those of their branches.
        """
        lists = StoredLists(self._config.site, stored, now)
        ids: set[int] = set()
        for entry in sorted(dict.fromkeys(self._config.repos), key=is_glob):
            if not is_glob(entry) and not self._owns(entry):
                continue
            again = any(repo_matches(entry, repo) for repo in missing)
            for project in self._listed(entry, lists, again=again):
                selected = not is_glob(entry) or self._config.selects(project.path)
                name = project.path if is_glob(entry) else entry
                if selected and project.id not in ids and self._owns(name):
                    ids.add(project.id)
                    self.found[name] = project
        self._read_branches(lists, missing)
        self.entries = lists.entries
        # A project that is not selected any more leaves no list of branches behind.
        keys = {_branches_key(*each) for each in self._branches}
        obsolete = (key for key in stored if key.startswith(BRANCHES_KEY) and key not in keys)
        if not self.errors:
            self.entries += (StateEntry(key, None) for key in obsolete)

    def _listed(self, entry: str, lists: StoredLists, *, again: bool) -> list[Project]:
        seconds = GLOB_SECONDS if is_glob(entry) else NAMED_SECONDS
        listed, error = lists.read(
            f"repos {entry}",
            Project,
            seconds,
            lambda before: self._projects(entry, before),
            again=again,
        )
        if error is not None and not listed.site:
            self.errors[entry] = error
        elif isinstance(error, NotFoundError) and not is_glob(entry):
            self.gone[entry] = error
        elif is_glob(entry) and not listed.rows:
            self._unmatched.append(entry)
        return listed.rows

    def _projects(self, entry: str, before: Collection[Project]) -> Iterator[Project]:
        branches = {project.id: project.default_branch for project in before}
        for project in self._fetched(entry, before):
            # A token that lost a right has ended no outage: the trunk's requests name the loss.
            branch = project.default_branch if project.shows_code else branches.get(project.id)
            yield project._replace(default_branch=branch)

    def _fetched(self, entry: str, before: Iterable[Project]) -> Iterator[Project]:
        if not is_glob(entry):
            yield self._api.project(entry)
            return
        listed = {
            project.id: project
            for project in self._api.projects_below(entry)
            if repo_matches(entry, project.path)
        }
        yield from listed.values()
        gone: NotFoundError | None = None
        for missing in before:
            # Pages shift when a project is deleted: only its own address shows that one is gone.
            if missing.id not in listed and self._owns(missing.path):
                try:
                    project = self._api.project(missing.id)
                except NotFoundError as error:
                    if error.is_refused:
                        raise
                    gone = error
                    continue
                if repo_matches(entry, project.path) and not project.archived:
                    listed[project.id] = project
                    yield project
        if gone is not None and not listed:
            # A token that lost its membership is shown none either: that ends no outage.
            raise gone

    def _read_branches(self, lists: StoredLists, missing: Collection[str]) -> None:
        """Read the branches of each project that each glob selects."""
        globs = dict.fromkeys(each.name for each in self._config.branches if each.is_glob)
        due = [
            (repo, project, glob)
            for repo, project in self.found.items()
            for glob in globs
            if project.default_branch is not None
        ]

        def read(repo: str, project: Project, glob: str) -> None:
            listed, error = lists.read(
                _branches_key(project.id, glob),
                Branch,
                GLOB_SECONDS,
                lambda before: self._matching(project, glob, before),
                again=repo in missing,
            )
            if error is not None and not listed.site:
                self.errors[f"{repo} {glob}"] = error
            else:
                self._branches[project.id, glob] = listed.rows

        with ThreadPoolExecutor(READERS) as pool:
            for _ in pool.map(lambda each: read(*each), due):
                pass

    def _matching(self, project: Project, glob: str, before: Iterable[Branch]) -> Iterator[Branch]:
        rows = tuple(self._api.branches(project, glob))
        listed = {branch.name for branch in rows}
        yield from (branch for branch in rows if glob_matches(glob, branch.name))
        for missing in before:
            # As for projects: pages shift when a branch is deleted.
            if missing.name not in listed:
                try:
                    yield self._api.branch(project, missing.name)
                except NotFoundError as error:
                    if error.is_refused:
                        raise

    def _names(self, section: BranchSection, project: Project) -> Iterator[str | None]:
        """Yield the branches of a project that an entry of `branches` selects."""
        if section.is_default:
            yield project.default_branch
        elif not section.is_glob:
            yield section.name
        else:
            matching = self._branches.get((project.id, section.name), [])
            newest_first = sorted(matching, key=lambda each: (-each.committed, each.name))
            yield from (branch.name for branch in newest_first[: section.newest])

    def trunks(self) -> dict[Trunk, Project]:
        """Return the trunks and their projects; an empty project has none."""
        return {
            Trunk(repo, branch): project
            for repo, project in self.found.items()
            if project.default_branch is not None
            for section in self._config.branches
            for branch in self._names(section, project)
            if branch is not None
        }

    def limitations(self) -> Iterator[Limitation]:
        """Yield the named projects that have another path now, and what selects nothing."""
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
            yield Limitation("empty", f"{', '.join(named)}: {EMPTY}")
        if self._unmatched:
            text = f"{', '.join(self._unmatched)}: no project has such a path"
            yield Limitation("repositories", text)
        matched = {glob for (_, glob), branches in self._branches.items() if branches}
        globs = {glob for _, glob in self._branches}
        if unmatched := sorted(globs - matched):
            yield Limitation("branches", f"{', '.join(unmatched)}: no project has such a branch")


def _branches_key(project: int, glob: str) -> str:
    return f"{BRANCHES_KEY}{project} {glob}"
