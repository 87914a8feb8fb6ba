"""Check suites of commits and check runs of suites, many at once, through GraphQL.

GraphQL reads the database. A suite of GitHub Actions is a run of a workflow, a check run of it is a
job. It lacks the attempt, so that a name that occurs twice is read through REST; and annotations
and steps are asked for few check runs only, since nested in all of them they cost a hundred times
as many points. https://docs.github.com/en/graphql/reference/objects#checksuite
"""

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from trunkwatch.errors import BadAnswerError, NotFoundError, SourceError
from trunkwatch.github.graphql import COST, GraphAnswer, GraphClient, TooLargeError
from trunkwatch.rest.json_text import list_or_empty
from trunkwatch.rest.lists import UNREADABLE_ERRORS, page_numbers
from trunkwatch.sources.github.jobs.job import Job, check_of_node
from trunkwatch.sources.github.runs.run import Run
from trunkwatch.sources.github.state import Details
from trunkwatch.sources.github.suite_nodes import details_of_node, run_of_node

NODES_LIMIT = 100
"""Ids of one `nodes`, and rows of one page."""

DETAILS_LIMIT = 50
"""Check runs whose details are asked at once: one point."""

MAX_SUITES = 200
"""Suites whose check runs are asked at once: two points. GitHub ends a query after ten seconds, so
that the number is halved when one fails, and grows again."""

MAX_UNANSWERED = 3
"""Refreshes in a row, of any trunk, without an answer after which REST is used for an hour."""

NOT_FOUND = "NOT_FOUND"
"""The type of the error of an object that does not exist; any other one is an error of GitHub."""

OWN_EVENTS = frozenset(
    {"push", "schedule", "workflow_dispatch", "repository_dispatch", "merge_group"}
)
"""Events whose runs are always of the repository's own branches: GraphQL does not report it."""

FRAGMENTS = """
fragment suites on CheckSuiteConnection {
  pageInfo { hasNextPage endCursor }
  nodes {
    id url status conclusion
    app { slug }
    branch { name }
    workflowRun {
      url runNumber event createdAt updatedAt
      workflow { name resourcePath }
      file { path }
    }
  }
}
fragment checks on CheckRunConnection {
  pageInfo { hasNextPage endCursor }
  nodes { id name status conclusion startedAt completedAt detailsUrl }
}
"""
CHECKS = "checkRuns(first: 100, filterBy: {checkType: ALL}) { ...checks }"
MORE_CHECKS = "checkRuns(first: 100, after: $after, filterBy: {checkType: ALL}) { ...checks }"


@dataclass
class Found:
    """The answer of one query.

    Attributes:
        runs: per commit, the runs of its suites; only those of `OWN_EVENTS` are certainly of the
            repository's own branches.
        jobs: per suite, its jobs; None for a suite that does not exist any more.
        incomplete: per commit, the suites that were not answered, or cannot be used: their ids,
            or their places.
        uncertain: suites of which a check run was not answered, or cannot be used.
        error: the first part of the query that was not answered; it is read again.
    """

    runs: dict[str, list[Run]] = field(default_factory=dict)
    jobs: dict[str, list[Job] | None] = field(default_factory=dict)
    incomplete: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    uncertain: set[str] = field(default_factory=set)
    error: BadAnswerError | None = None

    def add_error(self, repo: str, problem: str, detail: str = "") -> None:
        """Keep the first error."""
        self.error = self.error or BadAnswerError(f"GraphQL: {repo}: {problem}", detail=detail)


class SuiteClient:
    """Asks for suites; one per source, since the size of a query is learned.

    Attributes:
        size: suites whose check runs the next query may ask for.
    """

    def __init__(self, client: GraphClient) -> None:
        self._client = client
        self.size = MAX_SUITES
        self._unanswered = 0

    @property
    def client(self) -> GraphClient:
        """The client of the API."""
        return self._client

    def is_given_up(self, *, answered: bool, error: SourceError | None) -> bool:
        """Record the end of a trunk's refresh; return whether it is to be read through REST.

        Args:
            answered: whether any query was answered.
            error: of the queries, if there was one.
        """
        if answered:
            self._unanswered = 0
        elif error is not None:
            self._unanswered += 1
        is_given_up = self._unanswered >= MAX_UNANSWERED
        if is_given_up:
            self._unanswered = 0
        return is_given_up

    def ask(self, repo: str, shas: Sequence[str], suites: Sequence[str]) -> Found:
        """Read the runs of some commits and the jobs of some suites with one query.

        Further pages, of commits or suites with more than a hundred rows, are further queries.

        Args:
            repo: owner/name.
            shas: at most 100 commits.
            suites: GraphQL ids, at most `size`.

        Raises:
            TooLargeError: GitHub did not answer so much; `size` is halved for the next query.
            NotFoundError: the token may not read the repository, its suites or its runs.
            RequestError: as for `GraphClient.query`.
        """
        owner, _, name = repo.partition("/")
        try:
            answer = self._client.query(_query(shas, suites), {"owner": owner, "name": name})
        except TooLargeError:
            if suites:
                self.size = max(1, len(suites) // 2)
            raise
        self.size = min(MAX_SUITES, self.size + self.size // 4 + 1)
        return self._found(repo, answer, shas, suites)

    def details(self, nodes: Mapping[str, str]) -> dict[str, Details]:
        """Read annotations and steps of check runs.

        Args:
            nodes: GraphQL ids by job id, at most `DETAILS_LIMIT`.
        """
        text = (
            f"query($ids: [ID!]!) {{ {COST} nodes(ids: $ids) {{ ... on CheckRun {{"
            " annotations(first: 50) { nodes { annotationLevel message path } }"
            " steps(first: 100) { nodes { name conclusion } } } } }"
        )
        answer = self._client.query(text, {"ids": list(nodes.values())})
        found = {}
        for job_id, node in zip(nodes, list_or_empty(answer.data.get("nodes")), strict=False):
            with suppress(*UNREADABLE_ERRORS):  # it is read through REST
                found[job_id] = details_of_node(node)
        return found

    def _found(
        self, repo: str, answer: GraphAnswer, shas: Sequence[str], suites: Sequence[str]
    ) -> Found:
        repository = answer.data.get("repository")
        if answer.has("FORBIDDEN") or not isinstance(repository, dict):
            said = "; ".join(error.message for error in answer.errors[:1])
            problem = f"GraphQL: {repo}: not found, or the token may not read it"
            raise NotFoundError(problem, status=403, detail=said)
        found = Found()
        for error in answer.errors:
            if error.type != NOT_FOUND:
                found.add_error(repo, "an error beside the data", error.message)
        for index, sha in enumerate(shas):
            commit = repository.get(f"c{index}")
            if commit is None:
                found.add_error(repo, f"no answer about the commit {sha}")
                continue
            try:
                self._add_runs(found, sha, commit)
            except UNREADABLE_ERRORS as error:
                # Without a part of its suites, a commit would seem to lack runs.
                found.runs.pop(sha, None)
                found.add_error(repo, f"the commit {sha} is unlike the schema", _named(error))
        for index, node_id in enumerate(suites):
            group, place = divmod(index, NODES_LIMIT)
            try:
                suite = answer.data[f"s{group}"][place]
            except (KeyError, TypeError, IndexError):
                suite = None
            if suite is not None:
                found.jobs[node_id] = self._jobs(found, node_id, suite)
            elif answer.has(NOT_FOUND):
                found.jobs[node_id] = None
            else:
                found.add_error(repo, f"no answer about the suite {node_id}")
        return found

    def _add_runs(self, found: Found, sha: str, commit: Mapping[str, Any]) -> None:
        runs = found.runs.setdefault(sha, [])
        connection = commit["checkSuites"]
        pages = page_numbers(f"GraphQL: check suites of {sha}", self._client.max_list_pages)
        while True:
            next(pages)
            for place, node in enumerate(connection["nodes"]):
                try:
                    run = run_of_node(sha, node)
                except UNREADABLE_ERRORS:
                    known = node.get("id") if isinstance(node, dict) else None
                    found.incomplete[sha].add(str(known or place))
                    continue
                if run is not None:
                    runs.append(run)
            after = _next(connection)
            if after is None:
                return
            text = "checkSuites(first: 100, after: $after) { ...suites }"
            connection = self._more(commit["id"], "Commit", text, after)["checkSuites"]

    def _jobs(self, found: Found, node_id: str, suite: Mapping[str, Any]) -> list[Job]:
        jobs: list[Job] = []
        try:
            connection = suite["checkRuns"]
            pages = page_numbers(f"GraphQL: check runs of {node_id}", self._client.max_list_pages)
            while True:
                next(pages)
                jobs += (job for job in map(check_of_node, connection["nodes"]) if job is not None)
                after = _next(connection)
                if after is None:
                    return jobs
                connection = self._more(node_id, "CheckSuite", MORE_CHECKS, after)["checkRuns"]
        except (*UNREADABLE_ERRORS, BadAnswerError):
            # Its run is read through REST, where the other check runs count.
            found.uncertain.add(node_id)
        return jobs

    def _more(self, node_id: str, kind: str, text: str, after: str) -> Mapping[str, Any]:
        used = "suites" if kind == "Commit" else "checks"
        query = (
            f"query($id: ID!, $after: String!) {{ {COST}"
            f" node(id: $id) {{ ... on {kind} {{ {text} }} }} }}" + _fragments(used)
        )
        answer = self._client.query(query, {"id": node_id, "after": after})
        node: Mapping[str, Any] = answer.data["node"]
        return node


def _named(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"[:200]


def _query(shas: Sequence[str], suites: Sequence[str]) -> str:
    commits = " ".join(
        f'c{index}: object(oid: "{sha}") '
        "{ ... on Commit { id checkSuites(first: 100) { ...suites } } }"
        for index, sha in enumerate(shas)
    )
    groups = [suites[at : at + NODES_LIMIT] for at in range(0, len(suites), NODES_LIMIT)]
    checks = " ".join(
        f"s{index}: nodes(ids: [{' '.join(map(json.dumps, group))}]) "
        f"{{ ... on CheckSuite {{ {CHECKS} }} }}"
        for index, group in enumerate(groups)
    )
    used = [name for name, rows in (("suites", shas), ("checks", suites)) if rows]
    return (
        f"query($owner: String!, $name: String!) {{ {COST}"
        f" repository(owner: $owner, name: $name) {{ id {commits} }} {checks} }}"
        + _fragments(*used)
    )


def _fragments(*used: str) -> str:
    """Return the fragments that a query uses: an unused one is an error."""
    return "".join(
        f"fragment {part}" for part in FRAGMENTS.split("fragment ") if part.split(" ")[0] in used
    )


def _next(connection: Mapping[str, Any]) -> str | None:
    """Return the cursor of the next page, None at the last one.

    Raises:
        ValueError: the answer lacks the cursor, or whether there is one.
    """
    page = connection["pageInfo"]
    has_next, cursor = page["hasNextPage"], page["endCursor"]
    if not isinstance(has_next, bool) or (has_next and cursor is None):
        raise ValueError(f"a page after {cursor!r}: {has_next!r}")
    return str(cursor) if has_next else None
