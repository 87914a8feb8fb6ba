"""The addresses that a token may read: each is optional as far as there is another way.

Which right a token of which kind can have is described in docs/github.md.
"""

from enum import StrEnum

from trunkwatch.sources.port import Limitation

RETRY_SECONDS = 3600.0
"""Seconds after which a refused address is asked again: rights may be given to a token."""


class Right(StrEnum):
    """An address, or a group of addresses that one permission covers."""

    GRAPHQL = "graphql"
    CHECKS = "checks"
    WORKFLOWS = "workflows"
    FILES = "files"


TEXTS = {
    Right.GRAPHQL: (
        "{repos}: GraphQL cannot be used: the same results are read through REST, which costs about"
        " ten times the requests"
    ),
    Right.CHECKS: (
        "{repos}: check runs and annotations cannot be read (the token lacks Checks: read): jobs"
        " are read run by run, a job that hangs until its time limit cannot be told from a"
        " cancelled one, and alerts quote no annotations; a GitHub App or a classic token can have"
        " that right, a fine-grained personal token cannot"
    ),
    Right.WORKFLOWS: (
        "{repos}: the list of workflows cannot be read (the token lacks Actions: read): a workflow"
        " that was deleted or disabled is recognised by its absence from many commits only"
    ),
    Right.FILES: (
        "{repos}: the files that commits change cannot be read: the suspects of an outage are in"
        " the order of their age, whatever they change"
    ),
}


class Rights:
    """The addresses that were refused, by repository."""

    def __init__(self) -> None:
        self._refused: dict[tuple[str, Right], float] = {}

    def allows(self, repo: str, right: Right, now: float) -> bool:
        """Return whether an address may be asked: it was not refused within the last hour."""
        at = self._refused.get((repo, right))
        return at is None or not 0 <= now - at < RETRY_SECONDS

    def refuse(self, repo: str, right: Right, now: float) -> None:
        """Record a refusal."""
        self._refused[repo, right] = now

    def grant(self, repo: str, right: Right) -> None:
        """Record that an address was answered."""
        self._refused.pop((repo, right), None)

    def limitations(self) -> tuple[Limitation, ...]:
        """Return the refused rights, each with the repositories concerned."""
        found = []
        for right in Right:
            repos = sorted(repo for repo, refused in self._refused if refused is right)
            if repos:
                shown = ", ".join(repos[:3]) + (f" and {len(repos) - 3} more" * (len(repos) > 3))
                found.append(Limitation(right.value, TEXTS[right].format(repos=shown)))
        return tuple(found)
