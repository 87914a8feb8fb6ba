"""Annotations of a check run: the reasons for which a job failed.

https://docs.github.com/en/rest/checks/runs#list-check-run-annotations
"""

import re
from collections.abc import Iterable
from http import HTTPStatus
from typing import NamedTuple

from trunkwatch.annotations import annotation_lines
from trunkwatch.errors import BadAnswerError, NotFoundError
from trunkwatch.github import PER_PAGE
from trunkwatch.rest.json_text import checked_list, text_or_none
from trunkwatch.sources.github.rights import Right
from trunkwatch.sources.github.state import TrunkContext

_EXIT_CODE_ONLY = re.compile(r"Process completed with exit code -?\d+\.?")
"""The runner's annotation of every failed step, which adds nothing to the failed step itself."""

PATH_CHARACTERS = 100
"""Characters of a path up to which it is put before a message: half of a line."""

RUNNER_PATH = ".github"
"""The path of annotations that are about no file."""


class Annotation(NamedTuple):
    """One annotation.

    Attributes:
        level: `notice`, `warning` or `failure`.
        message: None where GitHub leaves it out.
        path: the file that it is about, or `RUNNER_PATH`; None where GitHub leaves it out.
    """

    level: str | None
    message: str | None
    path: str | None = None

    @property
    def text(self) -> str:
        """The message, behind the file that it is about unless it names it itself."""
        message, path = self.message or "", self.path or RUNNER_PATH
        is_named = path == RUNNER_PATH or path in message or len(path) > PATH_CHARACTERS
        return message if is_named or not message.strip() else f"{path}: {message}"


def read_annotations(context: TrunkContext, job_id: str) -> list[Annotation]:
    """Return the annotations of a job; none where they were deleted, or may not be read.

    Raises:
        BadAnswerError: it is no list of annotations.
        RequestError: as for `RestClient.get`.
    """
    if job_id in context.details:
        return [Annotation(*each) for each in context.details[job_id].annotations]
    path = f"{context.repo_path}/check-runs/{job_id}/annotations"
    try:
        rows = context.client.get(path, [("per_page", PER_PAGE)])
    except NotFoundError as error:
        if error.status == HTTPStatus.FORBIDDEN:
            context.refused(Right.CHECKS)
        return []
    try:
        return [
            Annotation(*map(text_or_none, map(row.get, ("annotation_level", "message", "path"))))
            for row in checked_list(rows)
        ]
    except (TypeError, AttributeError) as error:
        raise BadAnswerError(
            f"GET {path}: no annotations as GitHub documents them", detail=str(error)
        ) from None


def failure_lines(annotations: Iterable[Annotation]) -> tuple[str, ...]:
    """Return the lines that explain a failure, cut to a readable length."""
    return annotation_lines(
        each.text
        for each in annotations
        if each.level == "failure" and not _EXIT_CODE_ONLY.fullmatch((each.message or "").strip())
    )
