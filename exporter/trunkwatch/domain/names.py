"""From raw to watched job names, by ignore patterns, fold rules and aliases in that order."""

import re
from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain, count, islice
from types import MappingProxyType

from trunkwatch.patterns import Pattern


@dataclass(frozen=True, slots=True)
class FoldRule:
    """A rename of names that match in full; `to` may refer to groups by number or name."""

    match: Pattern
    to: str

    def folded(self, name: str) -> str:
        """Return the new name of a job, which is the old one unless that matches."""
        to = self.match.expand(name, self.to)
        return name if to is None else to


@dataclass(frozen=True, slots=True)
class Preset:
    """Ignore patterns and fold rules for one project's naming convention."""

    ignore: tuple[Pattern, ...]
    fold: tuple[FoldRule, ...]


_COMMAS = r",(?: ?,)*"
_NO_SHARD = rf"(?:[^(),\n]|{_COMMAS}(?:[^(), \n]| [^(),\d\n]| \d+[^(),\d\n]))*"
"""A text without parentheses and without `, <number>` before a comma or its end."""

PRESETS: Mapping[str, Preset] = MappingProxyType(
    {
        # `parallel: 3` makes `job 1/3` to `job 3/3`, the parts of one job. The legs of
        # `parallel: matrix`, such as `job: [a, b]`, are different tests and keep their names.
        "gitlab": Preset(ignore=(), fold=(FoldRule(Pattern(r"(?s)(.*\S) \d+/\d+"), r"\1"),)),
        # `build / test (config, shard, shards, runner, flags...)`: shard, runner and flags only
        # describe where a job ran, while the config identifies the test. Everything from the first
        # `, <number>` inside the last such parentheses is dropped; other parentheses stay.
        "pytorch": Preset(
            ignore=(
                Pattern(
                    r".*\([^()]*, \d+(?:,[^()]*)?"
                    r", (?:unstable|rerun_disabled_tests|mem_leak_check)(?:,[^()]*)?\).*"
                ),
            ),
            fold=(
                FoldRule(
                    Pattern(
                        rf"(.*\([^()]*?), \d+(?:,[^()]*)?(\)[^(\n]*"
                        rf"(?:\({_NO_SHARD}(?:(?:{_COMMAS}(?: \d*)?)?"
                        rf"|(?:{_COMMAS} ?)?\)[^(\n]*))*)"
                    ),
                    r"\1\2",
                ),
            ),
        ),
    }
)
"""Every preset by its name in the configuration."""


@dataclass(frozen=True, slots=True)
class Naming:
    """The configured mapping of raw names to watched names.

    Attributes:
        ignore: full-match patterns over the raw names of jobs that are not watched.
        fold: rules that are applied in order, each to the result of the one before.
        aliases: new name by (workflow, old name), applied after folding; joins the histories of a
            renamed job.
    """

    ignore: tuple[Pattern, ...] = ()
    fold: tuple[FoldRule, ...] = ()
    aliases: Mapping[tuple[str, str], str] = field(default_factory=dict)

    def resolve(self, workflow: str, raw_name: str) -> str | None:
        """Return the watched name of a job, or None when it is ignored.

        Args:
            workflow: the workflow's display name.
            raw_name: the name in the CI.
        """
        if any_full_match(self.ignore, raw_name):
            return None
        name = raw_name
        for rule in self.fold:
            name = rule.folded(name)
        return self.aliases.get((workflow, name), name)


_LEVEL = re.compile(r" / | \(")
"""The end of a name whose skipped row may stand for the job: of a caller, or of a matrix."""

MAX_CALLERS = 50
"""More levels than any CI has: each one costs a copy of a name."""


def callers(name: str) -> frozenset[str]:
    """Return the names whose skipped row stands for a job, at any depth.

    A reusable workflow that is not called, and a matrix that is skipped as a whole, are reported
    as one row: `a` or `a / b` for `a / b (x)`.
    """
    levels = islice(_LEVEL.finditer(name), MAX_CALLERS)
    last_call = name.rfind(") / ")
    return frozenset(
        name[: level.start()]
        for level in levels
        if level.start() and (level[0] == " / " or _is_matrix(name, level.end(), last_call))
    )


def _is_matrix(name: str, values_at: int, last_call: int) -> bool:
    """Return whether values end a name, are cut off, or are followed by called jobs."""
    return last_call >= values_at or name.endswith((")", "..."), values_at)


_WORKFLOW_FILE = re.compile(r"\.github/workflows/[^/]+\.ya?ml(@.*)?", re.DOTALL)


def is_workflow_file(name: str) -> bool:
    """Return whether a workflow's name is only its file: GitHub names a run so if it is invalid."""
    return _WORKFLOW_FILE.fullmatch(name) is not None


def labels_of(name: str, workflow: str) -> tuple[str, ...]:
    """Return the labels that show a workflow's name, the preferred first.

    The file name, or else the identity, is added where another workflow has the name (`a/ci.yml`
    and `b/ci.yml`): the jobs of two workflows with one label would be merged.

    Args:
        name: the workflow's name.
        workflow: its identity.
    """
    return name, f"{name} ({workflow.rsplit('/', 1)[-1]})", f"{name} ({workflow})"


def free_label(name: str, workflow: str, taken: Container[str]) -> str:
    """Return the first label of a workflow that no other workflow has."""
    numbered = (f"{name} ({workflow} {number})" for number in count(2))
    return next(label for label in chain(labels_of(name, workflow), numbered) if label not in taken)


def event_label(label: str, event: str) -> str:
    """Return the label of those runs of a workflow that one event started."""
    return f"{label} [{event}]"


def any_full_match(patterns: Sequence[Pattern], text: str) -> bool:
    """Return whether one of `patterns` matches all of `text`."""
    return any(pattern.fullmatch(text) for pattern in patterns)
