"""The branches of one repository: its default branch, and those that globs select."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from http import HTTPStatus
from typing import Any
from urllib.parse import quote

from trunkwatch.config.repositories import BranchSection, glob_matches
from trunkwatch.domain.model import Trunk
from trunkwatch.engine.facts import StateEntry
from trunkwatch.errors import BadAnswerError, NotFoundError
from trunkwatch.rest.lists import ListClient, Listing, page_numbers
from trunkwatch.sources.github.stored import stored_value
from trunkwatch.times import parse_time

HEADS = "refs/heads/"


@dataclass(frozen=True, slots=True)
class RepoRecord:
    """A repository's own data.

    Attributes:
        at: when (seconds since the epoch).
        name: its current owner/name.
        default: its default branch.
        branches: the branches that each glob matches, with the tip and its time.
        gone: configured branches that had been read, and do not exist any more.
        etag: of its document in REST, valid for the token with the fingerprint `token`.
        token: the fingerprint.
    """

    at: float
    name: str
    default: str
    branches: Mapping[str, Sequence[tuple[str, str, float]]] = field(default_factory=dict)
    gone: tuple[str, ...] = ()
    etag: str | None = None
    token: str = ""

    def trunks(self, repo: str, sections: Sequence[BranchSection]) -> dict[Trunk, str]:
        """Return the trunks to watch, each with the entry that selects it.

        Args:
            repo: as the results are labelled.
            sections: the configured branches.
        """
        found: dict[Trunk, str] = {}
        for section in sections:
            for branch in self._selected(section):
                if branch not in self.gone:
                    found.setdefault(Trunk(repo, branch), section.name)
        return found

    def _selected(self, section: BranchSection) -> list[str]:
        if section.is_default:
            return [self.default]
        if not section.is_glob:
            return [section.name]
        rows = sorted(self.branches.get(section.name, ()), key=lambda row: (-row[2], row[0]))
        return [name for name, _, _ in rows[: section.newest]]

    def entry(self, repo: str) -> StateEntry:
        """Return the record as it is stored."""
        return StateEntry(key_of_repo(repo), json.dumps(asdict(self), separators=(",", ":")))


def key_of_repo(repo: str) -> str:
    """Return the key of a repository's record."""
    return f"{repo} - repo -"


def stored_record(repo: str, entries: Mapping[str, str]) -> RepoRecord | None:
    """Return the stored record of a repository."""
    return stored_value(entries.get(key_of_repo(repo)), RepoRecord)


def prefix_of(glob: str) -> str:
    """Return the part of a glob before its first wildcard."""
    return glob[: min(glob.find(sign) % (len(glob) + 1) for sign in "*?")]


def _ref_of(row: Mapping[str, Any]) -> tuple[str, str]:
    ref, sha = row["ref"], row["object"]["sha"]
    if not (isinstance(ref, str) and isinstance(sha, str)):
        raise ValueError(f"a ref with the name {ref!r} and the commit {sha!r}")
    return ref.removeprefix(HEADS), sha


REFS: Listing[tuple[str, str]] = Listing(_ref_of, lambda row: row[0])


class RecordReader:
    """Reads records through REST."""

    def __init__(self, client: ListClient) -> None:
        self._client = client

    def read(
        self, repo: str, sections: Sequence[BranchSection], before: RepoRecord | None, now: float
    ) -> RepoRecord:
        """Return the record of a repository.

        Args:
            repo: owner/name.
            sections: the configured branches.
            before: the last record, for the times of commits; None for none.
            now: seconds since the epoch.

        Raises:
            RequestError: something could not be read.
        """
        token = self._client.fingerprint()
        etag = before.etag if before is not None and before.token == token else None
        reply = self._client.get_if_changed(f"/repos/{repo}", (), etag)
        if reply is None and before is not None:
            name, default = before.name, before.default
        else:
            found = reply.document if reply is not None else None
            name, default, _ = _parsed(repo, found)
            etag = reply.etag if reply is not None else None
        globs = [section for section in sections if section.is_glob]
        branches = {section.name: self._matching(repo, section, before) for section in globs}
        gone = [branch for branch in (before.gone if before else ()) if branch != default]
        left = tuple(branch for branch in gone if not self.has_branch(repo, branch))
        return RepoRecord(now, name, default, branches, left, etag, token)

    def repository(self, repo: str) -> tuple[str, str, bool]:
        """Return the current name, the default branch, and whether a repository is archived."""
        return _parsed(repo, self._client.get(f"/repos/{repo}"))

    def has_branch(self, repo: str, branch: str) -> bool:
        """Return whether a branch exists; GitHub redirects the name of a renamed one."""
        try:
            document = self._client.get(f"/repos/{repo}/branches/{quote(branch, safe='')}")
        except NotFoundError as error:
            if error.status != HTTPStatus.NOT_FOUND:
                raise
            return False
        return isinstance(document, dict) and document.get("name") == branch

    def is_gone(self, repo: str, branch: str) -> bool:
        """Return whether a branch does not exist although the token may read branches.

        Raises:
            RequestError: that could not be read.
        """
        _, default, _ = self.repository(repo)
        return self.has_branch(repo, default) and not self.has_branch(repo, branch)

    def _matching(
        self, repo: str, section: BranchSection, before: RepoRecord | None
    ) -> list[tuple[str, str, float]]:
        prefix = quote(prefix_of(section.name))
        rows, dropped = self._refs(f"/repos/{repo}/git/matching-refs/heads/{prefix}")
        old = before.branches.get(section.name, ()) if before else ()
        if dropped:
            # A branch whose row cannot be read is not gone.
            rows = {name: sha for name, sha, _ in old} | rows
        times = {sha: at for _, sha, at in old}
        return [
            (name, sha, times[sha] if sha in times else self._time(repo, sha, section))
            for name, sha in rows.items()
            if glob_matches(section.name, name)
        ]

    def _refs(self, path: str) -> tuple[dict[str, str], int]:
        """Return the commit of each branch, and the number of rows that cannot be read.

        A server may answer this list in pages or at once.
        """
        found: dict[str, str] = {}
        dropped = 0
        most = self._client.max_list_pages
        for number in page_numbers(f"GET {self._client.address(path)}", most):
            page = self._client.cached_page(path, (), number, REFS)
            if page.rows and page.rows[0][0] in found:
                break
            found |= dict(page.rows)
            dropped += page.dropped
            if len(page.rows) + page.dropped != self._client.per_page:
                break
        return found, dropped

    def _time(self, repo: str, sha: str, section: BranchSection) -> float:
        """Return the time of a commit (seconds since the epoch); 0 where it does not matter."""
        if section.newest is None:
            return 0.0
        document = self._client.get(f"/repos/{repo}/commits/{sha}")
        try:
            return parse_time(document["commit"]["committer"]["date"])
        except (KeyError, TypeError, ValueError):
            return 0.0


def _parsed(repo: str, document: object) -> tuple[str, str, bool]:
    """Return the name, the default branch, and whether the repository is archived."""
    found = document if isinstance(document, dict) else {}
    name, default = found.get("full_name", repo), found.get("default_branch")
    if not isinstance(default, str) or not isinstance(name, str):
        raise BadAnswerError(f"{repo}: no default branch; name branches")
    return name, default, bool(found.get("archived"))
