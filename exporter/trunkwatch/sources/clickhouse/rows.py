"""Rows of the table as observations."""

from collections.abc import Iterable, Mapping, Sequence

from trunkwatch.config.schema import ClickhouseSource
from trunkwatch.domain.evidence import COMPLETED, UNFINISHED
from trunkwatch.domain.model import Evidence, Observation, RawJob, RunId, Trunk
from trunkwatch.sources.clickhouse.presets import PRESETS
from trunkwatch.sources.hashes import full_hash
from trunkwatch.times import plausible_time

ID_DIGITS = 18
"""Digits of the longest id that is stored as a number; any other one is a text."""

TRUE = frozenset({"1", "true"})
"""The texts of a true UInt8 and of a true Bool."""


class RowError(ValueError):
    """A row cannot be used.

    Attributes:
        key: of `columns`, where its value is wrong.
    """

    def __init__(self, key: str, problem: str) -> None:
        self.key = key
        super().__init__(f"columns.{key}: {problem}")


class RowParser:
    """Turns the values of a row into an observation."""

    def __init__(self, config: ClickhouseSource, fields: Sequence[str]) -> None:
        """Args:
        config: the source's section of the configuration.
        fields: the keys of `columns`, in the order of the values.
        """
        self._fields = fields
        self._workflow = config.name
        self._words = {**PRESETS[config.preset].words, **_lower(config.values)}
        self._skips_allowed = config.allow_failure == "skip"

    def observation(self, row: Sequence[object], now: float) -> Observation:
        """Return the observation of a row.

        Args:
            row: texts, and None for NULL.
            now: seconds since the epoch.

        Raises:
            RowError: it has no commit, job, repository or branch.
        """
        texts = zip(self._fields, row, strict=False)
        values = {key: text for key, text in texts if isinstance(text, str) and text}
        sha = full_hash(values.get("sha"))
        if sha is None:
            raise RowError("sha", "not the full hash of a commit")
        for key in ("repo", "branch", "job_name"):
            if key not in values:
                raise RowError(key, "empty")
        repo, branch = values["repo"], values["branch"]
        workflow = values.get("workflow", self._workflow)
        status, conclusion = self._result(values)
        created, started, completed = (
            _seconds(values.get(key), now) for key in ("created_at", "started_at", "completed_at")
        )
        return Observation(
            trunk=Trunk(repo, branch),
            sha=sha,
            job=RawJob(workflow, values.get("workflow_path"), values["job_name"]),
            status=status,
            conclusion=conclusion,
            run_id=_id(values.get("run_id")),
            attempt=max(1, _number(values.get("attempt")) or 1),
            job_id=_id(values.get("job_id")),
            run_number=_number(values.get("run_number")),
            event=values.get("event", "push"),
            head_branch=branch,
            head_repo=values.get("head_repo", repo),
            created_at=created,
            started_at=started,
            completed_at=completed if status == "completed" else None,
            url=values.get("url"),
            failed_step=values.get("failed_step"),
            infra=_is_true(values.get("infra")),
        )

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
    finished: dict[tuple[object, ...], None] = {}
    kept: dict[tuple[object, ...], Observation] = {}
    for row in rows:
        identity = (row.trunk, row.sha, row.job, row.run_id, row.attempt, row.job_id)
        if row.finished:
            finished[identity] = None
            kept.pop((*identity, None), None)
            kept[*identity, row.conclusion] = row
        elif identity not in finished:
            kept[*identity, None] = row
    return list(kept.values())


def _lower(values: Mapping[str, str]) -> dict[str, str]:
    return {word.lower(): result for word, result in values.items()}


def _seconds(text: str | None, now: float) -> float | None:
    try:
        return plausible_time(int(text or "") / 1e6, now)
    except ValueError:
        return None


def _number(text: str | None) -> int | None:
    is_number = text is not None and text.isascii() and text.isdecimal() and len(text) <= ID_DIGITS
    return int(text or "") if is_number else None


def _id(text: str | None) -> RunId | None:
    """Return an id: a number where it is written as one, so that ids are in order."""
    number = _number(text)
    return number if number is not None and str(number) == text else text


def _is_true(text: str | None) -> bool:
    return text is not None and text.lower() in TRUE
