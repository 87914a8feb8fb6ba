"""From raw to watched job names, by ignore patterns, fold rules and aliases in that order."""

import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
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


_TRAILING_PARENTHESES = re.compile(r"(.+?) \([^()]*\)")


def matrix_parent(name: str) -> str | None:
    """Return a matrix job's name without its trailing parentheses; None where it has none.

    A matrix that is skipped as a whole is reported as one row under that name.
    """
    match = _TRAILING_PARENTHESES.fullmatch(name)
    return match.group(1) if match else None


def display_names(latest: Mapping[str, str]) -> dict[str, str]:
    """Return each workflow's display name; workflows of one name get their file name added.

    Where that is ambiguous (`a/ci.yml` and `b/ci.yml`) the whole path is added: the jobs of two
    workflows with one display name would be merged.

    Args:
        latest: the newest name of each workflow, by identity (path or name).
    """
    by_file = _disambiguated(latest, latest, lambda key: key.rsplit("/", 1)[-1])
    return _disambiguated(latest, by_file, lambda key: key)


def _disambiguated(
    latest: Mapping[str, str], shown: Mapping[str, str], detail: Callable[[str], str]
) -> dict[str, str]:
    """Add a detail to equal names, except to a workflow without a path, which has no detail."""
    users = Counter(shown.values())
    return {
        key: name if users[name] == 1 or key == latest[key] else f"{latest[key]} ({detail(key)})"
        for key, name in shown.items()
    }


def any_full_match(patterns: Sequence[re.Pattern[str]], text: str) -> bool:
    """Return whether one of `patterns` matches all of `text`."""
    return any(pattern.fullmatch(text) for pattern in patterns)
