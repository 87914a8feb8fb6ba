"""YAML's safe loader with one kind of error for whatever a file contains."""

from typing import Any

import yaml

from trunkwatch.config.marks import place
from trunkwatch.quoting import quoted, without_logins


def yaml_problem(error: yaml.YAMLError) -> str:
    """Return an error on one line; the line of the file may have a secret, and is left out."""
    if not isinstance(error, yaml.MarkedYAMLError):
        return f"is not YAML ({' '.join(str(error).split())})"
    parts = [part for part in (error.context, error.problem) if part]
    text = without_logins(", ".join(parts)) or "is not YAML"
    return f"{place(error.problem_mark or error.context_mark)}{text}"


class SafeLoader(yaml.SafeLoader):
    """The safe loader, which otherwise raises ValueError and others for some values."""

    def fetch_more_tokens(self) -> Any:
        """Read the next token; report an escape or a version that is out of range."""
        try:
            return super().fetch_more_tokens()
        except (ValueError, OverflowError) as error:
            raise yaml.scanner.ScannerError(
                None, None, "a number or an escaped character is out of range", self.get_mark()
            ) from error

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        """Construct a value; report one that looks like a date or number but is not valid."""
        try:
            return super().construct_object(node, deep)
        except (ValueError, ArithmeticError, LookupError, AttributeError) as error:
            kind = node.tag.rpartition(":")[2]
            raise yaml.constructor.ConstructorError(
                None, None, f"{quoted(node.value)} is not a valid {kind}", node.start_mark
            ) from error
