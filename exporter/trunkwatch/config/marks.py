"""Lines and columns of the keys of a YAML document."""

import re
from collections.abc import Sequence

import yaml

_KEY_PATH = re.compile(r"[a-z_]+(?:\.[a-z_]+|\[\d+\])*(?=: | and )")
_PART = re.compile(r"[a-z_]+|\d+")


def place(mark: yaml.Mark | None) -> str:
    """Return a mark as the begin of an error, which is empty without one."""
    return f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""


def with_place(problem: str, node: yaml.Node | None) -> str:
    """Return a problem that begins with a key path, with its place before it."""
    path = _KEY_PATH.match(problem)
    if path is None:
        return problem
    parts = [int(part) if part.isdigit() else part for part in _PART.findall(path[0])]
    return f"{place(mark_of(node, parts))}{problem}"


def mark_of(
    node: yaml.Node | None, location: Sequence[int | str], *, of_key: bool = False
) -> yaml.Mark | None:
    """Return where a value stands, or the innermost mapping or list that lacks it.

    Args:
        node: of the document, constructed, so that merged keys are in place.
        location: keys and indexes from the document to the value.
        of_key: return where its key stands instead.

    Returns:
        None if not even the first key of the location exists: no place is better than another.
    """
    mark: yaml.Mark | None = None
    for part in location:
        key, inner = _child(node, part)
        if inner is None:
            break
        node = inner
        mark = key.start_mark if of_key and key is not None else node.start_mark
    return mark


def _child(node: yaml.Node | None, part: int | str) -> tuple[yaml.Node | None, yaml.Node | None]:
    """Return the key and the value of an entry; the last of equal keys is the one that counts."""
    if isinstance(node, yaml.SequenceNode) and isinstance(part, int):
        return None, node.value[part] if part < len(node.value) else None
    if isinstance(node, yaml.MappingNode):
        for key, value in reversed(node.value):
            if isinstance(key, yaml.ScalarNode) and key.value == str(part):
                return key, value
    return None, None
