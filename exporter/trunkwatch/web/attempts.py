"""The attempts of a job at some commits, `/api/v1/trunk/<repo>/<branch>/job/<workflow>/<job>`."""

import html
from collections.abc import Sequence
from typing import TYPE_CHECKING
from urllib.parse import parse_qs

from trunkwatch.domain.model import JobKey
from trunkwatch.engine.snapshot import TrunkState
from trunkwatch.report.attempts import attempts_object
from trunkwatch.report.indented import indented
from trunkwatch.sources.hashes import LENGTHS, full_hash
from trunkwatch.web.answer import JSON, Answer, json_error
from trunkwatch.web.reading import ColumnReader
from trunkwatch.web.view import View

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

COMMITS_LIMIT = 50
"""Commits of one answer: a folded job may have dozens of attempts at each."""

_SHOWN_CHARACTERS = 80
"""Characters of a wrong hash that an error repeats."""

_BUSY = json_error(
    "503 Service Unavailable", "the results cannot be read now; ask again", (("Retry-After", "1"),)
)


def attempts_answer(
    environ: "WSGIEnvironment", view: View, state: TrunkState, key: JobKey, reader: ColumnReader
) -> Answer:
    """Answer a request for the attempts of a job.

    Args:
        environ: the request.
        view: the current data.
        state: the trunk.
        key: a job of the trunk, which may not exist.
        reader: reads the columns.
    """
    trunk = html.escape(str(state.trunk))
    job = next((each for each in state.jobs if each.key == key), None)
    if job is None:
        name = f"{html.escape(key.display_name)} on {trunk}"
        return json_error("404 Not Found", f"no job {name}; the object of the trunk lists its jobs")
    query: str = environ.get("QUERY_STRING", "")
    asked = parse_qs(query, keep_blank_values=True).get("sha", [])
    shas = list(dict.fromkeys(filter(None, map(full_hash, asked))))
    problem = _problem(asked, shas)
    if problem is not None:
        return json_error("400 Bad Request", problem)
    missing = [sha for sha in shas if sha not in state.order.index]
    if missing:
        return json_error("404 Not Found", f"not on {trunk}: {', '.join(missing)}")
    columns = reader.read(view, key, shas)
    if columns is None:
        return _BUSY
    text = indented(attempts_object(job, state.order, shas, columns))
    return Answer("200 OK", JSON, f"{text}\n".encode())


def _problem(asked: Sequence[str], shas: Sequence[str]) -> str | None:
    """Return the error of a query, if it has any.

    Args:
        asked: the values of `sha`.
        shas: the different hashes among them.
    """
    digits = " or ".join(map(str, LENGTHS))
    if not asked:
        return f"name the commits: ?sha=<hash>&sha=<hash>, each with {digits} hexadecimal digits"
    wrong = next((each for each in asked if full_hash(each) is None), None)
    if wrong is not None:
        shown = html.escape(wrong[:_SHOWN_CHARACTERS])
        return f"sha must be a full hash of {digits} hexadecimal digits (got '{shown}')"
    if len(shas) > COMMITS_LIMIT:
        return f"at most {COMMITS_LIMIT} different commits in one request (got {len(shas)})"
    return None
