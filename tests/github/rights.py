"""What tokens may read in private repositories and change in all, by the three kinds of tokens."""

from dataclasses import dataclass, replace

READABLE = frozenset({"actions", "checks", "contents", "issues", "metadata", "statuses"})
PERSONAL, INTEGRATION = "personal access token", "integration"


@dataclass(frozen=True, slots=True)
class Rights:
    """The permissions of a token; a public repository can be read without any.

    Attributes:
        holder: the kind of the token in GitHub's messages.
        permissions: without `metadata` the repository does not exist for the token.
        writable: the permissions to change something; also public repositories require them.
    """

    holder: str
    permissions: frozenset[str] = READABLE
    writable: frozenset[str] = frozenset()

    @property
    def message(self) -> str:
        """GitHub's message where a permission is missing."""
        return f"Resource not accessible by {self.holder}"

    @property
    def granted(self) -> dict[str, str]:
        """The access of each permission, as documents of an installation list it."""
        return {
            name: "write" if name in self.writable else "read" for name in sorted(self.permissions)
        }

    def without(self, *permissions: str) -> "Rights":
        """Return the same rights without some permissions."""
        return replace(
            self,
            permissions=self.permissions.difference(permissions),
            writable=self.writable.difference(permissions),
        )

    def with_write(self, *permissions: str) -> "Rights":
        """Return the same rights with some permissions to write."""
        return replace(self, writable=self.writable.union(permissions))


CLASSIC = Rights(PERSONAL).with_write("actions")
"""A classic personal token with the scope `repo`."""

CLASSIC_PUBLIC = Rights(PERSONAL, frozenset()).with_write("actions")
"""A classic personal token with the scope `public_repo` only."""

FINE_GRAINED = Rights(PERSONAL).without("checks")
"""A fine-grained personal token that may read all that exists: no permission is named Checks."""

APP = Rights(INTEGRATION)
"""An installation token of a GitHub App that may read."""
