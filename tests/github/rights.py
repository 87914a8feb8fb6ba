"""What tokens may read in private repositories, by the three kinds of tokens."""

from dataclasses import dataclass

READABLE = frozenset({"actions", "checks", "contents", "issues", "metadata", "statuses"})
PERSONAL, INTEGRATION = "personal access token", "integration"


@dataclass(frozen=True, slots=True)
class Rights:
    """The permissions of a token; a public repository can be read without any.

    Attributes:
        holder: the kind of the token in GitHub's messages.
        permissions: without `metadata` the repository does not exist for the token.
    """

    holder: str
    permissions: frozenset[str] = READABLE

    @property
    def message(self) -> str:
        """GitHub's message where a permission is missing."""
        return f"Resource not accessible by {self.holder}"

    def without(self, *permissions: str) -> "Rights":
        """Return the same rights without some permissions."""
        return Rights(self.holder, self.permissions.difference(permissions))


CLASSIC = Rights(PERSONAL)
"""A classic personal token with the scope `repo`."""

CLASSIC_PUBLIC = Rights(PERSONAL, frozenset())
"""A classic personal token with the scope `public_repo` only."""

FINE_GRAINED = Rights(PERSONAL).without("checks")
"""A fine-grained personal token with every permission that exists: there is none named Checks."""

APP = Rights(INTEGRATION)
"""An installation token of a GitHub App."""
