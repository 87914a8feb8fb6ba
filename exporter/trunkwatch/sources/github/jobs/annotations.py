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
from trunkwatch.rest.json_text import text_or_none
from trunkwatch.sources.github.rights import Right
from trunkwatch.sources.github.state import TrunkContext

_EXIT_CODE_ONLY = re.compile(r"Process completed with exit code -?\d+\.?")
"""The runner's annotation of every failed step, which adds nothing to the failed step itself."""


class Annotation(NamedTuple):
    """One annotation.

    Attributes:
        level: `notice`, `warning` or `failure`.
        message: None where GitHub leaves it out.
    """

    level: str | None
    message: str | None


def read_annotations(context: TrunkContext, job_id: str) -> list[Annotation]:
    """Return the annotations of a job; none where they were deleted, or may not be read.

    Raises:
        BadAnswerError: it is no list of annotations.
        RequestError: as for `RestClient.get`.
    """
    if job_id in context.details:
        return [Annotation(*pair) for pair in context.details[job_id].annotations]
    path = f"{context.repo_path}/check-runs/{job_id}/annotations"
    try:
        rows = context.client.get(path, [("per_page", PER_PAGE)])
    except NotFoundError as error:
        if error.status == HTTPStatus.FORBIDDEN:
            context.refused(Right.CHECKS)
        return []
    try:
        return [
            Annotation(text_or_none(row.get("annotation_level")), text_or_none(row.get("message")))
            for row in rows
        ]
    except (TypeError, AttributeError) as error:
        raise BadAnswerError(
            f"GET {path}: no annotations as GitHub documents them", detail=str(error)
        ) from None


def failure_lines(annotations: Iterable[Annotation]) -> tuple[str, ...]:
    """Return the lines that explain a failure, cut to a readable length."""
    messages = [str(each.message or "") for each in annotations if each.level == "failure"]
    return annotation_lines(
        message for message in messages if not _EXIT_CODE_ONLY.fullmatch(message.strip())
    )
