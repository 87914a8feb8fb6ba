"""The repositories of an owner, through GraphQL or REST.

https://docs.github.com/en/rest/repos/repos#list-organization-repositories
"""

import logging
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, NamedTuple

from trunkwatch.errors import BadAnswerError, NotFoundError, RequestError
from trunkwatch.github.graphql import COST, GraphClient
from trunkwatch.rest.lists import LIST_TRIES, ListClient, Listing

log = logging.getLogger(__name__)

QUERY = f"""query($login: String!, $after: String) {{ {COST} repositoryOwner(login: $login) {{
  repositories(first: 100, after: $after, ownerAffiliations: [OWNER]) {{
    totalCount pageInfo {{ hasNextPage endCursor }} nodes {{ nameWithOwner isArchived isFork }} }}
}} }}"""
"""A hundred repositories for one point."""

MAX_PAGES = 200
"""Pages that are read of one owner: 20,000 repositories."""


class ListedRepo(NamedTuple):
    """A repository in the list of its owner.

    Attributes:
        name: owner/name.
        archived: whether it is read-only.
        fork: whether it is a fork.
    """

    name: str
    archived: bool
    fork: bool


def _repo_of(row: Mapping[str, Any]) -> ListedRepo:
    name = row["full_name"]
    if not isinstance(name, str):
        raise ValueError(f"a repository with the name {name!r}")
    return ListedRepo(name, bool(row["archived"]), bool(row["fork"]))


def _repo_of_node(node: Mapping[str, Any]) -> ListedRepo:
    return _repo_of(
        {
            "full_name": node["nameWithOwner"],
            "archived": node["isArchived"],
            "fork": node["isFork"],
        }
    )


REPOS: Listing[ListedRepo] = Listing(_repo_of, lambda repo: repo.name)

BY_REST: Mapping[str, str] = {"orgs": "all", "users": "owner"}
"""The beginning of the path of a list, with its parameter `type`."""


class OwnerLists:
    """Reads the lists of owners."""

    def __init__(self, client: ListClient, graph: GraphClient | None) -> None:
        """Args:
        client: of the REST API.
        graph: of GraphQL, which also lists a person's private repositories; None if unusable.
        """
        self._client = client
        self._graph = graph

    def read(self, owner: str) -> tuple[ListedRepo, ...]:
        """Return every repository of an owner that the token may read.

        Raises:
            NotFoundError: the owner does not exist, or the token may not see it.
            RequestError: the list could not be read as a whole.
        """
        if self._graph is not None:
            try:
                return self._by_graphql(self._graph, owner)
            except NotFoundError as error:
                if error.status == HTTPStatus.OK:
                    raise
        return self._by_rest(owner)

    def _by_graphql(self, graph: GraphClient, owner: str) -> tuple[ListedRepo, ...]:
        for _ in range(LIST_TRIES):
            repos, total = self._pages(graph, owner)
            if len({repo.name for repo in repos}) == len(repos) == total:
                return tuple(repos)
        raise BadAnswerError(
            f"GraphQL: the list of {owner}'s repositories changed while it was read"
        )

    def _pages(self, graph: GraphClient, owner: str) -> tuple[list[ListedRepo], int]:
        """Return the repositories that can be read, and how many of them the list should have."""
        repos: list[ListedRepo] = []
        dropped = 0
        after: str | None = None
        for _ in range(MAX_PAGES):
            answer = graph.query(QUERY, {"login": owner, "after": after})
            if answer.errors:
                raise BadAnswerError(
                    f"GraphQL: {owner}: an error beside the data", detail=answer.errors[0].message
                )
            if answer.data.get("repositoryOwner") is None:
                raise NotFoundError(f"GraphQL: there is no owner {owner}", status=HTTPStatus.OK)
            try:
                page = answer.data["repositoryOwner"]["repositories"]
                for row in page["nodes"]:
                    try:
                        repos.append(_repo_of_node(row))
                    except (KeyError, TypeError, ValueError) as error:
                        dropped += 1
                        log.error("row dropped", extra={"owner": owner, "error": ascii(error)})
                if not page["pageInfo"]["hasNextPage"]:
                    return repos, page["totalCount"] - dropped
                after = page["pageInfo"]["endCursor"]
            except (KeyError, TypeError) as error:
                raise BadAnswerError(
                    f"GraphQL: {owner}: not the list that the schema documents",
                    detail=f"{type(error).__name__}: {error}",
                ) from None
        raise BadAnswerError(f"GraphQL: {owner} has more than {100 * MAX_PAGES} repositories")

    def _by_rest(self, owner: str) -> tuple[ListedRepo, ...]:
        errors: list[RequestError] = []
        for kind, scope in BY_REST.items():
            query = (("type", scope), ("sort", "full_name"))
            try:
                return self._client.whole_list(f"/{kind}/{owner}/repos", query, REPOS)
            except NotFoundError as error:
                errors.append(error)
        raise errors[-1]
