"""The JSON object of `/api/v1/confirm`, which `trunkwatch serve` reads."""

from typing import Any

from trunkwatch.confirm.metrics import Health
from trunkwatch.confirm.model import DAY_SECONDS, Asked
from trunkwatch.times import format_time, format_time_or_none

SHOWN_SECONDS = 7 * DAY_SECONDS
"""Age from which a question is not listed."""


def confirm_object(health: Health, mode: str) -> dict[str, Any]:
    """Return the questions of the last days, newest first.

    Args:
        health: the result of the last round.
        mode: `ask` or `act`.
    """
    now = health.round_at or 0.0
    recent = [each for each in health.questions if now - each.at < SHOWN_SECONDS]
    return {
        "as_of": format_time_or_none(health.round_at),
        "problem": "; ".join(health.problems()) or None,
        "mode": mode,
        "held": [
            {**trunk._asdict(), "reason": reason} for trunk, reason in sorted(health.held.items())
        ],
        "questions": [_question(each) for each in sorted(recent, key=_newest_first)],
    }


def _newest_first(asked: Asked) -> tuple[float, tuple[str, ...]]:
    return -asked.at, tuple(map(str, asked.question))


def _question(asked: Asked) -> dict[str, Any]:
    question = asked.question
    return {
        "kind": str(question.kind),
        **question.job._asdict(),
        "group": asked.group,
        "first_bad": question.first_bad,
        "sha": question.sha,
        "state": str(asked.state),
        "at": format_time(asked.at),
        "run_id": asked.target.run_id if asked.target is not None else None,
        "minutes": round(asked.minutes, 1),
        "reason": asked.reason or None,
        "answer": asked.answer,
    }
