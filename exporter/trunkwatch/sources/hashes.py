"""The hashes of commits, of which sources pass on only full ones."""

HEX = frozenset("0123456789abcdef")
LENGTHS = (40, 64)
"""SHA-1 and SHA-256 repositories."""

SHORTEST = 7
"""Digits of git's shortest abbreviation by default; a Subversion revision is shorter."""


def full_hash(value: object) -> str | None:
    """Return a commit's full hash in lower case, or None for anything else."""
    if not isinstance(value, str):
        return None
    sha = value.lower()
    return sha if len(sha) in LENGTHS and HEX.issuperset(sha) else None


def short_hash(value: object) -> str | None:
    """Return an abbreviated hash in lower case, or None for anything else."""
    if not isinstance(value, str):
        return None
    prefix = value.lower()
    is_short = SHORTEST <= len(prefix) < max(LENGTHS) and len(prefix) not in LENGTHS
    return prefix if is_short and HEX.issuperset(prefix) else None
