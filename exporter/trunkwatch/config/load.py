"""Reading of the configuration file; all problems are reported at once."""

import difflib
from collections.abc import Hashable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, get_args

import yaml
from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from trunkwatch.config.consistency import contradictions
from trunkwatch.config.schema import Config
from trunkwatch.config.section import Section
from trunkwatch.config.yaml_values import SafeLoader
from trunkwatch.errors import ConfigError
from trunkwatch.textfiles import read_text


def load_config(path: str) -> Config:
    """Read and check a configuration file.

    Raises:
        ConfigError: the file is missing, not YAML or invalid; lists every problem.
    """
    try:
        text = read_text(path)
    except FileNotFoundError:
        raise ConfigError(path, ["no such file; --config.file names the configuration"]) from None
    except OSError as error:
        raise ConfigError(path, [f"cannot be read ({error})"]) from None
    except UnicodeDecodeError as error:
        raise ConfigError(path, [f"is not UTF-8 ({error.reason})"]) from None
    return parse_config(text, path)


def parse_config(text: str, path: str) -> Config:
    """Check the text of a configuration; relative paths in it start from the folder of `path`.

    Raises:
        ConfigError: as for `load_config`.
    """
    try:
        loader = _StrictLoader(text)
        config, problems = _validate(loader.get_single_data(), folder=str(Path(path).parent))
        problems[:0] = loader.problems
    except yaml.MarkedYAMLError as error:
        config, problems = None, [_yaml_problem(error)]
    except yaml.YAMLError as error:
        config, problems = None, [f"is not YAML ({' '.join(str(error).split())})"]
    except RecursionError:
        config, problems = None, ["is nested too deeply"]
    if config is None or problems:
        raise ConfigError(path, [_in_one_line(problem) for problem in problems])
    return config


def _validate(document: object, folder: str) -> tuple[Config | None, list[str]]:
    """Return the configuration, or None if it is invalid, and all problems."""
    if not isinstance(document, dict):
        return None, ["must be a mapping with the key 'sources'"]
    try:
        config = Config.model_validate(document, context={"folder": folder})
    except ValidationError as error:
        return None, [*_problems(error), *contradictions(document, None)]
    return config, [*contradictions(document, config)]


def _in_one_line(problem: str) -> str:
    """Escape unprintable characters: keys and values may contain line breaks and controls."""
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in problem)


class _StrictLoader(SafeLoader):
    """YAML's safe loader that reports duplicate keys instead of using the last one silently.

    Attributes:
        problems: one line for each duplicate key.
    """

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.problems: list[str] = []

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        seen: set[Hashable] = set()
        # `!!map text` is tagged as a mapping but is a scalar; the safe loader reports that.
        for key_node, _ in node.value if isinstance(node, yaml.MappingNode) else ():
            if key_node.tag == "tag:yaml.org,2002:merge":
                continue
            key = self.construct_object(key_node, deep=True)
            if not isinstance(key, Hashable):
                continue  # the safe loader reports that
            if key in seen:
                place = _place(key_node.start_mark)
                self.problems.append(f"{place}the key {key!r} appears twice in one mapping")
            seen.add(key)
        return super().construct_mapping(node, deep)


def _yaml_problem(error: yaml.MarkedYAMLError) -> str:
    mark = error.problem_mark or error.context_mark
    parts = [part for part in (error.context, error.problem) if part]
    return f"{_place(mark)}{', '.join(parts) or 'is not YAML'}"


def _place(mark: yaml.Mark | None) -> str:
    return f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""


def _problems(error: ValidationError) -> list[str]:
    """Return one line per problem.

    Pydantic drops invalid entries before it checks a list's length, so "too short" is reported
    only for a list that is empty in the file.
    """
    return [
        _problem(detail)
        for detail in error.errors()
        if detail["type"] != "too_short" or not detail["input"]
    ]


def _problem(detail: ErrorDetails) -> str:
    return f"{_key_path(detail)}: {_message(detail)}"


def _key_path(detail: ErrorDetails) -> str:
    """Return a key path such as `sources[0].url`, without the tag of a union's member."""
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


RENAMED_KEYS: Mapping[str, str] = {"consecutive_failures": "failures_to_open"}
"""Keys of older configurations, with the key of the same section that replaces each."""

_MESSAGES: Mapping[str, str] = {
    "missing": "is missing and required",
    "int_type": "must be a whole number",
    "int_parsing": "must be a whole number",
    "int_from_float": "must be a whole number",
    "bool_type": "must be true or false",
    "bool_parsing": "must be true or false",
    "string_type": "must be a string",
    "tuple_type": "must be a list",
    "model_type": "must be a mapping",
    "model_attributes_type": "must be a mapping",
    "dict_type": "must be a mapping",
    "invalid_key": "unknown key; keys must be strings",
    "string_too_short": "must not be empty",
    "too_short": "must contain at least one entry",
}


def _message(detail: ErrorDetails) -> str:
    kind, context = detail["type"], detail.get("ctx") or {}
    if kind == "extra_forbidden":
        return _unknown_key(detail)
    if kind == "value_error":
        return str(context["error"])
    if kind in ("literal_error", "enum"):
        return f"must be {context['expected']} (got {detail['input']!r})"
    if kind == "union_tag_invalid":
        return f"type must be one of {context['expected_tags']} (got {context['tag']!r})"
    if kind == "union_tag_not_found":
        return "type is missing; must be one of recorded, buildbot or github"
    if kind == "greater_than_equal":
        return f"must be {context['ge']} or more (got {detail['input']!r})"
    if kind == "string_pattern_mismatch":
        # Do not repeat the value: a URL may contain a password.
        return "must be a URL such as http://127.0.0.1:8010"
    return _MESSAGES.get(kind, detail["msg"])


def _unknown_key(detail: ErrorDetails) -> str:
    *section, key = detail["loc"]
    keys = _keys_at(section)
    if RENAMED_KEYS.get(str(key)) in keys:
        return f"this key is now {RENAMED_KEYS[str(key)]}"
    close = difflib.get_close_matches(str(key), keys, n=1)
    return f"unknown key; {_hint(close)}"


def _hint(close: list[str]) -> str:
    return f"did you mean {close[0]!r}?" if close else "docs/configuration.md lists all keys"


def _keys_at(location: Iterable[int | str]) -> list[str]:
    """Return the keys of the section at a location; a source's location includes its type."""
    sections: list[type[BaseModel]] = [Config]
    for part in location:
        if isinstance(part, str):
            tagged = [s for s in sections if part in get_args(_annotation(s, "type"))]
            inner = [model for s in sections for model in _models_in(_annotation(s, part))]
            sections = tagged or inner
    return [_key(name, field) for s in sections for name, field in s.model_fields.items()]


def _annotation(section: type[BaseModel], key: str) -> Any:
    fields = section.model_fields.items()
    return next((field.annotation for name, field in fields if _key(name, field) == key), None)


def _models_in(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for part in get_args(annotation):
        yield from _models_in(part)


def _key(name: str, field: FieldInfo) -> str:
    """Return the key of a field in the file."""
    return field.alias or name


def all_keys() -> list[str]:
    """Return every key of every section, by its name in the file."""
    sections: list[type[BaseModel]] = [Section]
    keys: set[str] = set()
    while sections:
        section = sections.pop()
        sections.extend(section.__subclasses__())
        keys |= {_key(name, field) for name, field in section.model_fields.items()}
    return sorted(keys)
