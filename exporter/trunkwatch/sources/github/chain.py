"""The trunk's first-parent chain, from a list of commits that is not first-parent.

https://docs.github.com/en/rest/commits/commits#list-commits
"""

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from trunkwatch.domain.model import Commit, Trunk
from trunkwatch.errors import SourceAnswerError
from trunkwatch.sources.github.client import GithubClient
from trunkwatch.sources.github.dialect import PER_PAGE
from trunkwatch.sources.github.notes import Kind, Notebook
from trunkwatch.times import parse_time

PAGES_AT_MOST = 50
"""Pages of the list that are read to follow the chain; side branches may hold many commits."""


class Chain:
    """The newest commits of a trunk, newest first.

    Attributes:
        commits: newest first.
        root: whether the last of them has no parent.
    """

    def __init__(self, commits: tuple[Commit, ...], *, root: bool) -> None:
        self.commits = commits
        self.root = root
        self.place = {commit.sha: place for place, commit in enumerate(commits)}


class ChainReader:
    """Reads one trunk's chain; one free request where nothing is new."""

    def __init__(self, source: str, trunk: Trunk, client: GithubClient, window: int) -> None:
        """Args:
        source: its name, for errors.
        trunk: whose chain.
        client: asks GitHub.
        window: commits to read.
        """
        self._source = source
        self._trunk = trunk
        self._client = client
        self._window = window
        self._path = f"/repos/{trunk.repo}/commits"

    def read(self, book: Notebook) -> Chain:
        """Return the chain as it is now.

        Raises:
            SourceError: it could not be read.
        """
        note = book.get(Kind.CHAIN) or {}
        known = _of_note(note)
        fresh = note.get("window") == self._window and note.get("token") == self._token()
        reply = self._client.get(self._path, self._query(1), note.get("etag") if fresh else None)
        if reply.document is None:
            return known
        chain = self._follow(self._rows(reply.document), known)
        if known.commits and known.commits[0].sha not in chain.place:
            self._confirm(chain)
        book.put(
            Kind.CHAIN,
            {
                "etag": reply.etag,
                "token": self._token(),
                "window": self._window,
                "root": chain.root,
                "commits": [[c.sha, c.committed_at, c.author, c.title] for c in chain.commits],
            },
        )
        return chain

    def _confirm(self, chain: Chain) -> None:
        """A tip that is gone is a force push, or a list that shifted while it was made."""
        tip = chain.commits[0].sha if chain.commits else None
        reply = self._client.get(f"{self._path}/{quote(self._trunk.branch, safe='')}")
        if not isinstance(reply.document, dict) or reply.document.get("sha") != tip:
            raise SourceAnswerError(
                self._source,
                f"GET {self._path}: the list does not begin with the tip of the branch; it is"
                " read again at the next refresh",
            )

    def _token(self) -> str:
        return self._client.fingerprint()

    def _query(self, page: int) -> list[tuple[str, str | int]]:
        return [("sha", self._trunk.branch), ("per_page", PER_PAGE), ("page", page)]

    def _rows(self, document: object) -> dict[str, Mapping[str, Any]]:
        try:
            if isinstance(document, list):
                return {row["sha"]: row for row in document}
        except (TypeError, KeyError):
            pass
        raise SourceAnswerError(
            self._source, f"GET {self._path}: not the list of commits that GitHub documents"
        )

    def _follow(self, rows: dict[str, Mapping[str, Any]], known: Chain) -> Chain:
        """Walk from the tip along first parents; what was known needs no further page."""
        commits: list[Commit] = []
        wanted = next(iter(rows), None)
        pages = 1
        while wanted is not None and len(commits) < self._window:
            if wanted in known.place:
                rest = known.commits[known.place[wanted] :]
                joined = tuple([*commits, *rest][: self._window])
                whole = known.root and len(commits) + len(rest) <= self._window
                if whole or len(joined) == self._window:
                    return Chain(joined, root=whole)
                known = Chain((), root=False)  # a longer window was asked for: read on
            elif wanted in rows:
                commit, wanted = self._understood(rows[wanted])
                commits.append(commit)
            elif pages < PAGES_AT_MOST:
                pages += 1
                more = self._rows(self._client.get(self._path, self._query(pages)).document)
                if not more:
                    raise self._broken(wanted)
                rows |= more
            else:
                raise self._broken(wanted)
        return Chain(tuple(commits), root=wanted is None)

    def _broken(self, wanted: str) -> SourceAnswerError:
        return SourceAnswerError(
            self._source,
            f"GET {self._path}: the first parent {wanted} is on none of the pages that were read",
        )

    def _understood(self, row: Mapping[str, Any]) -> tuple[Commit, str | None]:
        """Return a commit and its first parent."""
        try:
            said, parents = row["commit"], row["parents"]
            if not isinstance(parents, list):
                raise TypeError("a commit without a list of parents")
            committer, author = said.get("committer") or {}, said.get("author") or {}
            date = committer.get("date") or author.get("date")
            title = (said.get("message") or "").partition("\n")[0].strip()
            commit = Commit(
                row["sha"].lower(),
                parse_time(date) if date else None,
                author.get("name") or (row.get("author") or {}).get("login"),
                title or None,
            )
            # Only an empty list says that it is the first commit of all.
            return commit, parents[0]["sha"].lower() if parents else None
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            raise SourceAnswerError(
                self._source,
                f"GET {self._path}: not a commit as GitHub documents it"
                f" ({type(error).__name__}: {error})",
            ) from None


def _of_note(note: Mapping[str, Any]) -> Chain:
    return Chain(
        tuple(Commit(*row) for row in note.get("commits", ())), root=note.get("root", False)
    )
