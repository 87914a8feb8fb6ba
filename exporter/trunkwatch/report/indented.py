"""JSON as people read it."""

import msgspec


def indented(content: object) -> str:
    """Return a value as JSON with an indent of two, as `json.dumps` does in fifteen times the time.

    Args:
        content: of texts, numbers, lists and objects with text keys.
    """
    return msgspec.json.format(msgspec.json.encode(content), indent=2).decode()
