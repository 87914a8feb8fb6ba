"""The storage file of `trunkwatch confirm`: every question that was asked or refused.

One process at a time, as for `trunkwatch tickets`: two would ask twice.
"""

import json
from collections.abc import Mapping
from typing import Any

from trunkwatch.confirm.model import DAY_SECONDS, Asked, Kind, Question, State, Target
from trunkwatch.domain.model import JobKey
from trunkwatch.store.migration import Schema
from trunkwatch.store.program_file import ProgramFile

SCHEMA = Schema(
    application_id=0x54574346,  # "TWCF"
    migrations=(
        (
            "CREATE TABLE questions (question TEXT PRIMARY KEY, at REAL NOT NULL,"
            " text TEXT NOT NULL) WITHOUT ROWID",
        ),
    ),
    foreign_file="is not a file of trunkwatch confirm; choose a separate file for it",
)
"""The schema of the storage file."""

KEPT_SECONDS = 60 * DAY_SECONDS
"""Age from which a question is forgotten: no run is repeated after 30 days."""


class ConfirmStore(ProgramFile):
    """The storage file; any thread may use it."""

    def __init__(self, path: str) -> None:
        """Open the file and lock it; see `ProgramFile`."""
        super().__init__(path, SCHEMA, "trunkwatch confirm")

    def questions(self) -> list[Asked]:
        """Return every stored question.

        Raises:
            StoreError: the file cannot be read.
        """
        rows = self.rows("SELECT text FROM questions")
        with self.reported_errors():
            return [_asked(json.loads(text)) for (text,) in rows]

    def save(self, *questions: Asked) -> None:
        """Store questions in one transaction, and forget old ones.

        Raises:
            StoreError: they could not be stored.
        """
        with self.transaction() as db:
            for asked in questions:
                key = json.dumps(_key(asked.question), ensure_ascii=False)
                text = json.dumps(_document(asked), ensure_ascii=False)
                db.execute(
                    "INSERT OR REPLACE INTO questions VALUES (?, ?, ?)", (key, asked.at, text)
                )
                db.execute("DELETE FROM questions WHERE at < ?", (asked.at - KEPT_SECONDS,))

    def forget(self, *questions: Question) -> None:
        """Delete questions that CI has not received.

        Raises:
            StoreError: it could not be deleted.
        """
        with self.transaction() as db:
            for question in questions:
                key = json.dumps(_key(question), ensure_ascii=False)
                db.execute("DELETE FROM questions WHERE question = ?", (key,))


def _key(question: Question) -> list[str]:
    return [question.kind, *question.job, question.first_bad, question.sha]


def _document(asked: Asked) -> dict[str, Any]:
    return {
        "question": _key(asked.question),
        "group": asked.group,
        "target": None if asked.target is None else asked.target._asdict(),
        "state": asked.state,
        "at": asked.at,
        "minutes": asked.minutes,
        "reason": asked.reason,
        "answer": asked.answer,
        "sent_at": asked.sent_at,
    }


def _asked(document: Mapping[str, Any]) -> Asked:
    kind, repo, branch, workflow, job_name, first_bad, sha = document["question"]
    target = document["target"]
    fields = {
        **document,
        "question": Question(Kind(kind), JobKey(repo, branch, workflow, job_name), first_bad, sha),
        "target": None if target is None else Target(**target),
        "state": State(document["state"]),
    }
    return Asked(**fields)
