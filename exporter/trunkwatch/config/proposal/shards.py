"""Recognition of shards: jobs whose names differ only in the number of the part that each runs.

The numbers of shards begin at 0 or 1 and have no gap, or do not exceed a total beside them.
Versions, such as 3.11 or `node 18, 20`, do neither.
"""

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from trunkwatch.config.proposal.literal import any_number, literal
from trunkwatch.domain.names import PRESETS, Naming
from trunkwatch.patterns import Pattern

PRESET = "pytorch"

MIN_LONE_NUMBERS = 3
"""Names that a family needs if neither a word nor a total marks the number: `(1)`, `(2)`, `(3)`."""


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
        to: the template of the name without the part.
        number: the pattern's group with the number.
        total: the pattern's group with the number of parts; 0 where there is none.
        min_names: names that a family needs to be certain.
    """

    match: str
    to: str
    number: int
    total: int = 0
    min_names: int = 2


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
    # test (default, 1, 3, linux)
    _Shape(r"(.*\([^()]*?), (\d+), (\d+)([,)].*)", r"\1\4", 2, 3),
    # test (1, 3, linux)
    _Shape(r"(.*\()(\d+), (\d+), (.*)", r"\1\4", 2, 3),
    # test (1/3), test [shard 1 of 3], test (1, 3)
    _Shape(rf"(.*?) ?[(\[]{_MAYBE_WORD}(\d+)(?:{_OF}|, )(\d+)[)\]](.*)", r"\1\4", 2, 3),
    # test (1/3, linux)
    _Shape(rf"(.*\(){_MAYBE_WORD}(\d+){_OF}(\d+), (.*)", r"\1\4", 2, 3),
    # test 1/3, test-shard-1-of-3
    _Shape(rf"(.*?)[ ,_.:-]*{_MAYBE_WORD}\b(\d+){_OF}(\d+)(.*)", r"\1\4", 2, 3),
    # test (shard 1)
    _Shape(rf"(.*?) ?[(\[]{_WORD_BEFORE}(\d+)[)\]](.*)", r"\1\3", 2),
    # test (shard 1, linux)
    _Shape(rf"(.*\(){_WORD_BEFORE}(\d+), (.*)", r"\1\3", 2),
    # test-shard-1
    _Shape(rf"(.*?)[ ,_.:-]+{_WORD_BEFORE}(\d+)(.*)", r"\1\3", 2),
    # test (1)
    _Shape(r"(.*?) ?\((\d+)\)(.*)", r"\1\3", 2, min_names=MIN_LONE_NUMBERS),
    # test (linux, 1)
    _Shape(r"(.*\([^()]*?), (\d+)([,)].*)", r"\1\3", 2, min_names=MIN_LONE_NUMBERS),
    # test (1, linux)
    _Shape(r"(.*\()(\d+), (.*)", r"\1\3", 2, min_names=MIN_LONE_NUMBERS),
)
"""In the order of their certainty; a later one sees the names that an earlier one has left."""


MAX_DIGITS = 9
"""Of a part's number."""

_PRESET_NAME = Pattern(r".*\([^()]*?, (\d+), (\d+)((?:, [^()]*)?)\)[^(]*")


def uses_preset(names: Collection[Named]) -> bool:
    """Return whether the names follow the convention of the preset.

    If they do, every name that it changes has a number and a total, and most have a runner after
    these.
    """
    naming = Naming(fold=PRESETS[PRESET].fold)
    changed = [each.name for each in names if naming.resolve(*each) != each.name]
    found = [_PRESET_NAME.expand(name, r"\1 \2 \3") for name in changed]
    texts = [each.split(" ", 2) for each in found if each is not None]
    parts = [(*_numbers(n, total), rest) for n, total, rest in texts]
    if len(parts) < len(found) or not all(1 <= n <= total for n, total, _ in parts):
        return False
    with_runner = sum(bool(rest) for *_, rest in parts)
    return any(total > 1 for _, total, _ in parts) and 2 * with_runner > len(parts)


def _numbers(number: str, total: str) -> tuple[int, int]:
    """Return the number of a part and the number of parts; (-1, 0), which no part has, if too long.

    Python refuses 4,301 digits.
    """
    if max(len(number), len(total)) > MAX_DIGITS:
        return -1, 0
    return int(number), int(total)


def foldings(names: Collection[Named]) -> Iterator[Folding]:
    """Yield the fold rules for the shards among some jobs, in the order in which they apply.

    Args:
        names: the raw names; where the preset is used, the names under it.
    """
    present = set(names)
    for shape in SHAPES:
        for folding in _foldings_of(shape, present):
            folded = folding.folded.items()
            replaced = {Named(to.workflow, name): to for to, raw in folded for name in raw}
            present = {replaced.get(each, each) for each in present}
            yield folding


class _Part(NamedTuple):
    """A name of a family: of names that differ only in their number."""

    name: str
    number: int
    total: int


def _foldings_of(shape: _Shape, present: Collection[Named]) -> Iterator[Folding]:
    """Yield one rule if it folds nothing but shards, else a rule for each certain family."""
    pattern = Pattern(shape.match)
    numbers_to = rf"\{shape.number} \{shape.total or shape.number}"
    families: dict[Named, list[_Part]] = defaultdict(list)
    for workflow, name in sorted(present):
        folded, numbers = pattern.expand(name, shape.to), pattern.expand(name, numbers_to)
        if folded is not None and numbers is not None:
            number, total = _numbers(*numbers.split())
            part = _Part(name, number, total if shape.total else 0)
            families[Named(workflow, folded)].append(part)
    certain = {
        family: parts
        for family, parts in families.items()
        if family not in present and _are_certain(parts, shape.min_names)
    }
    possible = (_is_of_total(parts) and family not in present for family, parts in families.items())
    if certain and (len(certain) == len(families) or all(possible)):
        yield Folding(_narrowed(shape.match, present), shape.to, _names_by_family(families))
        return
    uncertain = set(families) - set(certain)
    for family, parts in certain.items():
        # A rule has no workflow: it must not fold another workflow's jobs of these names.
        if not any(other.name == family.name for other in uncertain):
            to = family.name.replace("\\", "\\\\")
            yield Folding(_pattern_of(parts, present), to, _names_by_family({family: parts}))


def _pattern_of(parts: Sequence[_Part], present: Collection[Named]) -> str:
    """Return a pattern of some names that matches no other job."""
    names = {part.name for part in parts}
    short = Pattern(any_number(parts[0].name))
    if {each.name for each in present if short.fullmatch(each.name)} == names:
        return short.text
    return "|".join(map(literal, sorted(names)))


def _narrowed(match: str, present: Collection[Named]) -> str:
    """Return a shape's pattern with only the words that some name has, to be easier to read."""
    text = " ".join(name.lower() for _, name in present)
    words = [word for word in _WORDS if word in text]
    if not words:
        return match.replace(_MAYBE_WORD, "")
    return match.replace(_ANY_WORD, f"(?i:{'|'.join(words)})")


def _names_by_family(families: Mapping[Named, Sequence[_Part]]) -> dict[Named, list[str]]:
    return {
        family: sorted(part.name for part in parts) for family, parts in sorted(families.items())
    }


def _are_certain(parts: Sequence[_Part], min_names: int) -> bool:
    """Return whether the names of a family are certainly shards."""
    if parts[0].total:
        return len(parts) >= min_names and _is_of_total(parts)
    numbers = sorted(part.number for part in parts)
    return len(parts) >= min_names and numbers in (
        list(range(len(parts))),
        list(range(1, len(parts) + 1)),
    )


def _is_of_total(parts: Sequence[_Part]) -> bool:
    """Return whether every name has the same total, and no number exceeds it."""
    total = parts[0].total
    return total > 0 and all(part.number <= total == part.total for part in parts)
