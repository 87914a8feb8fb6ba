"""Any file gives a configuration or a ConfigError."""

from typing import Any

import yaml
from hypothesis import example, given, settings
from hypothesis import strategies as st
from trunkwatch.config import Config, parse_config, policy_of
from trunkwatch.config.load import all_keys
from trunkwatch.errors import ConfigError

from tests.support.examples import examples

_keys = st.sampled_from(all_keys())
_scalars: st.SearchStrategy[Any] = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.dates(),
    st.datetimes(),
    st.text(max_size=8),
    st.sampled_from(
        ["recorded", "buildbot", "default", "P2", "runs", "pass", "pytorch", "http://h", "o/r",
         "main", "60s", "9w9d", "2026-12-01", ".*", "(", r"\1", r"\g<x>", "{last_good}{first_bad}"]
    ),
)  # fmt: skip
_values = st.recursive(
    _scalars,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(_keys, inner, max_size=4),
        st.dictionaries(_scalars, inner, max_size=2),
    ),
    max_leaves=12,
)
_sources = st.fixed_dictionaries(
    {"name": st.sampled_from("ab"), "type": st.just("recorded"), "path": st.just("a")},
    optional={"order": _scalars, "poll_interval": _scalars, "compare_url": _scalars},
)
_documents = st.one_of(
    _values,
    st.dictionaries(_keys, _values, max_size=5),
    st.fixed_dictionaries(
        {"sources": st.lists(_sources, min_size=1, max_size=2)},
        optional=dict.fromkeys(
            ("jobs", "groups", "known_broken", "green", "limits", "storage"), _values
        ),
    ),
)


def understood(text: str) -> Config | None:
    """Parse a file; any problem must be a ConfigError of one line per problem."""
    problems: tuple[str, ...] = ("",)
    try:
        return parse_config(text, "t.yml")
    except ConfigError as error:
        problems = error.problems
    assert problems
    assert [line for problem in problems for line in problem.splitlines()] == list(problems)
    return None


@given(_documents)
@settings(max_examples=examples(100))
def test_any_document(document: object) -> None:
    """A document of valid keys and arbitrary values is accepted or refused; one that is
    understood has a policy.
    """
    config = understood(yaml.safe_dump(document, allow_unicode=True))
    if config is not None:
        policy_of(config)


@given(st.text(max_size=60))
@example("{{ a }}: 1")
@example("? [a]\n: 1")
@example("a: 0b_")
@example("a: !!int ''")
@example("a: !!bool maybe")
@example("a: !!timestamp soon")
@example("a: !!float x")
@example("a: !!map text")
@example("a: !!binary é")
@example("a: 9999-99-99")
@example("a: &a [*a]\nsources: *a")
@example("&a {sources: *a}")
@example("<<: [1]")
@example("!!set {sources}")
@example("%YAML 3.0\n---\na: b")
@settings(max_examples=examples(100))
def test_any_text(text: str) -> None:
    """Arbitrary text, and what YAML's own types stumble over, is refused."""
    assert understood(text) is None
