"""YAML documents as sections of the schema; all problems are reported at once."""

import difflib
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping
from typing import Any, TypeVar, get_args

import yaml
from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from trunkwatch.config.marks import mark_of, with_place
from trunkwatch.config.marks import place as _place
from trunkwatch.config.yaml_values import SafeLoader, yaml_problem
from trunkwatch.errors import ConfigError
from trunkwatch.quoting import quoted, quoted_key

_Model = TypeVar("_Model", bound=BaseModel)


def parse_document(
    text: str,
    path: str,
    folder: str,
    model: type[_Model],
    contradictions: Callable[[dict[str, Any], _Model | None], Iterable[str]],
    hints: Mapping[str, str],
) -> _Model:
    """Check the text of a file.

    Args:
        text: its content.
        path: its path, for errors.
        folder: where relative paths in it start.
        model: the section of the whole file.
        contradictions: returns further problems of the mapping and, if it is valid, of the section.
        hints: what to do about keys that the model does not have, by key path.

    Raises:
        ConfigError: it is not YAML or invalid; lists every problem.
    """
    section: _Model | None = None
    try:
        loader = _StrictLoader(text)
        node = loader.get_single_node()
        document = None if node is None else loader.construct_document(node)
        problems = loader.problems
        if isinstance(document, dict):
            try:
                section = model.model_validate(document, context={"folder": folder})
            except ValidationError as error:
                problems += _problems(error, model, hints, node)
            problems += (with_place(each, node) for each in contradictions(document, section))
        else:
            problems.append(f"must be a mapping with {_named_keys(model)}")
    except yaml.YAMLError as error:
        problems = [yaml_problem(error)]
    except RecursionError:
        problems = ["is nested too deeply"]
    if section is None or problems:
        raise ConfigError(path, [_in_one_line(problem) for problem in problems])
    return section


def _named_keys(model: type[BaseModel]) -> str:
    required = [name for name, field in model.model_fields.items() if field.is_required()]
    if required:
        return f"the key {required[0]!r}"
    return f"keys such as {next(iter(model.model_fields))!r}"


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
                self.problems.append(f"{place}the key {_named(key)} appears twice in one mapping")
            seen.add(key)
        return super().construct_mapping(node, deep)


def _named(key: Hashable) -> str:
    return repr(quoted_key(key)) if isinstance(key, str) else quoted(key)


def _problems(
    error: ValidationError,
    model: type[BaseModel],
    hints: Mapping[str, str],
    node: yaml.Node | None,
) -> list[str]:
    """Return one line per problem.

    Pydantic drops invalid entries before it checks a list's length, so "too short" is reported
    only for a list that is empty in the file.
    """
    return [
        f"{_place_of(detail, node)}{_key_path(detail)}: {_message(detail, model, hints)}"
        for detail in error.errors()
        if detail["type"] != "too_short" or not detail["input"]
    ]


def _place_of(detail: ErrorDetails, node: yaml.Node | None) -> str:
    location = list(_without_tags(detail))
    return _place(mark_of(node, location, of_key=detail["type"] == "extra_forbidden"))


def _key_path(detail: ErrorDetails) -> str:
    """Return a key path such as `sources[0].url`, without the tag of a union's member."""
    path = ""
    for part in _without_tags(detail):
        path += f"[{quoted(part)}]" if isinstance(part, int) else f".{quoted_key(part)}"
    return path.lstrip(".") or "the file"


def _without_tags(detail: ErrorDetails) -> Iterator[int | str]:
    location = detail["loc"]
    for place, part in enumerate(location):
        is_tag = place == 2 and location[0] == "sources"
        if not is_tag:
            yield part


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


def _message(detail: ErrorDetails, model: type[BaseModel], hints: Mapping[str, str]) -> str:
    kind, context = detail["type"], detail.get("ctx") or {}
    if kind == "extra_forbidden":
        return hints.get(_key_path(detail)) or _unknown_key(detail, model)
    if kind == "value_error":
        return str(context["error"])
    if kind in ("literal_error", "enum"):
        return f"must be {context['expected']} (got {quoted(detail['input'])})"
    if kind == "union_tag_invalid":
        return f"type must be one of {context['expected_tags']} (got {quoted(context['tag'])})"
    if kind == "union_tag_not_found":
        return f"type is missing; must be one of {_source_types(model)}"
    if kind == "greater_than_equal":
        return f"must be {context['ge']} or more (got {quoted(detail['input'])})"
    if kind == "less_than_equal":
        return f"must be {context['le']} or less (got {quoted(detail['input'])})"
    return _MESSAGES.get(kind, detail["msg"])


def _source_types(model: type[BaseModel]) -> str:
    """Return the types of sources, as pydantic lists them for an unknown one."""
    sections = _models_in(_annotation(model, "sources"))
    return ", ".join(repr(get_args(_annotation(each, "type"))[0]) for each in sections)


RENAMED_KEYS: Mapping[str, str] = {"consecutive_failures": "failures_to_open"}
"""Keys of older configurations, with the key of the same section that replaces each."""


def _unknown_key(detail: ErrorDetails, model: type[BaseModel]) -> str:
    *section, key = detail["loc"]
    keys = _keys_at(section, model)
    if RENAMED_KEYS.get(str(key)) in keys:
        return f"this key is now {RENAMED_KEYS[str(key)]}"
    if ":" in str(key):
        return "unknown key; if a value follows the colon, put a space between them"
    close = difflib.get_close_matches(str(key), keys, n=1)
    return f"unknown key; {_hint(close)}"


def _hint(close: list[str]) -> str:
    return f"did you mean {close[0]!r}?" if close else "docs/configuration.md lists all keys"


def _keys_at(location: Iterable[int | str], model: type[BaseModel]) -> list[str]:
    """Return the keys of the section at a location; a source's location includes its type."""
    sections: list[type[BaseModel]] = [model]
    for part in location:
        if isinstance(part, str):
            tagged = [s for s in sections if part in get_args(_annotation(s, "type"))]
            inner = [model for s in sections for model in _models_in(_annotation(s, part))]
            sections = tagged or inner
    return [key_of(name, field) for s in sections for name, field in s.model_fields.items()]


def _annotation(section: type[BaseModel], key: str) -> Any:
    fields = section.model_fields.items()
    return next((field.annotation for name, field in fields if key_of(name, field) == key), None)


def _models_in(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for part in get_args(annotation):
        yield from _models_in(part)


def key_of(name: str, field: FieldInfo) -> str:
    """Return the key of a field in the file."""
    return field.alias or name
