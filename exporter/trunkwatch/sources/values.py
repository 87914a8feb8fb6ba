"""Parsers of single values of a row: ValueError for an identity that is none."""

NAME_CHARACTERS = 1000
"""Characters of a name or path; the limits of GitLab and Gitea are 255 for each part of one."""


def identity(value: object) -> int:
    """Return an id.

    Raises:
        ValueError: it is none.
    """
    if not isinstance(value, int) or isinstance(value, bool) or value <= 0:
        raise ValueError(f"the id {ascii(value)[:60]}")
    return value


def name_of(value: object) -> str:
    """Return a name.

    Raises:
        ValueError: it is no text, empty or too long.
    """
    if not isinstance(value, str) or not 0 < len(value) <= NAME_CHARACTERS:
        raise ValueError(f"the name {ascii(value)[:60]}")
    return value


def url_of(value: object) -> str | None:
    """Return the address of a page, or None."""
    return value if isinstance(value, str) and value.startswith(("http://", "https://")) else None
