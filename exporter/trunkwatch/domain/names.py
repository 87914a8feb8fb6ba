"""From raw to watched job names, by ignore patterns, fold rules and aliases in that order."""

import re
from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain, count
from types import MappingProxyType


@dataclass(frozen=True, slots=True)
class FoldRule:
    """A rename of names that match in full; `to` may refer to groups by number or name."""

    match: re.Pattern[str]
    to: str


@dataclass(frozen=True, slots=True)
class Preset:
    """Ignore patterns and fold rules for one project's naming convention."""

    ignore: tuple[re.Pattern[str], ...]
    fold: tuple[FoldRule, ...]


PRESETS: Mapping[str, Preset] = MappingProxyType(
    {
        # `build / test (config, shard, shards, runner, flags...)`: shard, runner and flags only
        # describe where a job ran, while the config identifies the test. Everything from the first
        # `, <number>` inside the last such parentheses is dropped; other parentheses stay.
        "pytorch": Preset(
            ignore=(
                re.compile(
                    r".*\([^()]*, \d+(?=[,)])[^()]*"
                    r", (?:unstable|rerun_disabled_tests|mem_leak_check)(?=[,)])[^()]*\).*"
                ),
            ),
            fold=(
                FoldRule(
                    re.compile(
                        r"(.*\((?:(?!, \d+[,)])[^()])*), \d+(?=[,)])[^()]*(\)"
                        r"(?:(?!\([^()]*, \d+[,)]).)*)"
                    ),
                    r"\1\2",
                ),
            ),
        )
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

    ignore: tuple[re.Pattern[str], ...] = ()
    fold: tuple[FoldRule, ...] = ()
    aliases: Mapping[tuple[str, str], str] = field(default_factory=dict)

    def resolve(self, workflow: str, raw_name: str) -> str | None:
        """Return the watched name of a job, or None when it is ignored.

        Args:
            workflow: the workflow's display name.
            raw_name: the name in the CI.
        """
        if any(pattern.fullmatch(raw_name) for pattern in self.ignore):
            return None
        name = raw_name
        for rule in self.fold:
            match = rule.match.fullmatch(name)
            if match:
                name = match.expand(rule.to)
        return self.aliases.get((workflow, name), name)


_LEVEL = re.compile(r" / | \(")
"""The end of a name whose skipped row may stand for the job: of a caller, or of a matrix."""

_MATRIX = re.compile(r" \(.*(?:\)|\.\.\.|\) / .*)", re.DOTALL)
"""The rest of a matrix job's name: values with any parentheses, cut off, or called jobs."""


def callers(name: str) -> frozenset[str]:
    """Return the names whose skipped row stands for a job, at any depth.

    A reusable workflow that is not called, and a matrix that is skipped as a whole, are reported
    as one row: `a` or `a / b` for `a / b (x)`.
    """
    ends = (match.start() for match in _LEVEL.finditer(name))
    return frozenset(
        name[:end]
        for end in ends
        if end and (name.startswith(" / ", end) or _MATRIX.fullmatch(name, end))
    )


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


def any_full_match(patterns: Sequence[re.Pattern[str]], text: str) -> bool:
    """Return whether one of `patterns` matches all of `text`."""
    return any(pattern.fullmatch(text) for pattern in patterns)
