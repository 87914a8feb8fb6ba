"""Rows of the table as observations."""

from collections.abc import Callable, Collection, Iterable, Mapping
from functools import cache
from itertools import repeat

from trunkwatch.config.sources import ClickhouseSource
from trunkwatch.domain.evidence import COMPLETED, UNFINISHED
from trunkwatch.domain.model import Evidence, Observation, RawJob, RunId, Trunk
from trunkwatch.sources.clickhouse.presets import PRESETS
from trunkwatch.sources.clickhouse.query import JOB_ID, OWN, RUN_ID, Bundle
from trunkwatch.sources.hashes import full_hash
from trunkwatch.times import plausible_time

ID_DIGITS = 18
"""Digits of the longest id that is stored as a number; any other one is a text."""

TRUE = frozenset({"1", "true"})
"""The texts of a true UInt8 and of a true Bool."""

NAMES = ("repo", "branch", "job_name")
"""The keys of `columns` without which a row is no result, beside that of the commit."""

NO_HASH = "not the full hash of a commit"


class RowError(ValueError):
    """A row cannot be used.

    Attributes:
        key: of `columns`, where its value is wrong.
    """

    def __init__(self, key: str, problem: str) -> None:
        self.key = key
        super().__init__(f"columns.{key}: {problem}")


Drop = Callable[[RowError, object], None]
"""Called with the error of a row that cannot be used, and its values."""


class RowParser:
    """Turns the rows of a page into observations."""

    def __init__(self, config: ClickhouseSource) -> None:
        """Args:
        config: the source's section of the configuration.
        """
        self._workflow = config.name
        self._words = {**PRESETS[config.preset].words, **_lower(config.values)}
        self._skips_allowed = config.allow_failure == "skip"

    def observations(
        self, bundles: Collection[Bundle], now: float, drop: Drop
    ) -> list[Observation]:
        """Return the observations of rows in the order of their places.

        A row without commit, job, repository or branch cannot be used.

        Args:
            bundles: the rows.
            now: seconds since the epoch.
            drop: called for each row that cannot be used.
        """
        count = sum(len(bundle.numbers) for bundle in bundles)
        found: list[Observation | None] = [None] * count
        shas = cache(full_hash)
        for bundle in bundles:
            shared = bundle.shared
            missing = [key for key in NAMES if key not in shared]
            make = None if missing else self._maker(shared, now)
            own = (bundle.own.get(key, repeat("")) for key in OWN)
            for number, sha, *others in zip(bundle.numbers, *own, strict=False):
                full = shas(sha)
                if make is not None and full is not None:
                    found[number - 1] = make(full, *others)
                    continue
                key, problem = ("sha", NO_HASH) if full is None else (missing[0], "empty")
                values = dict(zip(OWN, (sha, *others), strict=True))
                drop(RowError(key, problem), {**shared, **values})
        return [row for row in found if row is not None]

    def _maker(self, shared: Mapping[str, str], now: float) -> Callable[..., Observation]:
        """Return what makes an observation of the values of `OWN`.

        Args:
            shared: the other values.
            now: seconds since the epoch.
        """
        trunk = Trunk(shared["repo"], shared["branch"])
        workflow = shared.get("workflow", self._workflow)
        job = RawJob(workflow, shared.get("workflow_path"), shared["job_name"])
        status, conclusion = self._result(shared)
        event, head_repo = shared.get("event", "push"), shared.get("head_repo", trunk.repo)
        address, failed_step = shared.get("url", ""), shared.get("failed_step")
        infra, has_ended = _is_true(shared.get("infra")), status == "completed"

        def make(
            sha: str, run: str, attempt: str, job_id: str, run_number: str,
            created: int, started: int, completed: int,
        ) -> Observation:  # fmt: skip
            url = address.replace(RUN_ID, run).replace(JOB_ID, job_id)
            return Observation(
                trunk, sha, job, status, conclusion, _id(run), max(1, _number(attempt) or 1),
                _id(job_id), _number(run_number), event, trunk.branch, head_repo,
                _seconds(created, now), _seconds(started, now),
                _seconds(completed, now) if has_ended else None,
                url or None, failed_step, infra,
            )  # fmt: skip

        return make

    def _result(self, values: Mapping[str, str]) -> tuple[str, str | None]:
        """Return status and conclusion; a word that nothing maps stays, and counts as unknown."""
        status, conclusion = (self._word(values.get(key)) for key in ("status", "conclusion"))
        if status in UNFINISHED:
            return status, None
        if conclusion is None and status in COMPLETED:
            conclusion = status
        if conclusion is None:
            return status or "in_progress", None
        if conclusion in UNFINISHED:
            return conclusion, None
        is_allowed = self._skips_allowed and _is_true(values.get("allow_failure"))
        if is_allowed and COMPLETED.get(conclusion) is Evidence.FAIL:
            conclusion = "neutral"
        return "completed", conclusion

    def _word(self, text: str | None) -> str | None:
        return None if text is None else self._words.get(text.lower(), text.lower())


def without_versions(rows: Iterable[Observation]) -> list[Observation]:
    """Drop older versions of unfinished rows, and all of those that have a finished one.

    Two results of one job are both kept, as the policy wants them.

    Args:
        rows: in the order in which they were written.
    """
    kept: dict[tuple[object, ...], Observation] = {}
    others: dict[tuple[object, ...], Observation] = {}
    for row in rows:
        identity = (row.job, row.sha, row.run_id, row.attempt, row.job_id, row.trunk)
        before = kept.setdefault(identity, row)
        if before is row:
            continue
        if not before.finished or (row.finished and row.conclusion == before.conclusion):
            kept[identity] = row
        elif row.finished:
            others[*identity, row.conclusion] = row
    return [*kept.values(), *others.values()]


def _lower(values: Mapping[str, str]) -> dict[str, str]:
    return {word.lower(): result for word, result in values.items()}


def _seconds(microseconds: int, now: float) -> float | None:
    return plausible_time(microseconds / 1e6, now) if microseconds else None


def _number(text: str) -> int | None:
    is_number = text.isascii() and text.isdecimal() and len(text) <= ID_DIGITS
    return int(text) if is_number else None


def _id(text: str) -> RunId | None:
    """Return an id: a number where it is written as one, so that ids are in order."""
    number = _number(text)
    return number if number is not None and str(number) == text else text or None


def _is_true(text: str | None) -> bool:
    return text is not None and text.lower() in TRUE
