"""What a commit is called: the one form in which sources may name it."""

HEX = frozenset("0123456789abcdef")
LENGTHS = (40, 64)
"""SHA-1 and SHA-256 repositories."""


def full_hash(value: object) -> str | None:
    """Return a commit's full hash in lower case, or None for anything else."""
    if not isinstance(value, str):
        return None
    sha = value.lower()
    return sha if len(sha) in LENGTHS and HEX.issuperset(sha) else None
