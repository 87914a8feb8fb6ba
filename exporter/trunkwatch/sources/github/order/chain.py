"""The trunk's first-parent chain, from a list of commits that is not first-parent.

https://docs.github.com/en/rest/commits/commits#list-commits
"""

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from trunkwatch.domain.model import Commit
from trunkwatch.errors import BadAnswerError
from trunkwatch.github import PER_PAGE
from trunkwatch.rest.json_text import list_or_empty, object_or_empty, text_or_none
from trunkwatch.sources.github.state import Kind, TrunkContext
from trunkwatch.sources.hashes import full_hash
from trunkwatch.times import parse_time, plausible_time

MAX_PAGES = 50
"""Pages of the list that are read to follow the chain; side branches may contain many commits."""


class Chain:
    """The newest commits of a trunk, newest first.

    Attributes:
        commits: newest first.
        root: whether the last of them has no parent.
        index: of each commit by its hash.
    """

    def __init__(self, commits: tuple[Commit, ...], *, root: bool) -> None:
        self.commits = commits
        self.root = root
        self.index = {commit.sha: index for index, commit in enumerate(commits)}


class ChainReader:
    """Reads the newest `window` commits of one trunk; one free request while nothing is new."""

    def __init__(self, context: TrunkContext, window: int) -> None:
        self._context = context
        self._client = context.client
        self._window = window
        self._path = f"{context.repo_path}/commits"

    def read(self) -> Chain:
        """Return the current chain.

        Raises:
            RequestError: it could not be read.
        """
        entry = self._context.state.get(Kind.CHAIN) or {}
        stored = _chain_of(entry)
        token = self._client.fingerprint()
        valid = entry.get("window") == self._window and entry.get("token") == token
        reply = self._client.get_if_changed(
            self._path, self._query(1), entry.get("etag") if valid else None
        )
        if reply is None:
            return stored
        chain = self._follow(self._rows(reply.document), stored)
        if stored.commits and stored.commits[0].sha not in chain.index:
            self._confirm(chain)
        self._context.state.put(
            Kind.CHAIN,
            {
                "etag": reply.etag,
                "token": self._client.fingerprint(),
                "window": self._window,
                "root": chain.root,
                "commits": [[c.sha, c.committed_at, c.author, c.title] for c in chain.commits],
            },
        )
        return chain

    def _confirm(self, chain: Chain) -> None:
        """Raise BadAnswerError unless the chain begins with the branch's tip.

        The stored tip is gone after a force push, or if the list shifted while it was made.
        """
        if not chain.commits or chain.commits[0].sha != self._tip():
            raise BadAnswerError(
                f"GET {self._path}: the list does not begin with the tip of the branch; it is"
                " read again at the next refresh"
            )

    def _tip(self) -> str | None:
        """Return the hash of the branch's tip, asked for alone; None if it cannot be read."""
        row = self._client.get(f"{self._path}/{quote(self._context.trunk.branch, safe='')}")
        return full_hash(object_or_empty(row).get("sha"))

    def _query(self, page: int) -> list[tuple[str, str | int]]:
        return [("sha", self._context.trunk.branch), ("per_page", PER_PAGE), ("page", page)]

    def _rows(self, document: object) -> dict[str, Mapping[str, Any]]:
        """Return the rows of a page by hash; one without a hash stands under an empty key."""
        if not isinstance(document, list):
            raise BadAnswerError(f"GET {self._path}: not the list of commits that GitHub documents")
        rows: dict[str, Mapping[str, Any]] = {}
        for row in document:
            sha = full_hash(row.get("sha")) if isinstance(row, dict) else None
            if sha is None:
                self._client.drop_row("commits", row, ValueError("no hash"))
            rows[sha or ""] = row
        return rows

    def _follow(self, rows: dict[str, Mapping[str, Any]], stored: Chain) -> Chain:
        """Walk from the tip along first parents; the stored part needs no further page.

        A commit whose row cannot be read is asked for alone. If that cannot be read either, the
        chain ends with it, as far as it is the first chain that is read: its neighbours must not
        seem adjacent, and a stored order must not become shorter.
        """
        commits: list[Commit] = []
        wanted = next(iter(rows), None)
        if wanted == "":
            wanted = self._tip()
            if wanted is None:
                raise BadAnswerError(f"GET {self._path}: the tip of the branch has no hash")
        is_first = not stored.commits
        pages = 1
        while wanted is not None and len(commits) < self._window:
            if wanted in stored.index:
                rest = stored.commits[stored.index[wanted] :]
                joined = tuple([*commits, *rest][: self._window])
                whole = stored.root and len(commits) + len(rest) <= self._window
                if whole or len(joined) == self._window:
                    return Chain(joined, root=whole)
                stored = Chain((), root=False)  # the window grew: read on
            elif wanted in rows or "" in rows:
                try:
                    commit, parent = self._parsed(wanted, rows)
                    if parent is None and _has_orphans(rows):
                        commit, parent = self._alone(wanted)
                except BadAnswerError:
                    if not is_first:
                        raise
                    return Chain((*commits, Commit(wanted)), root=False)
                commits.append(commit)
                wanted = parent
            elif pages < MAX_PAGES:
                pages += 1
                more = self._rows(self._client.get(self._path, self._query(pages)))
                if not more:
                    raise self._broken(wanted)
                rows |= more
            else:
                raise self._broken(wanted)
        return Chain(tuple(commits), root=wanted is None)

    def _broken(self, wanted: str) -> BadAnswerError:
        return BadAnswerError(
            f"GET {self._path}: a first parent is on none of the pages that were read",
            detail=wanted,
        )

    def _parsed(self, sha: str, rows: Mapping[str, Mapping[str, Any]]) -> tuple[Commit, str | None]:
        """Return a commit and its first parent, asked for alone if its row cannot be read."""
        try:
            row = rows[sha]
            return _commit_of(sha, row, self._context.now), _parent_of(row)
        except (KeyError, ValueError) as error:
            if sha in rows:
                self._client.drop_row("commits", rows[sha], error)
        return self._alone(sha)

    def _alone(self, sha: str) -> tuple[Commit, str | None]:
        """Return a commit and its first parent, asked for alone."""
        path = f"{self._path}/{sha}"
        row = self._client.get(path)
        try:
            if not isinstance(row, dict) or full_hash(row.get("sha")) != sha:
                raise ValueError("another commit")
            return _commit_of(sha, row, self._context.now), _parent_of(row)
        except ValueError as error:
            raise BadAnswerError(
                f"GET {path}: not a commit as GitHub documents it",
                detail=str(error),
            ) from None


def _commit_of(sha: str, row: Mapping[str, Any], now: float) -> Commit:
    """Return a commit; what cannot be read of its author, date and title is left out."""
    details = object_or_empty(row.get("commit"))
    committer, author = (object_or_empty(details.get(key)) for key in ("committer", "author"))
    login = object_or_empty(row.get("author")).get("login")
    title = (text_or_none(details.get("message")) or "").partition("\n")[0].strip()
    try:
        date = parse_time(committer.get("date") or author.get("date"))
    except ValueError:
        date = None
    return Commit(
        sha,
        plausible_time(date, now),
        text_or_none(author.get("name")) or text_or_none(login),
        title or None,
    )


def _parent_of(row: Mapping[str, Any]) -> str | None:
    """Return the hash of a commit's first parent; None only for an empty list of parents.

    Raises:
        ValueError: the parents cannot be read.
    """
    parents = row.get("parents")
    if parents == []:
        return None
    first = parents[0] if isinstance(parents, list) else None
    sha = full_hash(first.get("sha")) if isinstance(first, dict) else None
    if sha is None:
        raise ValueError(f"the parents {ascii(parents)[:100]}")
    return sha


def _has_orphans(rows: Mapping[str, Mapping[str, Any]]) -> bool:
    """Return whether a commit beside the tip is a parent of none: the list has only ancestors."""
    parents = {
        full_hash(object_or_empty(parent).get("sha"))
        for row in rows.values()
        for parent in list_or_empty(object_or_empty(row).get("parents"))
    }
    return any(sha not in parents for sha in list(rows)[1:])


def _chain_of(entry: Mapping[str, Any]) -> Chain:
    return Chain(
        tuple(Commit(*row) for row in entry.get("commits", ())), root=entry.get("root", False)
    )
