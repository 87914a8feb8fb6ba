"""What the selection of repositories lacks, as limitations of the source."""

from collections.abc import Iterable, Iterator, Mapping

from trunkwatch.sources.github.discovery.record import RepoRecord
from trunkwatch.sources.port import Limitation

SHOWN = 3
"""Names that a text lists; it gives the number of the others."""


def shown(names: Iterable[str]) -> str:
    """Return names as text, not more than a few."""
    found = sorted(names)
    more = len(found) - SHOWN
    return ", ".join(found[:SHOWN]) + (f" and {more} more" if more > 0 else "")


def renamed(records: Mapping[str, RepoRecord]) -> Iterator[Limitation]:
    """Yield the repositories that have another name than the configured one."""
    found = [
        f"{repo} is now {record.name}"
        for repo, record in records.items()
        if record.name.lower() != repo.lower()
    ]
    if found:
        text = f"{shown(found)}: read on under the old name; write the new one into repos"
        yield Limitation("renamed", text)


def missing_branches(records: Mapping[str, RepoRecord]) -> Iterator[Limitation]:
    """Yield the configured branches that were deleted, and globs that match no branch anywhere."""
    problems = []
    gone = [f"{repo} {branch}" for repo, record in records.items() for branch in record.gone]
    if gone:
        problems.append(f"{shown(gone)}: there is no such branch (any more)")
    matched = {glob for each in records.values() for glob, rows in each.branches.items() if rows}
    asked = {glob for each in records.values() for glob in each.branches}
    problems.extend(
        f"branches: {glob} matches no branch of any repository" for glob in sorted(asked - matched)
    )
    if problems:
        yield Limitation("branches", "; ".join(problems))


def unread_repos(unread: int, repos: int) -> Iterator[Limitation]:
    """Yield how many repositories have never been read, as after a cold start of many."""
    if unread:
        text = f"{unread} of {repos} repositories have not been read yet, and are not shown"
        yield Limitation("unread_repositories", text)


def slow_rounds(
    repos: int, wanted: float, seconds: float, *, graphql: bool
) -> Iterator[Limitation]:
    """Yield why the repositories are read less often than configured.

    Args:
        repos: their number.
        wanted: seconds from one refresh to the next, as configured.
        seconds: what a round takes.
        graphql: whether their heads are read through GraphQL.
    """
    if seconds <= wanted:
        return
    rounded = 10 * round(seconds / 10) or seconds
    why = (
        "their heads cost points, of which quota_share leaves so many"
        if graphql
        else "without GraphQL each is asked for by itself, within GitHub's limit of a minute"
    )
    yield Limitation(
        "interval",
        f"{repos} repositories: a round over them takes about {rounded:.0f} s instead of"
        f" {wanted:.0f} s: {why}",
    )


def all_limitations(*parts: Iterable[Limitation]) -> tuple[Limitation, ...]:
    """Return limitations, one of each name."""
    found: dict[str, Limitation] = {}
    for part in parts:
        for each in part:
            found.setdefault(each.name, each)
    return tuple(found.values())
