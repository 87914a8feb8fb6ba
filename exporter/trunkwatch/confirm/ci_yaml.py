"""YAML of a CI's configuration, which may be hostile."""

from typing import Any

import yaml

from trunkwatch.config.yaml_values import SafeLoader


class _Loader(SafeLoader):
    """The safe loader without merge keys: GitHub knows none, and GitLab's answer has none left.

    A few lines of them, each of which merges those before it several times, fill any memory.
    """

    def flatten_mapping(self, node: yaml.MappingNode) -> None:
        for key, _ in node.value:
            if key.tag == "tag:yaml.org,2002:merge":
                raise yaml.constructor.ConstructorError(None, None, "a merge key", key.start_mark)


def load_yaml(text: bytes | str) -> Any:
    """Return the only document of a text.

    Raises:
        ValueError: it is not YAML.
    """
    try:
        return _Loader(text).get_single_data()
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        raise ValueError(f"not YAML ({type(error).__name__})") from None
