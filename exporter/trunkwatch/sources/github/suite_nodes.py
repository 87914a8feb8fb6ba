"""Runs and details of check runs as GraphQL gives them.

Every field may be null for a moment, also one that the schema declares as non-null.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from trunkwatch.rest.json_text import checked_list, int_or_none, optional_object, text_or_none
from trunkwatch.sources.github.jobs.job import ACTIONS_APP, failed_step
from trunkwatch.sources.github.runs.run import COMPLETED, SAME_REPO, Run, id_of, node_id
from trunkwatch.sources.github.state import Details
from trunkwatch.times import parse_time

_RUN_URL = re.compile(r".*/actions/runs/(\d+)")
_SUITE_URL = re.compile(r".*[?&]check_suite_id=(\d+)")
_WORKFLOW_PATH = re.compile(r".*/actions/workflows/(.+)")


def run_of_node(sha: str, node: Mapping[str, Any]) -> Run | None:
    """Return the run of a suite; None for one of another app.

    Raises:
        ValueError: it is of a run that cannot be used.
    """
    run, conclusion = node["workflowRun"], node["conclusion"]
    if run is None and optional_object(node["app"]).get("slug", ACTIONS_APP) != ACTIONS_APP:
        return None
    match = _RUN_URL.match(run["url"])
    if match is None:
        raise ValueError(f"a run at {run['url']!r}")
    workflow = optional_object(run["workflow"])
    texts = (run["event"], node["status"])
    if not all(isinstance(each, str) for each in texts) or not node_id(node["id"]):
        raise ValueError(f"the run {run['url']} has no event, no status or no suite")
    if not isinstance(conclusion, str | None):
        raise ValueError(f"the run {run['url']} has the conclusion {conclusion!r}")
    status = node["status"].lower()
    suite = _SUITE_URL.match(str(node["url"]))
    branch = text_or_none(optional_object(node["branch"]).get("name"))
    return Run(
        id=id_of(match[1]),
        sha=sha,
        path=_path_of(run, workflow),
        name=text_or_none(workflow.get("name")) or "",
        number=int_or_none(run["runNumber"]),
        event=run["event"],
        head_branch=branch or "",
        head_repo=SAME_REPO,
        attempt=1,
        status=status,
        conclusion=conclusion.lower() if conclusion and status == COMPLETED else None,
        created=parse_time(run["createdAt"]),
        updated=parse_time(run["updatedAt"]),
        suite=id_of(suite[1]) if suite else None,
        url=run["url"],
        node=node["id"],
        is_doubtful=None in (branch, int_or_none(run["runNumber"]))
        or (status == COMPLETED and conclusion is None),
    )


def _path_of(run: Mapping[str, Any], workflow: Mapping[str, Any]) -> str:
    path = text_or_none(optional_object(run["file"]).get("path"))
    if path:
        return path
    match = _WORKFLOW_PATH.match(str(workflow.get("resourcePath") or ""))
    if match is None:
        raise ValueError(f"the run {run['url']} is of no workflow file")
    return f".github/workflows/{match[1]}"


def details_of_node(node: Mapping[str, Any]) -> Details:
    """Return the annotations and the failed step of a check run.

    Raises:
        AttributeError: an annotation is null: it may be the one that names a time limit.
        TypeError: its annotations or steps are no list.
    """
    annotations = tuple(_annotations(checked_list(node["annotations"]["nodes"])))
    steps = [
        {"name": step["name"], "conclusion": (text_or_none(step["conclusion"]) or "").lower()}
        for step in checked_list(node["steps"]["nodes"])
        if step is not None
    ]
    return Details(annotations, failed_step(steps))


def _annotations(
    rows: Sequence[Any],
) -> Iterator[tuple[str | None, str | None, str | None]]:
    for row in rows:
        level, message, path = (
            text_or_none(row.get(name)) for name in ("annotationLevel", "message", "path")
        )
        yield (None if level is None else level.lower()), message, path
