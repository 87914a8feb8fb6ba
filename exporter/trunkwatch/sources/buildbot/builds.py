"""Builds and source stamps, as far as they can be used, and the commit that a build is of.

The data API: https://docs.buildbot.net/latest/developer/rtype-build.html and rtype-sourcestamp.html
beside it. Any value may be null or of another type; only a build without ids is of no use.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from trunkwatch.rest.json_text import int_or_none, list_or_empty, text_or_none
from trunkwatch.times import plausible_time

SUCCESS, WARNINGS, FAILURE, SKIPPED, EXCEPTION, RETRY, CANCELLED = range(7)

CONCLUSIONS: Mapping[int, str] = MappingProxyType(
    {
        SUCCESS: "success",
        WARNINGS: "success",
        FAILURE: "failure",
        SKIPPED: "skipped",
        EXCEPTION: "failure",
        RETRY: "retry",
        CANCELLED: "cancelled",
    }
)
"""Buildbot's result codes as conclusions of the evidence table; EXCEPTION is marked `infra`."""

PROPERTIES = ("got_revision", "revision", "branch")
"""The properties of a build that are read."""


@dataclass(frozen=True, slots=True)
class Build:
    """One build.

    Attributes:
        build_id: unique in the master, ascending by start.
        builder_id: of its builder, which is a virtual one if the build has such a name.
        request_id: of its build request; several builds of one are attempts.
        number: within its builder; None where it is unknown.
        complete: whether it has ended.
        results: the result code; None while it runs, or where it is unknown.
        started_at: seconds since the epoch, or None.
        completed_at: seconds since the epoch, or None.
        got_revision: the commit that was checked out, or commits by codebase; None before.
        revision: the commit that was requested; None with several codebases.
        branch: None for the default branch, and with several codebases.
    """

    build_id: int
    builder_id: int
    request_id: int
    number: int | None
    complete: bool
    results: int | None
    started_at: float | None
    completed_at: float | None
    got_revision: str | Mapping[str, str] | None
    revision: str | None
    branch: str | None

    @property
    def failed(self) -> bool:
        """Whether it is complete and failed."""
        return self.complete and self.results in (FAILURE, EXCEPTION)

    @property
    def conclusion(self) -> str | None:
        """The word of the evidence table for its result; a code that is not listed stays one."""
        if not self.complete or self.results is None:
            return None
        return CONCLUSIONS.get(self.results, str(self.results))


@dataclass(frozen=True, slots=True)
class SourceStamp:
    """The branch and the revision of one codebase that a request is for; None for the default."""

    branch: str | None
    revision: str | None


@dataclass(frozen=True, slots=True)
class RequestedSources:
    """The sources of one build request.

    Attributes:
        patched: a patch is applied to one of them: a try build.
        stamps: by codebase; empty where they cannot be read.
    """

    patched: bool = False
    stamps: Mapping[str, SourceStamp] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Checkout:
    """The branch and the commit of a build in one codebase.

    Attributes:
        branch: None for the default branch.
        got: the commit that was checked out, as Buildbot writes it.
        requested: the commit that was requested, as Buildbot writes it.
    """

    branch: str | None
    got: str | None
    requested: str | None


# ---------------------------------------------------------------------- parsing


def parse_build(item: object, now: float) -> Build | None:
    """Return a row of a list of builds; None if it lacks its own, its builder's or request's id.

    Args:
        item: as the API gives it.
        now: seconds since the epoch.
    """
    if not isinstance(item, dict):
        return None
    build, builder, request = (
        int_or_none(item.get(key)) for key in ("buildid", "builderid", "buildrequestid")
    )
    if build is None or builder is None or request is None:
        return None
    started, completed = (_time(item.get(key), now) for key in ("started_at", "complete_at"))
    properties = item.get("properties")
    return Build(
        build_id=build,
        builder_id=builder,
        request_id=request,
        number=int_or_none(item.get("number")),
        complete=item.get("complete") is True or item.get("complete_at") is not None,
        results=int_or_none(item.get("results")),
        started_at=started,
        completed_at=completed,
        got_revision=_revisions(_property(properties, "got_revision")),
        revision=text(_property(properties, "revision")),
        branch=text(_property(properties, "branch")),
    )


def parse_sources(items: object) -> RequestedSources:
    """Return the sources of a build set from its list of source stamps."""
    stamps = [item for item in list_or_empty(items) if isinstance(item, dict)]
    return RequestedSources(
        patched=any(stamp.get("patch") is not None for stamp in stamps),
        stamps={
            text(stamp.get("codebase")) or "": SourceStamp(
                text(stamp.get("branch")), text(stamp.get("revision"))
            )
            for stamp in stamps
        },
    )


def first_failed_step(steps: Iterable[object]) -> str | None:
    """Return the name of the first failed step of a build's steps, which are in order."""
    failed = (
        step.get("name")
        for step in steps
        if isinstance(step, dict) and step.get("results") in (FAILURE, EXCEPTION)
    )
    return text(next(failed, None))


def text(value: object) -> str | None:
    """Return a text that is not empty, or None for anything else."""
    return text_or_none(value) or None


def _property(properties: object, name: str) -> Any:
    """Return a property's value; Buildbot gives each as [value, source]."""
    value = properties.get(name) if isinstance(properties, dict) else None
    return value[0] if isinstance(value, list) and value else None


def _revisions(value: object) -> str | Mapping[str, str] | None:
    if isinstance(value, dict):
        return {name: commit for name, commit in value.items() if text(commit) is not None}
    return text(value)


def _time(value: object, now: float) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    plausible = plausible_time(value, now)
    return None if plausible is None else float(plausible)


# ---------------------------------------------------------------------- codebases


def codebases_of(build: Build, sources: RequestedSources) -> frozenset[str]:
    """Return the names of a build's codebases; the only one usually has the name ''.

    A build that failed early has checked out only some of them.
    """
    got = build.got_revision if isinstance(build.got_revision, Mapping) else {}
    if got and len(sources.stamps) <= 1:
        return frozenset(got)
    return frozenset(sources.stamps) | frozenset(got)


def choose_codebase(names: frozenset[str], configured: str) -> str | None:
    """Return the codebase of the watched repository; None if the configuration must name it.

    Args:
        names: of a build's codebases; empty where they are unknown.
        configured: the configured codebase; '' for the only one.
    """
    if configured in names or not names:
        return configured
    if len(names) == 1 and (not configured or "" in names):
        return next(iter(names))
    return None


def checkout_of(build: Build, sources: RequestedSources, codebase: str) -> Checkout:
    """Return the branch and the commit of a build in one of its codebases."""
    got = build.got_revision
    if isinstance(got, Mapping):
        got = got.get(codebase)
    if len(sources.stamps) <= 1:
        return Checkout(build.branch, got, build.revision)
    # With several codebases the properties are unset, or set by somebody's configuration, and a
    # revision that is not by codebase is of a step for the codebase ''.
    if codebase and not isinstance(build.got_revision, Mapping):
        got = None
    stamp = sources.stamps.get(codebase) or SourceStamp(None, None)
    return Checkout(stamp.branch, got, stamp.revision)
