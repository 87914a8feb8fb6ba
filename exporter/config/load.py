"""Reads the configuration file; all of its problems are reported at once."""

import difflib
from collections.abc import Hashable, Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from exporter.config.consistency import contradictions
from exporter.config.schema import Config, Section
from exporter.errors import ConfigError


def load_config(path: str) -> Config:
    """Read and check a configuration file.

    Raises:
        ConfigError: it is missing, not YAML, or says what it may not; every problem is named.
    """
    try:
        text = Path(path).read_text(encoding="utf-8")
    except FileNotFoundError:
        raise ConfigError(path, ["no such file; --config.file names the configuration"]) from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(path, [f"cannot be read ({error})"]) from None
    return parse_config(text, path)


def parse_config(text: str, path: str) -> Config:
    """Check the text of a configuration; relative paths in it start from the folder of `path`.

    Raises:
        ConfigError: as for `load_config`.
    """
    try:
        document = yaml.load(text, Loader=_StrictLoader)  # noqa: S506 — a SafeLoader, see below
    except yaml.MarkedYAMLError as error:
        raise ConfigError(path, [_yaml_problem(error)]) from None
    except yaml.YAMLError as error:
        raise ConfigError(path, [f"is not YAML ({' '.join(str(error).split())})"]) from None
    if not isinstance(document, dict):
        raise ConfigError(path, ["must be a mapping with the key 'sources'"])
    try:
        config = Config.model_validate(document, context={"folder": str(Path(path).parent)})
    except ValidationError as error:
        raise ConfigError(path, _problems(error)) from None
    problems = list(contradictions(config))
    if problems:
        raise ConfigError(path, problems)
    return config


class _StrictLoader(yaml.SafeLoader):
    """YAML's safe loader, for which a key that stands twice is an error and not a silent choice."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        seen: set[Hashable] = set()
        for key_node, _ in node.value:
            if key_node.tag == "tag:yaml.org,2002:merge":
                continue
            key = self.construct_object(key_node, deep=True)
            if isinstance(key, Hashable) and key in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"the key {key!r} stands twice in one mapping", key_node.start_mark
                )
            seen.add(key)
        return super().construct_mapping(node, deep)


def _yaml_problem(error: yaml.MarkedYAMLError) -> str:
    mark = error.problem_mark or error.context_mark
    place = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
    return f"{place}{error.problem or error.context or 'is not YAML'}"


def _problems(error: ValidationError) -> list[str]:
    """Return a line per problem; a list is not "empty" because each of its entries is wrong."""
    return [
        _problem(detail)
        for detail in error.errors()
        if detail["type"] != "too_short" or not detail["input"]
    ]


def _problem(detail: ErrorDetails) -> str:
    return f"{_key_path(detail)}: {_what_is_wrong(detail)}"


def _key_path(detail: ErrorDetails) -> str:
    """Write a place as people do: `sources[0].url`, without the name of a union's member."""
    path = ""
    for part in _without_tags(detail):
        path += f"[{part}]" if isinstance(part, int) else f".{part}"
    return path.lstrip(".") or "the file"


def _without_tags(detail: ErrorDetails) -> Iterator[int | str]:
    location = detail["loc"]
    for place, part in enumerate(location):
        is_tag = place == 2 and location[0] == "sources"
        if not is_tag:
            yield part


_WORDS: Mapping[str, str] = {
    "missing": "is missing and required",
    "int_type": "must be a whole number",
    "int_parsing": "must be a whole number",
    "int_from_float": "must be a whole number",
    "bool_type": "must be true or false",
    "bool_parsing": "must be true or false",
    "string_type": "must be a text",
    "tuple_type": "must be a list",
    "model_type": "must be a mapping",
    "model_attributes_type": "must be a mapping",
    "dict_type": "must be a mapping",
    "string_too_short": "must not be empty",
    "too_short": "must hold at least one entry",
}


def _what_is_wrong(detail: ErrorDetails) -> str:
    kind, context = detail["type"], detail.get("ctx") or {}
    if kind == "extra_forbidden":
        return "unknown key" + _did_you_mean(detail)
    if kind == "value_error":
        return str(context["error"])
    if kind in ("literal_error", "enum"):
        return f"must be {context['expected']} (got {detail['input']!r})"
    if kind == "union_tag_invalid":
        return f"type must be one of {context['expected_tags']} (got {context['tag']!r})"
    if kind == "union_tag_not_found":
        return "type is missing; say which kind of source it is: recorded or buildbot"
    if kind == "greater_than_equal":
        return f"must be {context['ge']} or more (got {detail['input']!r})"
    if kind == "string_pattern_mismatch":
        return f"must be a URL such as http://127.0.0.1:8010 (got {detail['input']!r})"
    return _WORDS.get(kind, detail["msg"])


def _did_you_mean(detail: ErrorDetails) -> str:
    close = difflib.get_close_matches(str(detail["loc"][-1]), known_keys(), n=1)
    return f"; did you mean {close[0]!r}?" if close else "; docs/configuration.md lists all"


def known_keys() -> list[str]:
    """Return every key that the configuration knows anywhere, by its name in the file."""
    sections: list[type[BaseModel]] = [Section]
    keys: set[str] = set()
    while sections:
        section = sections.pop()
        sections.extend(section.__subclasses__())
        keys |= {field.alias or name for name, field in section.model_fields.items()}
    return sorted(keys)
