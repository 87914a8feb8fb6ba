"""Recognition of shards: jobs whose names differ in the number of a part alone.

A number that counts parts begins at 0 or 1 and has no gap, or does not exceed a total beside it.
Versions, such as 3.11 or `node 18, 20`, do neither.
"""

import re
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from trunkwatch.config.proposal.literal import literal
from trunkwatch.domain.names import PRESETS, Naming

PRESET = "pytorch"

LONE_NUMBERS = 3
"""Parts from which on a number without a word or a total counts parts: `(1)`, `(2)`, `(3)`."""


class Named(NamedTuple):
    """A job by its workflow and its raw name."""

    workflow: str
    name: str


@dataclass(frozen=True, slots=True)
class Folding:
    """One fold rule, or the preset.

    Attributes:
        match: the pattern; empty for the preset.
        to: the template.
        folded: the raw names by the folded job, both sorted.
    """

    match: str
    to: str
    folded: Mapping[Named, Sequence[str]]


@dataclass(frozen=True, slots=True)
class _Shape:
    """A way to write the number of a part into a name.

    Attributes:
        match: the pattern of a name.
        to: the name without the part.
        number: the group of the number.
        total: the group of the number of parts; 0 where there is none.
        least: number of names that make it certain.
    """

    match: str
    to: str
    number: int
    total: int = 0
    least: int = 2


_WORDS = (
    "shard",
    "part",
    "chunk",
    "group",
    "split",
    "slice",
    "partition",
    "batch",
    "bucket",
    "worker",
    "index",
)
_ANY_WORD = f"(?i:{'|'.join(_WORDS)})"
_JOINED = "[ _#:=-]*"
_WORD_BEFORE = _ANY_WORD + _JOINED
_MAYBE_WORD = f"(?:{_WORD_BEFORE})?"
_OF = r"(?:/|-of-| of )"

SHAPES = (
    _Shape(r"(.*\([^()]*?), (\d+), (\d+)([,)].*)", r"\1\4", 2, 3),
    _Shape(r"(.*\()(\d+), (\d+), (.*)", r"\1\4", 2, 3),
    _Shape(rf"(.*?) ?[(\[]{_MAYBE_WORD}(\d+)(?:{_OF}|, )(\d+)[)\]](.*)", r"\1\4", 2, 3),
    _Shape(rf"(.*\(){_MAYBE_WORD}(\d+){_OF}(\d+), (.*)", r"\1\4", 2, 3),
    _Shape(rf"(.*?)[ ,_.:-]*{_MAYBE_WORD}\b(\d+){_OF}(\d+)(.*)", r"\1\4", 2, 3),
    _Shape(rf"(.*?) ?[(\[]{_WORD_BEFORE}(\d+)[)\]](.*)", r"\1\3", 2),
    _Shape(rf"(.*\(){_WORD_BEFORE}(\d+), (.*)", r"\1\3", 2),
    _Shape(rf"(.*?)[ ,_.:-]+{_WORD_BEFORE}(\d+)(.*)", r"\1\3", 2),
    _Shape(r"(.*?) ?\((\d+)\)(.*)", r"\1\3", 2, least=LONE_NUMBERS),
    _Shape(r"(.*\([^()]*?), (\d+)([,)].*)", r"\1\3", 2, least=LONE_NUMBERS),
    _Shape(r"(.*\()(\d+), (.*)", r"\1\3", 2, least=LONE_NUMBERS),
)
"""In the order of their certainty; a later one sees the names that an earlier one has left."""


def uses_preset(names: Collection[Named]) -> bool:
    """Return whether the names follow the convention of the preset.

    Every name that it changes has a number and a total, and most have a runner after them.
    """
    naming = Naming(fold=PRESETS[PRESET].fold)
    changed = [each.name for each in names if naming.resolve(*each) != each.name]
    shape = re.compile(r".*\([^()]*?, (\d+), (\d+)((?:, [^()]*)?)\)[^(]*")
    found = [shape.fullmatch(name) for name in changed]
    if not all(match and 1 <= int(match[1]) <= int(match[2]) for match in found):
        return False
    with_runner = sum(bool(match and match[3]) for match in found)
    return any(match and int(match[2]) > 1 for match in found) and 2 * with_runner > len(found)


def foldings(names: Collection[Named]) -> Iterator[Folding]:
    """Yield the fold rules for the shards among some jobs, in the order in which they apply.

    Args:
        names: the raw names; with the preset's rules, where it is used, applied.
    """
    present = set(names)
    for shape in SHAPES:
        for folding in _foldings_of(shape, present):
            folded = folding.folded.items()
            replaced = {Named(to.workflow, name): to for to, raw in folded for name in raw}
            present = {replaced.get(each, each) for each in present}
            yield folding


class _Part(NamedTuple):
    """One name of a family."""

    name: str
    number: int
    total: int
    span: tuple[int, int]


def _foldings_of(shape: _Shape, present: Collection[Named]) -> Iterator[Folding]:
    pattern = re.compile(shape.match)
    families: dict[Named, list[_Part]] = defaultdict(list)
    for workflow, name in sorted(present):
        match = pattern.fullmatch(name)
        if match is not None:
            total = int(match[shape.total]) if shape.total else 0
            part = _Part(name, int(match[shape.number]), total, match.span(shape.number))
            families[Named(workflow, match.expand(shape.to))].append(part)
    certain = {
        family: parts
        for family, parts in families.items()
        if family not in present and _count_parts(parts, shape.least)
    }
    possible = (_is_of_total(parts) and family not in present for family, parts in families.items())
    if certain and (len(certain) == len(families) or all(possible)):
        yield Folding(_narrowed(shape.match, present), shape.to, _names(families))
        return
    free = set(families) - set(certain)
    for family, parts in certain.items():
        # A rule has no workflow: it must not fold another workflow's jobs of these names.
        if not any(other.name == family.name for other in free):
            begin, end = parts[0].span
            name = parts[0].name
            match_one = rf"{literal(name[:begin])}\d+{literal(name[end:])}"
            to = family.name.replace("\\", "\\\\")
            yield Folding(match_one, to, _names({family: parts}))


def _narrowed(match: str, present: Collection[Named]) -> str:
    """Return a shape's pattern with those words alone that some name has, for its readers."""
    text = " ".join(name.lower() for _, name in present)
    words = [word for word in _WORDS if word in text]
    if not words:
        return match.replace(_MAYBE_WORD, "")
    return match.replace(_ANY_WORD, f"(?i:{'|'.join(words)})")


def _names(families: Mapping[Named, Sequence[_Part]]) -> dict[Named, list[str]]:
    return {
        family: sorted(part.name for part in parts) for family, parts in sorted(families.items())
    }


def _count_parts(parts: Sequence[_Part], least: int) -> bool:
    """Return whether the numbers of some names certainly count parts."""
    if parts[0].total:
        return len(parts) >= least and _is_of_total(parts)
    numbers = sorted(part.number for part in parts)
    return len(parts) >= least and numbers in (
        list(range(len(parts))),
        list(range(1, len(parts) + 1)),
    )


def _is_of_total(parts: Sequence[_Part]) -> bool:
    """Return whether the numbers of some names can be parts of the total beside them."""
    total = parts[0].total
    return total > 0 and all(part.number <= total == part.total for part in parts)
