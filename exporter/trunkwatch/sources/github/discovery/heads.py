"""The heads of many repositories with one query: their branches' tips, and the newest suites there.

A repository whose heads are as they were when it was read last has no news: no commit, no new run
of its tips, and no run of them that was run again.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from trunkwatch.config.repositories import glob_matches
from trunkwatch.errors import BadAnswerError
from trunkwatch.github.graphql import COST, GraphAnswer, GraphClient
from trunkwatch.rest.lists import page_numbers
from trunkwatch.sources.github.discovery.record import prefix_of
from trunkwatch.times import parse_time

REPOS_LIMIT = 50
"""Repositories of one query: one point, as long as two branches of each are watched."""

NOT_FOUND = "NOT_FOUND"

SUITES = "checkSuites(first: 100) { totalCount nodes { status conclusion updatedAt } }"
STATUSES = "status { contexts { context state createdAt } }"


@dataclass(frozen=True, slots=True)
class HeadRequest:
    """The query about one repository.

    Attributes:
        repo: owner/name.
        branches: by name.
        default: whether the default branch is one more.
        globs: whose branches are listed.
    """

    repo: str
    branches: tuple[str, ...] = ()
    default: bool = True
    globs: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Head:
    """The heads of one repository.

    Attributes:
        name: its current owner/name.
        archived: whether it is read-only.
        default: its default branch; empty if there is none yet.
        tips: by branch, a text that changes with the tip and its results; None for a branch that
            does not exist. A branch is missing where that is uncertain.
        branches: per glob, the branches that it matches, with the tip and its time.
    """

    name: str
    archived: bool
    default: str
    tips: Mapping[str, str | None] = field(default_factory=dict)
    branches: Mapping[str, Sequence[tuple[str, str, float]]] = field(default_factory=dict)


def ask_heads(
    graph: GraphClient, requests: Sequence[HeadRequest], *, statuses: bool = False
) -> dict[str, Head]:
    """Return the heads of repositories; one that is missing was not answered.

    Args:
        graph: the API.
        requests: at most `REPOS_LIMIT`.
        statuses: whether commit statuses are results.

    Raises:
        TooLargeError: GitHub did not answer so much at once.
        RequestError: as for `GraphClient.query`.
    """
    parts = " ".join(_part(index, request) for index, request in enumerate(requests))
    tip = f"fragment tip on Commit {{ oid {STATUSES if statuses else ''} {SUITES} }}"
    has_tips = any(request.default or request.branches for request in requests)
    answer = graph.query(f"query {{ {COST} {parts} }} {tip if has_tips else ''}", {})
    # Of a part that is null, only this kind of error proves that it does not exist.
    certain = not any(error.type != NOT_FOUND for error in answer.errors)
    found: dict[str, Head] = {}
    for index, request in enumerate(requests):
        try:
            head = _head(graph, answer, index, request, certain=certain)
        except (KeyError, TypeError, ValueError, AttributeError, BadAnswerError):
            continue  # it is read by itself, to see its news
        if head is not None:
            found[request.repo] = head
    return found


def _part(index: int, request: HeadRequest) -> str:
    owner, _, name = request.repo.partition("/")
    tips = " ".join(
        f"b{number}: ref(qualifiedName: {json.dumps(f'refs/heads/{branch}')})"
        " { target { ...tip } }"
        for number, branch in enumerate(request.branches)
    )
    globs = " ".join(
        f"g{number}: {_refs(prefix_of(glob))}" for number, glob in enumerate(request.globs)
    )
    default = "defaultBranchRef { name target { ...tip } }"
    return (
        f"r{index}: repository(owner: {json.dumps(owner)}, name: {json.dumps(name)})"
        " { nameWithOwner isArchived"
        f" {default if request.default else 'defaultBranchRef { name }'} {tips} {globs} }}"
    )


def _refs(prefix: str, after: str = "") -> str:
    folder, _, rest = prefix.rpartition("/")
    below = json.dumps(f"refs/heads/{folder}/" if folder else "refs/heads/")
    query = f", query: {json.dumps(rest)}" if rest else ""
    return (
        f"refs(refPrefix: {below}, first: 100{query}{after}) {{"
        " pageInfo { hasNextPage endCursor }"
        " nodes { name prefix target { oid ... on Commit { committedDate } } } }"
    )


def _head(
    graph: GraphClient, answer: GraphAnswer, index: int, request: HeadRequest, *, certain: bool
) -> Head | None:
    node = answer.data.get(f"r{index}")
    if node is None:
        return None
    tips: dict[str, str | None] = {}
    for number, branch in enumerate(request.branches):
        ref = node[f"b{number}"]
        if ref is not None:
            _put_tip(tips, branch, ref)
        elif certain and node["defaultBranchRef"] is not None:
            tips[branch] = None
    default = ""
    if node["defaultBranchRef"] is not None:
        default = _text(node["defaultBranchRef"]["name"])
    if default and request.default:
        _put_tip(tips, default, node["defaultBranchRef"])
    branches = {
        glob: _branches(graph, request.repo, glob, node[f"g{number}"])
        for number, glob in enumerate(request.globs)
    }
    return Head(_text(node["nameWithOwner"]), bool(node["isArchived"]), default, tips, branches)


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{value!r} is no text")
    return value


def _put_tip(tips: dict[str, str | None], branch: str, ref: Mapping[str, Any]) -> None:
    """Note the tip of a branch, unless a part of it is missing."""
    target = ref["target"]
    suites = target and target["checkSuites"]
    if not suites or None in suites["nodes"]:
        return
    rows = sorted(json.dumps(row, sort_keys=True) for row in suites["nodes"])
    text = json.dumps([target["oid"], target.get("status"), suites["totalCount"], rows])
    tips[branch] = hashlib.sha256(text.encode()).hexdigest()[:16]


def _branches(
    graph: GraphClient, repo: str, glob: str, page: Mapping[str, Any]
) -> list[tuple[str, str, float]]:
    owner, _, name = repo.partition("/")
    found: list[tuple[str, str, float]] = []
    pages = page_numbers(f"GraphQL: branches of {repo}", graph.max_list_pages)
    while True:
        next(pages)
        for row in page["nodes"]:
            branch = _text(row["prefix"]).removeprefix("refs/heads/") + _text(row["name"])
            if glob_matches(glob, branch):
                target = row["target"]
                date = target.get("committedDate")
                found.append((branch, _text(target["oid"]), parse_time(date) if date else 0.0))
        if not page["pageInfo"]["hasNextPage"]:
            return found
        refs = _refs(prefix_of(glob), f", after: {json.dumps(page['pageInfo']['endCursor'])}")
        query = (
            f"query($owner: String!, $name: String!) {{ {COST}"
            f" repository(owner: $owner, name: $name) {{ id {refs} }} }}"
        )
        answer = graph.query(query, {"owner": owner, "name": name})
        page = answer.data["repository"]["refs"]
