"""Texts that are cut to a length; the mark `…`, which counts, shows it."""

MARK = "…"


def cut_to_characters(text: str, most: int) -> str:
    """Return a text of at most `most` characters."""
    return text if len(text) <= most else text[: most - len(MARK)] + MARK


def cut_to_bytes(text: str, most: int) -> str:
    """Return a text of at most `most` bytes in UTF-8, cut after a whole character."""
    content = text.encode()
    if len(content) <= most:
        return text
    return content[: most - len(MARK.encode())].decode(errors="ignore").rstrip() + MARK
