"""A request below a repository's path."""

from collections.abc import Mapping
from dataclasses import dataclass

from tests.github.repo import Repo
from tests.github.responses import PER_PAGE_DEFAULT, PER_PAGE_LIMIT, UnsupportedRequestError

PAGING = frozenset({"per_page", "page"})


@dataclass(frozen=True, slots=True)
class RepoRequest:
    """A request below a repository's path.

    Attributes:
        repo: the repository.
        query: the last value of each key.
    """

    repo: Repo
    query: Mapping[str, str]

    def allow_keys(self, *supported: str) -> None:
        """Raise `UnsupportedRequestError` if the query has other keys than these and paging."""
        unsupported = self.query.keys() - PAGING - set(supported)
        if unsupported:
            raise UnsupportedRequestError(f"query keys {sorted(unsupported)}")

    def number(self, key: str, default: int) -> int:
        text = self.query.get(key, "")
        return max(1, int(text)) if text.isdecimal() else default

    @property
    def page(self) -> tuple[int, int]:
        """The page number and the rows per page."""
        return self.number("page", 1), min(
            PER_PAGE_LIMIT, self.number("per_page", PER_PAGE_DEFAULT)
        )
