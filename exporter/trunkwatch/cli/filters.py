"""Flags that choose some jobs: `--group`, `--team` and `--workflow`."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from difflib import get_close_matches
from fnmatch import fnmatchcase
from typing import NamedTuple

import click

from trunkwatch.cli.common import Command
from trunkwatch.cli.job_argument import LISTED, SIMILARITY
from trunkwatch.domain.job import JobState
from trunkwatch.engine.snapshot import Snapshot, TrunkState
from trunkwatch.errors import UsageError


class Filters(NamedTuple):
    """Names of jobs to choose; each may be a glob, and small and capital letters are the same.

    Attributes:
        group: of any of these groups; of all without one.
        team: of any of these teams.
        workflow: of any of these workflows.
    """

    group: Sequence[str]
    team: Sequence[str]
    workflow: Sequence[str]

    def of(self, snapshot: Snapshot) -> Snapshot:
        """Return a snapshot with only the chosen jobs, their groups and their trunks.

        Raises:
            UsageError: a name is of no job, or no job has all names.
        """
        if not any(self):
            return snapshot
        jobs = [job for trunk in snapshot.trunks for job in trunk.jobs]
        for (flag, name_of), wanted in zip(_NAMES.items(), self, strict=True):
            _refuse_unknown(flag, wanted, {name_of(job) for job in jobs})
        trunks = tuple(found for trunk in snapshot.trunks if (found := self._of(trunk)).jobs)
        if not trunks:
            raise UsageError("no job fits --group, --team and --workflow together")
        return replace(snapshot, trunks=trunks)

    def _of(self, trunk: TrunkState) -> TrunkState:
        jobs = tuple(job for job in trunk.jobs if self.covers(job))
        groups = {job.group.name for job in jobs}
        return replace(
            trunk,
            jobs=jobs,
            groups=tuple(state for state in trunk.groups if state.group.name in groups),
        )

    def covers(self, job: JobState) -> bool:
        """Return whether a job is chosen."""
        return all(
            not wanted or any(_fits(name_of(job), each) for each in wanted)
            for name_of, wanted in zip(_NAMES.values(), self, strict=True)
        )


_NAMES: dict[str, Callable[[JobState], str]] = {
    "--group": lambda job: job.group.name,
    "--team": lambda job: job.group.team,
    "--workflow": lambda job: job.key.workflow,
}
"""The name of a job that each flag compares."""


class _Names(click.types.StringParamType):
    """Names; in an environment variable they are separated by commas."""

    envvar_list_splitter = ","


def filter_flags(command: Command) -> Command:
    """Add the flags to a command."""
    for flag in reversed(_NAMES):
        command = click.option(
            flag,
            multiple=True,
            type=_Names(),
            metavar="NAME",
            help=f"Only jobs of this {flag[2:]}, or a glob of its name; may be repeated.",
        )(command)
    return command


def _fits(name: str, wanted: str) -> bool:
    name, wanted = name.casefold(), wanted.casefold()
    return name == wanted or fnmatchcase(name, wanted)


def _refuse_unknown(flag: str, wanted: Iterable[str], names: Iterable[str]) -> None:
    present = sorted(names)
    for each in wanted:
        if not any(_fits(name, each) for name in present):
            near = get_close_matches(each, present, LISTED, SIMILARITY)
            shown = ", ".join(map(repr, near or present[:LISTED])) or "none"
            what = "the nearest" if near else "there are"
            raise UsageError(f"{flag} {each!r}: no job has it; {what}: {shown}")
