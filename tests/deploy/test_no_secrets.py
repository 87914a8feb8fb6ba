"""Secrets are read from files: no deployment file contains the value of one."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.deploy.files import COMPOSE, DEPLOY, PROJECT, switched_on
from tests.support.each import for_each

# Keys whose value is a secret. The same key with the suffix `_file` names a path, and is allowed.
SECRET_KEY = re.compile(
    r"(password|passwd|token|secret|secret_key|credentials|api_key|api_url|routing_key|service_key|private_key)$",
    re.IGNORECASE,
)
# The formats of tokens: GitHub, GitLab, Slack, cloud keys, PEM.
TOKEN = re.compile(
    r"gh[pousr]_\w{20}|github_pat_\w{20}|glpat-[\w-]{20}|xox[abprs]-[\w-]{10}"
    r"|hooks\.slack\.com/services/\w|AKIA[A-Z0-9]{16}|-----BEGIN|Bearer \S{8}"
)
CREDENTIALS_IN_URL = re.compile(r"://[^/\s:@]+:[^/\s@]+@")

FILES = sorted(
    path for path in [*DEPLOY.rglob("*"), COMPOSE, PROJECT / ".dockerignore"] if path.is_file()
)


def settings(node: Any) -> Iterator[tuple[str, str]]:
    """Yield every (key, text) of a YAML document, `KEY=text` entries of lists included."""
    if isinstance(node, dict):
        for key, value in node.items():
            if isinstance(value, str):
                yield str(key), value
            else:
                yield from settings(value)
    elif isinstance(node, list):
        for item in node:
            if isinstance(item, str) and "=" in item:
                key, _, value = item.partition("=")
                yield key, value
            else:
                yield from settings(item)


def secrets_in(text: str, *, is_yaml: bool) -> list[str]:
    """Return the texts that look like secrets."""
    found = [
        match.group()
        for expression in (TOKEN, CREDENTIALS_IN_URL)
        for match in expression.finditer(text)
    ]
    if is_yaml:
        found += [
            key for key, value in settings(yaml.safe_load(text)) if value and SECRET_KEY.search(key)
        ]
    return found


def texts(path: Path) -> Iterator[str]:
    """Yield the file's text and, if it has commented-out settings, the text with them enabled."""
    yield path.read_text()
    if re.search(r"^\s*#[\w-]", path.read_text(), re.MULTILINE):
        yield switched_on(path)


@for_each("path", FILES, ids=lambda path: str(path.relative_to(PROJECT)))
def test_no_deployment_file_holds_a_secret(path: Path) -> None:
    """No file has a password, a token or a secret URL, not even in a commented-out setting."""
    for text in texts(path):
        assert secrets_in(text, is_yaml=path.suffix == ".yml") == []


@pytest.mark.parametrize(
    "text",
    [
        "slack_configs: [{api_url: 'https://chat.example.org/hook'}]",
        "http_config: {authorization: {credentials: abc}}",
        "pagerduty_configs: [{routing_key: abc}]",
        "global: {smtp_auth_password: abc}",
        "environment: {GF_SECURITY_ADMIN_PASSWORD: admin}",
        "environment: ['GF_SECURITY_SECRET_KEY=abc']",
        "url: http://user:abc@example.org/",
        "# a comment with ghp_" + "a" * 36,
    ],
)
def test_a_secret_is_found(text: str) -> None:
    """The check finds the secret in each of these texts."""
    assert secrets_in(text, is_yaml=True) != []


@pytest.mark.parametrize(
    "text",
    [
        "slack_configs: [{api_url_file: /run/secrets/slack}]",
        "http_config: {authorization: {credentials_file: /run/secrets/token}}",
        "environment: {GF_SECURITY_ADMIN_PASSWORD__FILE: /run/secrets/admin}",
        "url: http://receiver:9095/page",
    ],
)
def test_a_path_to_a_secret_is_allowed(text: str) -> None:
    """A `*_file` key with the path of a secret is not a secret."""
    assert secrets_in(text, is_yaml=True) == []
