"""From a CI's raw job name to the watched one: ignoring, folding, aliases, in that order."""

import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType


@dataclass(frozen=True, slots=True)
class FoldRule:
    """Renames what matches in full; `to` may refer to groups by number or name."""

    match: re.Pattern[str]
    to: str


@dataclass(frozen=True, slots=True)
class Preset:
    """Ignore patterns and fold rules for a well-known naming habit."""

    ignore: tuple[re.Pattern[str], ...]
    fold: tuple[FoldRule, ...]


PRESETS: Mapping[str, Preset] = MappingProxyType(
    {
        # `build / test (config, shard, shards, runner, flags...)`: shard, runner and flags say
        # where a job ran; the config token says what it tests. What follows the first `, <number>`
        # inside the last such parentheses goes; other parentheses stay.
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
"""Every preset there is, by the name that the configuration uses."""


@dataclass(frozen=True, slots=True)
class Naming:
    """How raw names become watched names.

    Attributes:
        ignore: patterns over raw names, full match; such jobs are not watched.
        fold: rules over the name that the one before left, full match, in order.
        aliases: (workflow, old name) to new name, after folding: joins the histories of a rename.
    """

    ignore: tuple[re.Pattern[str], ...] = ()
    fold: tuple[FoldRule, ...] = ()
    aliases: Mapping[tuple[str, str], str] = field(default_factory=dict)

    def resolve(self, workflow: str, raw_name: str) -> str | None:
        """Return the watched name of a job, or None when it is ignored.

        Args:
            workflow: the workflow's display name.
            raw_name: the name as the CI gives it.
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
    """Return a matrix job's name without its trailing parentheses, None where it has none.

    A matrix that is skipped as a whole is one row under that name: its children were present.
    """
    match = _TRAILING_PARENTHESES.fullmatch(name)
    return match.group(1) if match else None


def display_names(latest: Mapping[str, str]) -> dict[str, str]:
    """Return each workflow's display name; two of one name are told apart by their file.

    Where that is not enough (`a/ci.yml` and `b/ci.yml`), by their whole path: two workflows that
    are shown alike would be one job.

    Args:
        latest: the newest name that each workflow identity (path or name) was seen with.
    """
    by_file = _told_apart(latest, latest, lambda key: key.rsplit("/", 1)[-1])
    return _told_apart(latest, by_file, lambda key: key)


def _told_apart(
    latest: Mapping[str, str], shown: Mapping[str, str], detail: Callable[[str], str]
) -> dict[str, str]:
    """Add a detail to what is shown alike; a workflow without a path has none to add."""
    users = Counter(shown.values())
    return {
        key: name if users[name] == 1 or key == latest[key] else f"{latest[key]} ({detail(key)})"
        for key, name in shown.items()
    }


def any_full_match(patterns: Sequence[re.Pattern[str]], text: str) -> bool:
    """Whether one of `patterns` matches all of `text`."""
    return any(pattern.fullmatch(text) for pattern in patterns)
