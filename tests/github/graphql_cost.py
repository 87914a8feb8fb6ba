"""The points that a GraphQL query costs by GitHub's documented formula, and its limits.

https://docs.github.com/graphql/overview/rate-limits-and-query-limits-for-the-graphql-api
"""

from collections.abc import Mapping
from typing import Any

from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLSchema,
    OperationDefinitionNode,
    SelectionSetNode,
    ValueNode,
    VariableNode,
    get_named_type,
    value_from_ast_untyped,
)

from tests.github.graphql_errors import ApiError

PAGE_LIMIT = 100
NODE_LIMIT = 500_000
REQUESTS_PER_POINT = 100


class QueryCost:
    """The cost of one operation, assuming that every connection fills its page.

    Attributes:
        nodes: the rows that the operation may return.
        requests: the requests that its connections would take one by one.
    """

    def __init__(
        self, schema: GraphQLSchema, document: DocumentNode, variables: Mapping[str, Any]
    ) -> None:
        """Args:
        schema: the schema that the document is valid in.
        document: with one operation.
        variables: their values.

        Raises:
            ApiError: a connection without page size, a page that is too large, or too many nodes.
        """
        self.nodes = 0
        self.requests = 0
        self._schema = schema
        self._fragments = {
            node.name.value: node
            for node in document.definitions
            if isinstance(node, FragmentDefinitionNode)
        }
        (operation,) = (n for n in document.definitions if isinstance(n, OperationDefinitionNode))
        defaults = {
            node.variable.name.value: value_from_ast_untyped(node.default_value)
            for node in operation.variable_definitions or ()
            if node.default_value
        }
        self._variables = {**defaults, **variables}
        self._walk(operation.selection_set, schema.query_type, 1)
        if self.nodes > NODE_LIMIT:
            raise ApiError(
                "MAX_NODE_LIMIT_EXCEEDED",
                f"This query requests up to {self.nodes:,} possible nodes which exceeds the maximum"
                f" limit of {NODE_LIMIT:,}.",
            )

    @property
    def points(self) -> int:
        return max(1, int(self.requests / REQUESTS_PER_POINT + 0.5))

    def _walk(self, selected: SelectionSetNode, parent: Any, times: int) -> None:
        for node in selected.selections:
            if isinstance(node, FieldNode):
                self._field(node, parent, times)
            elif isinstance(node, FragmentSpreadNode):
                fragment = self._fragments[node.name.value]
                on = self._schema.type_map[fragment.type_condition.name.value]
                self._walk(fragment.selection_set, on, times)
            else:
                condition = node.type_condition  # type: ignore[attr-defined]
                on = self._schema.type_map[condition.name.value] if condition else parent
                self._walk(node.selection_set, on, times)  # type: ignore[attr-defined]

    def _field(self, node: FieldNode, parent: Any, times: int) -> None:
        name = node.name.value
        if node.selection_set is None or name.startswith("__"):
            return
        result = get_named_type(parent.fields[name].type)
        given = {
            argument.name.value: self._value(argument.value) for argument in node.arguments or ()
        }
        if result.name.endswith("Connection"):
            self.requests += times
            times *= _page_size(name, given)
            self.nodes += times
        elif name == "nodes" and "ids" in given:
            times *= _id_count(given["ids"])
            self.nodes += times
        self._walk(node.selection_set, result, times)

    def _value(self, node: ValueNode) -> Any:
        if isinstance(node, VariableNode):
            return self._variables.get(node.name.value)
        return value_from_ast_untyped(node, self._variables)


def _page_size(name: str, given: Mapping[str, Any]) -> int:
    word = "first" if given.get("first") is not None else "last"
    size = given.get(word)
    if size is None:
        raise ApiError(
            "MISSING_PAGINATION_BOUNDARIES",
            "You must provide a `first` or `last` value to properly paginate the"
            f" `{name}` connection.",
        )
    if not 0 < size <= PAGE_LIMIT:
        raise ApiError(
            "EXCESSIVE_PAGINATION",
            f"Requesting {size} records on the `{name}` connection exceeds the `{word}` limit of"
            f" {PAGE_LIMIT} records.",
        )
    return int(size)


def _id_count(ids: Any) -> int:
    count = len(ids) if isinstance(ids, list) else 1
    if count > PAGE_LIMIT:
        raise ApiError(
            "ARGUMENT_LIMIT",
            f"You may not provide more than {PAGE_LIMIT} node ids; you provided {count}.",
        )
    return count
