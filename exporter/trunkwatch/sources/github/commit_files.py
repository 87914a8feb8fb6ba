"""The files that commits change, to rank the suspects of an outage.

https://docs.github.com/en/rest/commits/commits#compare-two-commits
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from trunkwatch.domain.suspects import UNREADABLE_FILES, ChangedFiles, Span, changed_files
from trunkwatch.engine.facts import FilesReport
from trunkwatch.errors import NotFoundError, SourceError
from trunkwatch.rest.client import FATAL_ERRORS
from trunkwatch.rest.json_text import checked_list
from trunkwatch.sources.github.rights import Right
from trunkwatch.sources.github.state import TrunkContext

FILES_LIMIT = 300
"""Files that GitHub lists of a comparison, and of a commit on its first page."""


def read_files(context: TrunkContext, span: Span) -> Iterator[FilesReport]:
    """Read the files of a commit, or of several commits together, with one request.

    An error is a limitation and not one of the source: the files are no result. After it no files
    of the repository are asked for until the next hour. Commits that are gone, and an answer that
    GitHub does not document, count for good as files that cannot be read.

    Raises:
        RequestError: one of `FATAL_ERRORS`.
    """
    if not context.may(Right.FILES):
        return
    path, query = f"{context.repo_path}/commits/{span.until}", list[tuple[str, int]]()
    if span.since is not None:
        # The first page of commits has all files.
        path = f"{context.repo_path}/compare/{span.since}...{span.until}"
        query = [("per_page", 1)]
    try:
        files = _files_of(context.client.get(path, query))
    except FATAL_ERRORS:
        raise
    except (KeyError, TypeError, AttributeError):
        files = UNREADABLE_FILES
    except SourceError as error:
        if not isinstance(error, NotFoundError) or error.is_refused:
            context.refused(Right.FILES)
            return
        files = UNREADABLE_FILES
    context.granted(Right.FILES)
    yield FilesReport(context.trunk, span, files)


def _files_of(document: Mapping[str, Any]) -> ChangedFiles:
    rows = checked_list(document["files"])
    return changed_files(_paths(rows), is_complete=len(rows) < FILES_LIMIT)


def _paths(rows: Sequence[Any]) -> Iterator[object]:
    for row in rows:
        yield row["filename"]
        if row.get("previous_filename") is not None:
            yield row["previous_filename"]
