"""YAML's safe loader with one kind of error for whatever a file contains."""

from typing import Any

import yaml


class SafeLoader(yaml.SafeLoader):
    """The safe loader, which otherwise raises ValueError and others for some values."""

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        """Construct a value; report one that looks like a date or number but is not valid."""
        try:
            return super().construct_object(node, deep)
        except (ValueError, LookupError, AttributeError) as error:
            kind = node.tag.rpartition(":")[2]
            raise yaml.constructor.ConstructorError(
                None, None, f"{node.value!r} is not a valid {kind}", node.start_mark
            ) from error
