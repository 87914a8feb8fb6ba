"""The CI configuration of one commit, as GitLab expands it, and why a job of it must not run.

The answer is that of https://docs.gitlab.com/api/lint/#validate-existing-cicd-configuration; the
keys of its YAML are documented at https://docs.gitlab.com/ci/yaml/.
"""

import re
from collections.abc import Collection, Iterator, Mapping
from typing import Any, NamedTuple

from trunkwatch.confirm.ci_yaml import load_yaml
from trunkwatch.rest.json_text import (
    checked_list,
    checked_text,
    list_or_empty,
    object_of,
    object_or_empty,
    text_or_none,
)

PARALLEL = re.compile(r"(?s)(?P<name>.+?)(?: \d+/\d+|: \[.*+(?<=\]))")
"""The name of one part of a `parallel` job; possessive, so that a long name takes linear time."""

DEPLOYING = {
    "environment": "has an environment",
    "trigger": "starts another pipeline",
    "release": "makes a release",
    "pages": "publishes pages",
}
"""Keys of a job that changes something outside its pipeline."""

WAITING = frozenset({"manual", "delayed"})
"""Values of `when` of a job that a person starts, or a time: GitLab starts its retry at once."""

MAX_RULES = 1000
"""Rules of a job that are read; aliases of YAML could make them as many as fill a day."""


class ConfiguredJob(NamedTuple):
    """One job of a configuration.

    Attributes:
        stage: the place of its stage, from 0.
        needs: the jobs after which it runs; None if it runs after all those of earlier stages.
        forbids: why it must not run again, as the end of a sentence; None if nothing shows it.
    """

    stage: int
    needs: frozenset[str] | None
    forbids: str | None


class Configuration:
    """All jobs that a pipeline at one commit may have."""

    def __init__(self, jobs: Mapping[str, ConfiguredJob]) -> None:
        """Args:
        jobs: by name, each part of a `parallel` job too.
        """
        self._jobs = jobs

    def find(self, name: str) -> ConfiguredJob | None:
        """Return a job by its name in a pipeline; None if no key of the configuration makes it."""
        found = self._jobs.get(name)
        part = PARALLEL.fullmatch(name) if found is None else None
        return self._jobs.get(part["name"]) if part else found

    def waits_for(self, name: str, others: Collection[str]) -> Iterator[str]:
        """Yield those jobs of a pipeline that must pass before a job runs."""
        job = self.find(name)
        if job is None:
            return
        for other in others:
            if job.needs is not None:
                is_before = other in job.needs or _base(other) in job.needs
            else:
                found = self.find(other)
                is_before = found is None or found.stage < job.stage
            if is_before and other != name:
                yield other


def read_configuration(document: Mapping[str, Any]) -> Configuration:
    """Read GitLab's answer, with the list of jobs.

    Raises:
        ValueError: the configuration is invalid, or the answer lacks a part.
    """
    if document.get("valid") is not True:
        raise ValueError("GitLab finds it invalid")
    try:
        sections = object_of(load_yaml(checked_text(document["merged_yaml"])))
        rows = [object_of(row) for row in checked_list(document["jobs"])]
        named = [(checked_text(row["name"]), checked_text(row["stage"])) for row in rows]
    except (KeyError, TypeError):
        raise ValueError("GitLab's answer has no jobs") from None
    # GitLab lists the jobs in the order of their stages.
    stages = {stage: place for place, stage in enumerate(dict.fromkeys(s for _, s in named))}
    plain = {_key(name): section for name, section in sections.items()}
    return Configuration(
        {
            name: _job(name, stages[stage], row, plain.get(name, plain.get(_base(name))))
            for (name, stage), row in zip(named, rows, strict=True)
        }
    )


def _job(name: str, stage: int, row: Mapping[str, Any], section: object) -> ConfiguredJob:
    if not isinstance(section, dict):
        return ConfiguredJob(stage, None, "is not in the text of the configuration")
    keys = {_key(key): value for key, value in section.items()}
    needs = None
    if "needs" in keys:
        listed = row.get("needs")
        listed = listed if isinstance(listed, list) else keys["needs"]
        needs = frozenset(filter(None, map(_needed, list_or_empty(listed))))
    return ConfiguredJob(stage, needs, next(_reasons(name, row, keys), None))


def _reasons(name: str, row: Mapping[str, Any], keys: Mapping[str, Any]) -> Iterator[str]:
    """Yield the reasons why a job must not run again."""
    for key, reason in DEPLOYING.items():
        if row.get(key) or keys.get(key) or (key == "pages" and _base(name) == key):
            yield reason
    if _waits(row) or _waits(keys):
        yield "waits for a person or a time"
    waiting, seen = [keys.get("rules")], 0
    while waiting:
        rule, seen = waiting.pop(), seen + 1
        waiting += list_or_empty(rule)
        if seen + len(waiting) > MAX_RULES:
            yield f"has more than {MAX_RULES} rules"
            return
        if _waits(object_or_empty(rule)):
            yield "waits for a person or a time"


def _waits(section: Mapping[str, Any]) -> bool:
    """Return whether a job or a rule has a `when` of `WAITING`."""
    # Aliases could make the text of another type as long as they like.
    return not WAITING.isdisjoint(map(text_or_none, map(section.get, ("when", ":when"))))


def _needed(need: object) -> str | None:
    """Return the name of a needed job, which is written alone or with more keys."""
    if isinstance(need, dict):
        return text_or_none(need.get("name")) or text_or_none(need.get("job"))
    return text_or_none(need)


def _key(key: object) -> str:
    """Return a key, which GitLab may write as a symbol of Ruby."""
    return str(key).removeprefix(":")


def _base(name: str) -> str:
    part = PARALLEL.fullmatch(name)
    return part["name"] if part else name
