"""The groups and name rules that are proposed for the workflows and jobs of a survey."""

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass

from trunkwatch.config.fields import CONTROL, MAX_NAME_BYTES
from trunkwatch.config.proposal.literal import any_number, literal
from trunkwatch.config.proposal.shards import PRESET, Folding, Named, foldings, uses_preset
from trunkwatch.config.proposal.survey import SCHEDULE, Survey
from trunkwatch.cuts import cut_to_bytes
from trunkwatch.domain.evidence import PUSHES
from trunkwatch.domain.names import PRESETS, Naming
from trunkwatch.patterns import Pattern

FAILURES_OF_COMMITS, FAILURES_OF_RUNS = 3, 2
"""`failures_to_open` of jobs that run on every commit, and of those that run a few times a day:
three nights are too long to wait."""

NUMBER_BYTES = 8
"""Size that is left for the number of a name that is taken."""

ALLOWED_NAME = Pattern(
    r"(?i).*\b(allow(ed)?[ _-]?(to[ _-])?fail(ure)?s?|may[ _-]fail|non-?blocking"
    r"|continue-on-error)\b.*"
)
"""A name that states that the job may fail."""


@dataclass(frozen=True, slots=True)
class PlannedGroup:
    """A group of one workflow's jobs.

    Attributes:
        name: unique.
        workflow: its label.
        event: the only event whose runs it has; None for those that no other group has.
        by_clock: whether its jobs run on a schedule or by hand, and not on every commit.
        runs: number of runs that were read.
    """

    name: str
    workflow: str
    event: str | None
    by_clock: bool
    runs: int

    @property
    def failures_to_open(self) -> int:
        """Failing commits in a row that open an outage."""
        return FAILURES_OF_RUNS if self.by_clock else FAILURES_OF_COMMITS


@dataclass(frozen=True, slots=True)
class Ignored:
    """An ignore pattern with the jobs that it matches."""

    pattern: str
    names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Plan:
    """What a configuration for a survey consists of.

    Attributes:
        preset: the preset whose convention is used, if any.
        preset_folding: the jobs that it folds.
        foldings: the fold rules.
        ignored: patterns of the jobs that are allowed to fail.
        not_ignored: jobs that are allowed to fail, but have the name of a job that is not.
        groups: in the order of the file.
    """

    preset: str | None
    preset_folding: Folding
    foldings: tuple[Folding, ...]
    ignored: tuple[Ignored, ...]
    not_ignored: tuple[Named, ...]
    groups: tuple[PlannedGroup, ...]


def plan_of(survey: Survey, preset: str | None = None) -> Plan:
    """Return the plan for a survey.

    Args:
        survey: of a trunk.
        preset: of the CI, which names jobs by its convention; None to look whether they follow one.
    """
    allowed = survey.allowed_to_fail | {
        each for each in survey.names if ALLOWED_NAME.fullmatch(each.name)
    }
    ignored = tuple(_ignored(survey.names, allowed))
    patterns = [Pattern(each.pattern) for each in ignored]
    left = {each for each in survey.names if not any(p.fullmatch(each.name) for p in patterns)}
    if preset is None and uses_preset(left):
        preset = PRESET
    resolved = _resolved(left, preset)
    return Plan(
        preset=preset,
        preset_folding=_preset_folding(resolved),
        foldings=tuple(foldings(set(resolved.values()))),
        ignored=ignored,
        not_ignored=tuple(sorted(allowed & resolved.keys())),
        groups=tuple(_groups(survey.runs)),
    )


def _resolved(names: Collection[Named], preset: str | None) -> Mapping[Named, Named]:
    """Return the names under the preset, without those that it ignores."""
    if preset is None:
        return {each: each for each in names}
    rules = PRESETS[preset]
    naming = Naming(rules.ignore, rules.fold)
    found = {each: naming.resolve(*each) for each in names}
    return {each: Named(each.workflow, to) for each, to in found.items() if to is not None}


def _preset_folding(resolved: Mapping[Named, Named]) -> Folding:
    """Return the jobs that the preset folds."""
    folded: dict[Named, list[str]] = defaultdict(list)
    for each, to in sorted(resolved.items()):
        if each != to:
            folded[to].append(each.name)
    return Folding("", "", dict(sorted(folded.items())))


def _ignored(names: Collection[Named], allowed: Collection[Named]) -> Iterator[Ignored]:
    """Yield patterns for the allowed jobs; none matches a job that is not allowed to fail."""
    raw = {each.name for each in allowed}
    others = {each.name for each in names if each not in allowed}
    left = sorted(raw - others)
    while left:
        pattern = Pattern(any_number(left[0]))
        matched = tuple(name for name in left if pattern.fullmatch(name))
        if len(matched) > 1 and not any(pattern.fullmatch(name) for name in others):
            yield Ignored(pattern.text, matched)
        else:
            matched = (left[0],)
            yield Ignored(literal(left[0]), matched)
        left = [name for name in left if name not in matched]


def _groups(runs: Mapping[str, Mapping[str, int]]) -> Iterator[PlannedGroup]:
    """Yield the groups of each workflow: one, or two if it runs on pushes and on a schedule."""
    taken: set[str] = {"default"}  # the name of the group of all other jobs
    for workflow, events in runs.items():
        scheduled, pushed = events.get(SCHEDULE, 0), sum(events.get(e, 0) for e in PUSHES)
        rest = sum(events.values())
        if scheduled and pushed:
            name = _unique_name(f"{workflow} {SCHEDULE}", taken)
            yield PlannedGroup(name, workflow, SCHEDULE, True, scheduled)
            rest -= scheduled
        yield PlannedGroup(_unique_name(workflow, taken), workflow, None, not pushed, rest)


def _unique_name(name: str, taken: set[str]) -> str:
    """Return a name that may be a label, with a number if it is taken, and add it to `taken`."""
    name = cut_to_bytes(CONTROL.sub(" ", name), MAX_NAME_BYTES - NUMBER_BYTES)
    number, unique = 2, name
    while unique in taken:
        number, unique = number + 1, f"{name} {number}"
    taken.add(unique)
    return unique
