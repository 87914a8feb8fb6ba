"""Values that no CI documents, in any place of an answer."""

HOSTILE: tuple[object, ...] = (
    None,
    [],
    {},
    [[]],
    10**40,
    -1,
    True,
    "",
    "\x00",
    "x" * 5000,
    "../../user",
)

BOMB = "a: &a [x,x]\n" + "".join(
    f"{b}: &{b} [{','.join([f'*{a}'] * 9)}]\n" for a, b in zip("abcdefgh", "bcdefghi", strict=True)
)
"""YAML with a list `i` of which the text would fill the memory."""


def replaced(found: object, key: str, value: object) -> object:
    """Return a JSON document with another value of a key, wherever it is."""
    if isinstance(found, list):
        return [replaced(each, key, value) for each in found]
    if isinstance(found, dict):
        return {k: value if k == key else replaced(v, key, value) for k, v in found.items()}
    return found
