"""Each kind of bad input: one line that names the place and what would be right."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from trunkwatch.config import (
    Config,
    config_of_gitea,
    config_of_project,
    config_of_repo,
    load_config,
    parse_config,
)
from trunkwatch.errors import ConfigError, UsageError

from tests.support.irregular import IRREGULAR

TYPES = "'recorded', 'buildbot', 'github', 'gitlab', 'gitea', 'clickhouse'"
SOURCES = "sources: [{name: a, type: recorded, path: a.ndjson}]\n"
GITHUB = "name: g, type: github"
BUILDBOT = "name: b, type: buildbot, url: 'http://h', repo: o/r, branches: [main]"


PLACE = re.compile(r"^line \d+, column \d+: (?=[^' ]+: |sources)")
"""The place of a key path, which `test_the_place_of_a_problem` checks."""


def problems_of(text: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        parse_config(text, "t.yml")
    assert caught.value.path == "t.yml"
    assert str(caught.value).split("\n") == [f"t.yml: {p}" for p in caught.value.problems]
    return [PLACE.sub("", problem) for problem in caught.value.problems]


def source(fields: str) -> str:
    return f"sources: [{{{fields}}}]\n"


def clickhouse(keys: str, repos: str = "o/r") -> str:
    """Return a configuration with a table of ClickHouse."""
    head = f"name: c, type: clickhouse, url: 'http://h', repos: [{repos}], branches: [b]"
    return source(f"{head}, {keys}")


CASES = {
    # ------------------------------------------------------------------ the file
    "empty": ("", "must be a mapping with the key 'sources'"),
    "a list": ("[1]", "must be a mapping with the key 'sources'"),
    "a text": ("hello", "must be a mapping with the key 'sources'"),
    "malformed": (
        "sources: [a",
        "line 1, column 12: while parsing a flow sequence, expected ',' or ']', but got"
        " '<stream end>'",
    ),
    "colon in a value": (
        "sources: a: b",
        "line 1, column 11: mapping values are not allowed here",
    ),
    "tab": (
        "sources:\n\t- a",
        "line 2, column 1: while scanning for the next token, found character '\\t' that cannot"
        " start any token",
    ),
    "NUL": (
        "sources: \0",
        "is not YAML (unacceptable character #x0000: special characters are not allowed in"
        ' "<unicode string>", position 9)',
    ),
    "two documents": (
        SOURCES + "---\n" + SOURCES,
        "line 2, column 1: expected a single document in the stream, but found another document",
    ),
    "unknown alias": (
        "sources: *base",
        "line 1, column 10: found undefined alias 'base'",
    ),
    "python object": (
        "sources: !!python/object/apply:os.system ['true']",
        "line 1, column 10: could not determine a constructor for the tag"
        " 'tag:yaml.org,2002:python/object/apply:os.system'",
    ),
    "template braces": (
        SOURCES + "jobs: {{ preset }}",
        "line 2, column 8: while constructing a mapping, found unhashable key",
    ),
    "nested too deeply": ("[" * 1000, "is nested too deeply"),
    "duplicate key": (
        SOURCES + "jobs: {}\njobs: {}",
        "line 3, column 1: the key 'jobs' appears twice in one mapping",
    ),
    "duplicate key inside": (
        SOURCES + "groups:\n  - name: a\n    team: b\n    name: c",
        "line 5, column 5: the key 'name' appears twice in one mapping",
    ),
    # ------------------------------------------------------------------ keys
    "unknown key": (SOURCES + "gruops: []", "gruops: unknown key; did you mean 'groups'?"),
    "unknown key inside": (
        SOURCES + "groups: [{name: a, failure_to_open: 3}]",
        "groups[0].failure_to_open: unknown key; did you mean 'failures_to_open'?",
    ),
    "renamed key": (
        SOURCES + "groups: [{name: a, consecutive_failures: 3}]",
        "groups[0].consecutive_failures: this key is now failures_to_open",
    ),
    "renamed key of jobs": (
        SOURCES + "groups: [{name: a, jobs: [{match: x, consecutive_failures: 3}]}]",
        "groups[0].jobs[0].consecutive_failures: this key is now failures_to_open",
    ),
    "results kept for too short": (
        SOURCES + "storage: {retention: {keep: 30d}}",
        "storage.retention.keep: must be 36d or more (got 30d), or forever: a job may run for 35d",
    ),
    "results kept for no time": (
        SOURCES + "storage: {retention: {keep: 90}}",
        "storage.retention.keep: must be a duration such as 90d, or forever",
    ),
    "renamed key elsewhere": (
        SOURCES + "limits: {consecutive_failures: 3}",
        "limits.consecutive_failures: unknown key; docs/configuration.md lists all keys",
    ),
    "key of another section": (
        SOURCES + "team: mine",
        "team: unknown key; docs/configuration.md lists all keys",
    ),
    "mistyped key of a source": (
        source("name: a, type: recorded, path: a, poll_intervall: 5s"),
        "sources[0].poll_intervall: unknown key; did you mean 'poll_interval'?",
    ),
    "mistyped key of a match": (
        SOURCES + "groups: [{name: a, match: {workfow: w}}]",
        "groups[0].match.workfow: unknown key; did you mean 'workflow'?",
    ),
    "unknown key like none": (
        SOURCES + "zzz: 1",
        "zzz: unknown key; docs/configuration.md lists all keys",
    ),
    "key of another source type": (
        source("name: a, type: recorded, path: a, url: 'http://h'"),
        "sources[0].url: unknown key; docs/configuration.md lists all keys",
    ),
    "number as a key": (SOURCES + "1: 2", "[1]: unknown key; keys must be strings"),
    "line break in a key": (
        SOURCES + '"a\\nb": 1',
        "a\\nb: unknown key; docs/configuration.md lists all keys",
    ),
    # ------------------------------------------------------------------ sources
    "no sources": ("groups: []", "sources: is missing and required"),
    "empty sources": ("sources: []", "sources: must contain at least one entry"),
    "sources left empty": ("sources:", "sources: must be a list"),
    "sources as a mapping": ("sources: {name: a}", "sources: must be a list"),
    "source as a text": ("sources: [a]", "sources[0]: must be a mapping"),
    "no type": (
        source("name: a, path: a"),
        f"sources[0]: type is missing; must be one of {TYPES}",
    ),
    "unknown type": (
        source("name: a, type: jenkins, path: a"),
        f"sources[0]: type must be one of {TYPES} (got 'jenkins')",
    ),
    "no name": (source("type: recorded, path: a"), "sources[0].name: is missing and required"),
    "empty name": (
        source("name: '', type: recorded, path: a"),
        "sources[0].name: must not be empty",
    ),
    "no path": (source("name: a, type: recorded"), "sources[0].path: is missing and required"),
    "empty path": (
        source("name: a, type: recorded, path: ''"),
        "sources[0].path: must not be empty",
    ),
    "number as a path": (
        source("name: a, type: recorded, path: 7"),
        "sources[0].path: must be a string",
    ),
    "bad url": (
        source("name: b, type: buildbot, url: 'h:8010', repo: r, branches: [b], git: g"),
        "sources[0].url: must be a URL such as http://127.0.0.1:8010",
    ),
    "url with brackets that do not close": (
        source("name: g, type: gitlab, url: 'http://[h', repos: [g/p]"),
        "sources[0].url: must be a URL such as http://127.0.0.1:8010",
    ),
    "url with a port that is none": (
        source("name: g, type: gitlab, url: 'http://h:99999', repos: [g/p]"),
        "sources[0].url: must be a URL such as http://127.0.0.1:8010",
    ),
    "url without a host": (
        source("name: g, type: gitlab, url: 'http://me:secret@', repos: [g/p]"),
        "sources[0].url: must be a URL such as http://127.0.0.1:8010",
    ),
    "name of two words": (
        SOURCES + "name: a b",
        "name: must be one word of letters, digits, _, - and dots (got 'a b')",
    ),
    "bad url with a password in it": (
        source("name: b, type: buildbot, url: 'me:secret@h', repo: r, branches: [b], git: g"),
        "sources[0].url: must be a URL such as http://127.0.0.1:8010",
    ),
    "gitlab without projects": (
        source("name: g, type: gitlab, repos: []"),
        "sources[0].repos: must contain at least one entry",
    ),
    "gitlab glob without a group": (
        source("name: g, type: gitlab, repos: ['*/app']"),
        "sources[0].repos[0]: must be the path of a project such as group/sub/project, or a glob"
        " below a group such as group/* or group/** (got '*/app')",
    ),
    "newest of one branch of gitlab": (
        source("name: g, type: gitlab, repos: [o/r], branches: [{name: main, newest: 2}]"),
        "sources[0].branches[0]: newest: limits a glob such as release/*, and main is one branch",
    ),
    "gitlab with two tokens": (
        source("name: g, type: gitlab, repos: [o/r], token_file: a, token_env: B"),
        "sources[0]: token_file and token_env exclude each other; keep one",
    ),
    "gitea without an address": (
        source("name: g, type: gitea, repos: [o/r]"),
        "sources[0].url: is missing and required",
    ),
    "gitea with a deeper path": (
        source("name: g, type: gitea, url: 'http://h', repos: [o/r/sub]"),
        "sources[0].repos[0]: must be owner/name, or a glob such as acme/* (got 'o/r/sub')",
    ),
    "github with the address of gitea": (
        source("name: g, type: github, repo: o/r, api_url: 'https://me:secret@h/git/api/v1/'"),
        "sources[0].api_url: /api/v1 is the API of Gitea and Forgejo, which type: gitea reads, with"
        " url: the address without /api/v1",
    ),
    "clickhouse without a table": (
        source("name: c, type: clickhouse, url: 'http://h', repos: [o/r], branches: [b]"),
        "sources[0]: needs preset: buildkite or pytorch, or else table, cursor",
    ),
    "clickhouse with too few columns": (
        clickhouse("table: t, cursor: c, columns: {sha: sha, repo: {value: o/r}}"),
        "sources[0]: without a preset, columns needs branch, job_name, conclusion",
    ),
    "clickhouse with an unknown key of columns": (
        clickhouse("preset: pytorch, columns: {job_nam: name}"),
        "sources[0]: columns.job_nam: unknown key; did you mean 'job_name'?",
    ),
    "clickhouse with SQL for a column": (
        clickhouse("preset: pytorch, columns: {sha: 'lower(sha)'}"),
        "sources[0].columns.sha.column: must be a column such as head_sha or job.state, of letters,"
        " digits, _, - and dots (got 'lower(sha)'); make a view for more",
    ),
    "clickhouse with SQL for a table": (
        clickhouse("preset: pytorch, table: 'a`b'"),
        "sources[0].table: must be one name of letters, digits, _ and - (got 'a`b')",
    ),
    "clickhouse with a column and a constant": (
        clickhouse("preset: pytorch, columns: {repo: {column: a, value: b}}"),
        "sources[0].columns.repo: needs column: or value:, and not both",
    ),
    "clickhouse with a part of a constant": (
        clickhouse("preset: pytorch, columns: {repo: {value: a, extract: b}}"),
        "sources[0].columns.repo: extract needs column:",
    ),
    "clickhouse with an unknown result": (
        clickhouse("preset: pytorch, values: {ok: passed}"),
        "sources[0].values.ok: must be one of action_required, cancelled, failure, in_progress,"
        " neutral, pending, queued, requested, retry, skipped, stale, startup_failure, success,"
        " timed_out, waiting (got 'passed')",
    ),
    "clickhouse with two passwords": (
        clickhouse("preset: pytorch, user: u, password_file: a, password_env: B"),
        "sources[0]: password_file and password_env exclude each other; keep one",
    ),
    "clickhouse with a password without a user": (
        clickhouse("preset: pytorch, password_env: B"),
        "sources[0]: a password needs user: the name of the ClickHouse user",
    ),
    "clickhouse with an order of nothing": (
        clickhouse("preset: pytorch, order: true"),
        "sources[0]: order: true needs git: the path of a local clone",
    ),
    "clickhouse with one clone for two repositories": (
        clickhouse("preset: pytorch, git: g", "o/r, o/s"),
        "sources[0]: git is the clone of one repository; make one source for each",
    ),
    "branches as a text": (
        source("name: b, type: buildbot, url: 'http://h', repo: r, branches: main, git: g"),
        "sources[0].branches: must be a list",
    ),
    "no branches": (
        source("name: b, type: buildbot, url: 'http://h', repo: r, branches: [], git: g"),
        "sources[0].branches: must contain at least one entry",
    ),
    "branch as a number": (
        source("name: b, type: buildbot, url: 'http://h', repo: r, branches: [1.0], git: g"),
        "sources[0].branches[0]: must be a string",
    ),
    "window of nothing": (
        source(f"{BUILDBOT}, git: g, window: 0"),
        "sources[0].window: must be 1 or more (got 0)",
    ),
    "compare_url without its ends": (
        source("name: a, type: recorded, path: a, compare_url: 'http://h/{last_good}'"),
        "sources[0].compare_url: must contain {last_good} and {first_bad}, such as"
        " https://git.example.com/o/r/compare/{last_good}...{first_bad}",
    ),
    # ------------------------------------------------------------------ GitHub
    "no repository": (
        source(GITHUB),
        "sources[0]: needs repo: owner/name or repos: [owner/name, ...], and not both",
    ),
    "no repositories": (
        source(f"{GITHUB}, repos: []"),
        "sources[0]: needs repo: owner/name or repos: [owner/name, ...], and not both",
    ),
    "repo and repos": (
        source(f"{GITHUB}, repo: o/r, repos: [o/s]"),
        "sources[0]: needs repo: owner/name or repos: [owner/name, ...], and not both",
    ),
    "repository without an owner": (
        source(f"{GITHUB}, repo: pytorch"),
        "sources[0].repo: must be owner/name (got 'pytorch')",
    ),
    "repository as an address": (
        source(f"{GITHUB}, repos: [o/r, 'https://github.com/o/r']"),
        "sources[0].repos[1]: must be owner/name, or a glob such as acme/* (got"
        " 'https://github.com/o/r')",
    ),
    "repository with a query": (
        source(f"{GITHUB}, repo: 'o/r?x=1'"),
        "sources[0].repo: must be owner/name (got 'o/r?x=1')",
    ),
    "repository as a number": (source(f"{GITHUB}, repo: 7"), "sources[0].repo: must be a string"),
    "glob of owners": (
        source(f"{GITHUB}, repos: ['*/app']"),
        "sources[0].repos[0]: the owner must be named in full, as in acme/* (got '*/app')",
    ),
    "glob without an owner": (
        source(f"{GITHUB}, repos: ['*']"),
        "sources[0].repos[0]: must be owner/name, or a glob such as acme/* (got '*')",
    ),
    "glob in repo": (
        source(f"{GITHUB}, repo: 'acme/*'"),
        "sources[0].repo: must be owner/name (got 'acme/*')",
    ),
    "glob with a set": (
        source(f"{GITHUB}, repos: ['acme/[ab]*']"),
        "sources[0].repos[0]: must be owner/name, or a glob such as acme/* (got 'acme/[ab]*')",
    ),
    "repositories as numbers": (
        source(f"{GITHUB}, repos: [7]"),
        "sources[0].repos[0]: must be a name or a glob in quotes, or a mapping with the key name",
    ),
    "repository with an unknown key": (
        source(f"{GITHUB}, repos: [{{name: o/r, branch: main}}]"),
        "sources[0].repos[0].branch: unknown key; did you mean 'branches'?",
    ),
    "excluded name": (
        source(f"{GITHUB}, repos: ['o/*', o/app], exclude: ['o/a*']"),
        "sources[0]: exclude[0]: 'o/a*' leaves out o/app, which repos names; remove one of the two",
    ),
    "exclusion of another owner": (
        source(f"{GITHUB}, repos: ['o/*', p/app], exclude: ['p/*-old']"),
        "sources[0]: exclude[0]: 'p/*-old' leaves out nothing, since no glob of repos has that"
        " owner; remove it",
    ),
    "exclusion without an owner": (
        source(f"{GITHUB}, repos: ['o/*'], exclude: [old]"),
        "sources[0].exclude[0]: must be owner/name, or a glob such as acme/old-* (got 'old')",
    ),
    "no branch": (
        source(f"{GITHUB}, repo: o/r, branches: ['refs/heads/main']"),
        "sources[0].branches[0]: must be a branch such as main, a glob such as release/*, or HEAD"
        " for the default branch (got 'refs/heads/main')",
    ),
    "newest of one branch": (
        source(f"{GITHUB}, repo: o/r, branches: [{{name: main, newest: 3}}]"),
        "sources[0].branches[0]: newest: limits a glob such as release/*, and main is one branch",
    ),
    "newest of none": (
        source(f"{GITHUB}, repo: o/r, branches: [{{name: 'r/*', newest: 0}}]"),
        "sources[0].branches[0].newest: must be 1 or more (got 0)",
    ),
    "a glob and a clone both order": (
        f"sources: [{{{GITHUB}, repos: ['o/*'], branches: [main]}}, {{{BUILDBOT}, git: g}}]",
        "sources[0] and sources[1] could both give the order of o/r main; set order: true on"
        " exactly one",
    ),
    "two ways to authenticate": (
        source(f"{GITHUB}, repo: o/r, token_file: t, token_env: T"),
        "sources[0]: token_file, token_env and app exclude each other; keep one",
    ),
    "a token and an App": (
        source(f"{GITHUB}, repo: o/r, token_file: t, app: {{app_id: 1, private_key_file: k}}"),
        "sources[0]: token_file, token_env and app exclude each other; keep one",
    ),
    "token in the file": (
        source(f"{GITHUB}, repo: o/r, token: ghp_secret"),
        "sources[0].token: unknown key; did you mean 'token_env'?",
    ),
    "App without a key": (
        source(f"{GITHUB}, repo: o/r, app: {{app_id: 1}}"),
        "sources[0].app.private_key_file: is missing and required",
    ),
    "mistyped key of an App": (
        source(f"{GITHUB}, repo: o/r, app: {{app_id: 1, private_key_fil: k, private_key_file: k}}"),
        "sources[0].app.private_key_fil: unknown key; did you mean 'private_key_file'?",
    ),
    "installation as nothing": (
        source(f"{GITHUB}, repo: o/r, app: {{app_id: 1, private_key_file: k, installation_id: 0}}"),
        "sources[0].app.installation_id: must be 1 or more (got 0)",
    ),
    "share of nothing": (
        source(f"{GITHUB}, repo: o/r, quota_share: 0"),
        "sources[0].quota_share: must be a number above 0 and up to 1, such as 0.5 (got 0)",
    ),
    "share of more than all": (
        source(f"{GITHUB}, repo: o/r, quota_share: 50"),
        "sources[0].quota_share: must be a number above 0 and up to 1, such as 0.5 (got 50)",
    ),
    "share as a flag": (
        source(f"{GITHUB}, repo: o/r, quota_share: true"),
        "sources[0].quota_share: must be a number above 0 and up to 1, such as 0.5 (got True)",
    ),
    "API without a scheme": (
        source(f"{GITHUB}, repo: o/r, api_url: github.example.com/api/v3"),
        "sources[0].api_url: must be a URL such as http://127.0.0.1:8010",
    ),
    "status pattern that is none": (
        source(f"{GITHUB}, repo: o/r, statuses: ['ci/(']"),
        "sources[0].statuses[0]: 'ci/(' is not a regular expression: missing ), unterminated"
        " subpattern at position 3",
    ),
    "GitHub and a clone both order": (
        f"sources: [{{{GITHUB}, repo: o/r, branches: [main]}}, {{{BUILDBOT}, git: g}}]",
        "sources[0] and sources[1] could both give the order of o/r main; set order: true on"
        " exactly one",
    ),
    # ------------------------------------------------------------------ durations
    "bad duration": (
        source("name: a, type: recorded, path: a, poll_interval: soon"),
        "sources[0].poll_interval: must be a duration such as 60s, 15m, 36h or 8d",
    ),
    "duration without a unit": (
        source("name: a, type: recorded, path: a, poll_interval: 60"),
        "sources[0].poll_interval: must be a duration such as 60s, 15m, 36h or 8d",
    ),
    "duration of nothing": (
        source("name: a, type: recorded, path: a, poll_interval: 0s"),
        "sources[0].poll_interval: must be more than zero, such as 60s",
    ),
    "negative duration": (
        source("name: a, type: recorded, path: a, poll_interval: -5s"),
        "sources[0].poll_interval: must be a duration such as 60s, 15m, 36h or 8d",
    ),
    "duration too long": (
        source("name: a, type: recorded, path: a, poll_interval: 5201w"),
        "sources[0].poll_interval: must be at most 5200w",
    ),
    "duration beyond numbers": (
        source(f"name: a, type: recorded, path: a, poll_interval: {'9' * 400}d"),
        "sources[0].poll_interval: must be at most 5200w",
    ),
    # ------------------------------------------------------------------ patterns
    "bad regex": (
        SOURCES + "jobs: {ignore: ['ok', '(unclosed']}",
        "jobs.ignore[1]: '(unclosed' is not a regular expression: missing ), unterminated"
        " subpattern at position 0",
    ),
    "regex beyond numbers": (
        SOURCES + "jobs: {ignore: ['a{99999999999999999}']}",
        "jobs.ignore[0]: 'a{99999999999999999}' is not a regular expression: the repetition"
        " number is too large",
    ),
    "regex with look-around": (
        SOURCES + "jobs: {fold: [{match: '(?!slow).*', to: a}]}",
        "jobs.fold[0].match: '(?!slow).*' cannot be used: look-around is not supported; match the"
        " text itself, or let a rule before it win",
    ),
    "glob with half a surrogate pair": (
        source('type: github, name: g, repo: o/r, branches: ["a\\uD800*"]'),
        "sources[0].branches[0]: must be a branch such as main, a glob such as release/*, or HEAD"
        " for the default branch (got 'a\\ud800*')",
    ),
    "regex as a number": (
        SOURCES + "groups: [{name: a, match: {job_name: 1}}]",
        "groups[0].match.job_name: must be a regular expression in quotes, such as '.*inductor.*'",
    ),
    "patterns as a text": (SOURCES + "jobs: {ignore: '.*'}", "jobs.ignore: must be a list"),
    "bad fold template": (
        SOURCES + "jobs: {fold: [{match: '(a)', to: '\\2'}]}",
        "jobs.fold[0]: to: '\\\\2' does not fit match: invalid group reference 2 at position 1",
    ),
    "fold template with an unknown name": (
        SOURCES + "jobs: {fold: [{match: '(a)', to: '\\g<config>'}]}",
        "jobs.fold[0]: to: '\\\\g<config>' does not fit match: unknown group name 'config'",
    ),
    "fold without to": (
        SOURCES + "jobs: {fold: [{match: a}]}",
        "jobs.fold[0].to: is missing and required",
    ),
    # ------------------------------------------------------------------ jobs
    "jobs left empty": (SOURCES + "jobs:", "jobs: must be a mapping"),
    "unknown preset": (
        SOURCES + "jobs: {preset: llvm}",
        "jobs.preset: must be 'gitlab' or 'pytorch' (got 'llvm')",
    ),
    "evidence that is none": (
        SOURCES + "jobs: {evidence: {timed_out: pending}}",
        "jobs.evidence.timed_out: must be 'pass', 'fail', 'skip' or 'unknown' (got 'pending')",
    ),
    "a row that may not be moved": (
        SOURCES + "jobs: {evidence: {success: fail}}",
        "jobs.evidence.success: unknown key; docs/configuration.md lists all keys",
    ),
    "no events": (SOURCES + "jobs: {events: []}", "jobs.events: must contain at least one entry"),
    "an alias twice": (
        SOURCES + "jobs: {aliases: [{workflow: w, from: a, to: b}, {workflow: w, from: a, to: c}]}",
        "jobs.aliases[1].from: 'a' is renamed twice; keep one of them",
    ),
    # ------------------------------------------------------------------ groups
    "N of nothing": (
        SOURCES + "groups: [{name: a, failures_to_open: 0}]",
        "groups[0].failures_to_open: must be 1 or more (got 0)",
    ),
    "N as a text": (
        SOURCES + "groups: [{name: a, failures_to_open: '3'}]",
        "groups[0].failures_to_open: must be a whole number",
    ),
    "N as a fraction": (
        SOURCES + "groups: [{name: a, failures_to_open: 2.5}]",
        "groups[0].failures_to_open: must be a whole number",
    ),
    "N as true": (
        SOURCES + "groups: [{name: a, failures_to_open: true}]",
        "groups[0].failures_to_open: must be a whole number",
    ),
    "a number as a flag": (
        SOURCES + "groups: [{name: a, flaky_closes: 1}]",
        "groups[0].flaky_closes: must be true or false",
    ),
    "unknown priority": (
        SOURCES + "groups: [{name: a, priority: high}]",
        "groups[0].priority: must be 'P0', 'P1', 'P2' or 'P3' (got 'high')",
    ),
    "unknown count": (
        SOURCES + "groups: [{name: a, count: days}]",
        "groups[0].count: must be 'commits' or 'runs' (got 'days')",
    ),
    "match left empty": (
        SOURCES + "groups: [{name: a, match: }]",
        "groups[0].match: must be a mapping",
    ),
    "unreachable group": (
        SOURCES + "groups: [{name: a}, {name: b, match: {workflow: w}}]",
        "groups[0].match: is missing, so 'a' takes every job from the groups after it; give it a"
        " match or move it to the end",
    ),
    "default that does not match all": (
        SOURCES + "groups: [{name: default, match: {workflow: w}}]",
        "groups[0].match: the group 'default' catches what no other group matches; leave match out"
        " or give the group another name",
    ),
    "duplicate group": (
        SOURCES + "groups: [{name: a, match: {repo: r}}, {name: a, match: {repo: s}}]",
        "groups[1]: 'a' is already used by groups[0]; each must be unique",
    ),
    # ------------------------------------------------------------------ the rest
    "exemption without a reason": (
        SOURCES + "known_broken: [{match: {}}]",
        "known_broken[0].reason: is missing and required",
    ),
    "bad date": (
        SOURCES + "known_broken: [{match: {}, reason: r, until: soon}]",
        "known_broken[0].until: must be a date such as 2026-12-01",
    ),
    "a day that does not exist": (
        SOURCES + "known_broken: [{match: {}, reason: r, until: 2026-02-30}]",
        "line 2, column 46: '2026-02-30' is not a valid timestamp",
    ),
    "a day that does not exist, in quotes": (
        SOURCES + "known_broken: [{match: {}, reason: r, until: '2026-02-30'}]",
        "known_broken[0].until: must be a date such as 2026-12-01",
    ),
    "a date after all dates": (
        SOURCES + "known_broken: [{match: {}, reason: r, until: '9999-12-31T23:00:00-12:00'}]",
        "known_broken[0].until: must be a date such as 2026-12-01",
    ),
    "a number as a date": (
        SOURCES + "known_broken: [{match: {}, reason: r, until: 20261201}]",
        "known_broken[0].until: must be a date such as 2026-12-01",
    ),
    "green without patterns": (
        SOURCES + "green: [{repo: r, branch: b, required: []}]",
        "green[0].required: must contain at least one entry",
    ),
    "green twice": (
        SOURCES
        + "green: [{repo: r, branch: b, required: [a]}, {repo: r, branch: b, required: [c]}]",
        "green[1]: 'r b' is already used by green[0]; each must be unique",
    ),
    "no jobs allowed": (
        SOURCES + "limits: {max_jobs: 0}",
        "limits.max_jobs: must be 1 or more (got 0)",
    ),
    "no pages allowed": (
        SOURCES + "limits: {max_list_pages: 0}",
        "limits.max_list_pages: must be 1 or more (got 0)",
    ),
    "nine connections": (
        SOURCES + "limits: {max_connections: 9}",
        "limits.max_connections: must be 10 or more (got 9)",
    ),
    "an answer of a few bytes": (
        SOURCES + "limits: {max_answer_bytes: 65535}",
        "limits.max_answer_bytes: must be 65536 or more (got 65535)",
    ),
    "labels of a few bytes": (
        SOURCES + "limits: {max_label_bytes: 63}",
        "limits.max_label_bytes: must be 64 or more (got 63)",
    ),
    "labels of many bytes": (
        SOURCES + "limits: {max_label_bytes: 1025}",
        "limits.max_label_bytes: must be 1024 or less (got 1025)",
    ),
    # ------------------------------------------------------------------ tickets
    "no repository for tickets": (
        SOURCES + "tickets: {repo: '{owner}/x'}",
        "tickets.repo: must be owner/name or '{repo}' (got '{owner}/x')",
    ),
    "no project for tickets": (
        SOURCES + "tickets: {type: gitlab, repo: project}",
        "tickets.repo: must be a project's path such as group/project or '{repo}' (got 'project')",
    ),
    "a project of GitLab for tickets of GitHub": (
        SOURCES + "tickets: {repo: group/sub/project}",
        "tickets.repo: must be owner/name or '{repo}' (got 'group/sub/project')",
    ),
    "the address of GitLab instead of that of its API": (
        SOURCES + "tickets: {type: gitlab, api_url: 'https://u:hunter2@gitlab.example.com'}",
        "tickets: api_url must end with /api/v4, such as https://gitlab.com/api/v4",
    ),
    "the API of GitLab for tickets of GitHub": (
        SOURCES + "tickets: {api_url: 'https://u:hunter2@gitlab.example.com/api/v4/'}",
        "tickets: api_url is that of a GitLab: add type: gitlab",
    ),
    "the API of GitHub for a confirm of GitLab": (
        SOURCES + "confirm: {type: gitlab, api_url: 'https://u:hunter2@ghe.example.com/api/v3'}",
        "confirm: api_url must end with /api/v4, such as https://gitlab.com/api/v4",
    ),
    "reusable workflows of GitLab": (
        SOURCES + "confirm: {type: gitlab, called_workflows: ['o/.*']}",
        "confirm: called_workflows is a key of type: github; remove it",
    ),
    "confidential issues of GitHub": (
        SOURCES + "tickets: {confidential: true}",
        "tickets: GitHub has no confidential issues; remove confidential",
    ),
    "no time zone": (
        SOURCES + "tickets: {timezone: Mars/Phobos}",
        "tickets.timezone: must be a time zone installed here, such as Europe/Paris"
        " (got 'Mars/Phobos')",
    ),
    "a time zone that is a path": (
        SOURCES + "tickets: {timezones: {a: ../etc/passwd}}",
        "tickets.timezones.a: must be a time zone installed here, such as Europe/Paris"
        " (got '../etc/passwd')",
    ),
    # ------------------------------------------------------------------ who gives the order
    "duplicate source": (
        "sources: [{name: a, type: recorded, path: a}, {name: a, type: recorded, path: b}]",
        "sources[1]: 'a' is already used by sources[0]; each must be unique",
    ),
    "two orders": (
        f"sources: [{{{BUILDBOT}, git: g}}, {{{BUILDBOT.replace('name: b', 'name: c')}, git: h}}]",
        "sources[0] and sources[1] could both give the order of o/r main; set order: true on"
        " exactly one",
    ),
    "two orders, both chosen": (
        f"sources: [{{{BUILDBOT}, git: g, order: true}},"
        f" {{{BUILDBOT.replace('name: b', 'name: c')}, git: h, order: true}}]",
        "sources[0] and sources[1] could both give the order of o/r main; set order: true on"
        " exactly one",
    ),
    "no clone": (
        source(BUILDBOT),
        "sources[0].git: no source gives the order of o/r main;"
        " name a local clone of the repository",
    ),
    "clone that may not order": (
        source(f"{BUILDBOT}, git: g, order: false"),
        "sources[0].git: no source gives the order of o/r main;"
        " name a local clone of the repository",
    ),
    "order without a clone": (
        source(f"{BUILDBOT}, order: true"),
        "sources[0]: order: true needs git: the path of a local clone",
    ),
}


@pytest.mark.parametrize(("text", "problem"), CASES.values(), ids=CASES)
def test_problem(text: str, problem: str) -> None:
    """A mistake is one line: where it is, and what would be right there."""
    assert problems_of(text) == [problem]


def test_all_problems_at_once() -> None:
    """All problems of a configuration are reported at once: invalid values, keys
    that stand twice, and parts that contradict each other.
    """
    text = """
sources:
  - {name: a, type: recorded}
  - {name: a, type: buildbot, url: nowhere, repo: o/r, branches: [main]}
  - {name: c, type: github}
jobs:
  ignore: ['(']
  aliases: [{workflow: w, from: x, to: y}, {workflow: w, from: x, to: z, why: not}]
groups:
  - {name: g, prority: P2}
  - {name: g, failures_to_open: 0, consecutive_failures: 0}
  - {name: default, match: {repo: r}}
known_broken: [{match: {}, reason: '', until: never}]
green: [{repo: o/r, branch: main}, {repo: o/r, branch: main, required: [x]}]
limits: {max_jobs: many}
limits: {max_jobs: 5}
colour: red
"""
    assert sorted(problems_of(text)) == sorted(
        [
            "line 16, column 1: the key 'limits' appears twice in one mapping",
            "sources[0].path: is missing and required",
            "sources[1].url: must be a URL such as http://127.0.0.1:8010",
            "sources[2]: needs repo: owner/name or repos: [owner/name, ...], and not both",
            "sources[1]: 'a' is already used by sources[0]; each must be unique",
            "jobs.ignore[0]: '(' is not a regular expression: missing ), unterminated subpattern at"
            " position 0",
            "jobs.aliases[1].why: unknown key; docs/configuration.md lists all keys",
            "jobs.aliases[1].from: 'x' is renamed twice; keep one of them",
            "groups[0].prority: unknown key; did you mean 'priority'?",
            "groups[1].consecutive_failures: this key is now failures_to_open",
            "groups[1].failures_to_open: must be 1 or more (got 0)",
            "groups[1]: 'g' is already used by groups[0]; each must be unique",
            "groups[0].match: is missing, so 'g' takes every job from the groups after it; give it"
            " a match or move it to the end",
            "groups[1].match: is missing, so 'g' takes every job from the groups after it; give it"
            " a match or move it to the end",
            "groups[2].match: the group 'default' catches what no other group matches; leave match"
            " out or give the group another name",
            "known_broken[0].reason: must not be empty",
            "known_broken[0].until: must be a date such as 2026-12-01",
            "green[0].required: is missing and required",
            "green[1]: 'o/r main' is already used by green[0]; each must be unique",
            "colour: unknown key; docs/configuration.md lists all keys",
        ]
    )


# ---------------------------------------------------------------------- one repository


@pytest.mark.parametrize(
    ("config_of", "variable"),
    [
        (config_of_repo, "GITHUB_API_URL"),
        (config_of_project, "CI_SERVER_URL"),
        (config_of_gitea, "GITEA_SERVER_URL"),
    ],
)
def test_a_wrong_argument_is_named(
    config_of: Callable[[str, str | None, str | None], Config], variable: str
) -> None:
    """A wrong address is not blamed on the repository, nor a wrong repository on the address."""
    with pytest.raises(UsageError, match=f"^{variable} "):
        config_of("owner/name", "nowhere", None)
    with pytest.raises(UsageError, match=r"^--repo 'a b': must be "):
        config_of("a b", None, None)
    with pytest.raises(
        UsageError, match=r"^--repo 'https://\*\*\*@git.example.com/o/r.git': must "
    ):
        config_of(ADDRESS, None, None)


# ---------------------------------------------------------------------- numbers, escapes, paths

DIGITS = "f" * 5000
"""Of a number that Python does not convert to decimals."""
OUT_OF_RANGE = "a number or an escaped character is out of range"
NO_PATH = "must be a path, without characters that no file name has"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (SOURCES + r'name: "a\U00110000"', f"line 2, column 11: {OUT_OF_RANGE}"),
        (SOURCES + r'name: "\UFFFFFFFF"', f"line 2, column 10: {OUT_OF_RANGE}"),
        (f"%YAML 1.{'9' * 5000}\n---\n{SOURCES}", f"line 1, column 9: {OUT_OF_RANGE}"),
        (
            SOURCES + f"limits: {{max_label_bytes: 1{':59' * 4000}.5}}",
            "line 2, column 27: '1:59:59:",
        ),
        (
            SOURCES + f"? 0x{DIGITS}\n: 1\n? 0x{DIGITS}\n: 2",
            "line 4, column 3: the key a number of about 6021 digits appears twice",
        ),
        *(
            (SOURCES + f"limits: {{max_label_bytes: {number}}}", "limits.max_label_bytes: must be ")
            for number in (f"0x{DIGITS}", f"-0x{DIGITS}", f"0b{'1' * 20_000}", f"1{':59' * 4000}")
        ),
        (SOURCES + f"groups: [{{name: g, priority: 0x{DIGITS}}}]", "groups[0].priority: must be "),
        (source(f"{GITHUB}, repo: o/r, window: 0x{DIGITS}"), "sources[0].window: must be 9223"),
        (source(f"{GITHUB}, repo: o/r, window: -0x{DIGITS}"), "sources[0].window: must be 1 or"),
        (source(f"{GITHUB}, repo: o/r, quota_share: 0x{DIGITS}"), "sources[0].quota_share: must"),
        (source(r'name: a, type: recorded, path: "a\0b"'), f"sources[0].path: {NO_PATH}"),
        (source(rf'{GITHUB}, repo: o/r, token_file: "a\0b"'), f"sources[0].token_file: {NO_PATH}"),
        (source(rf'{BUILDBOT}, git: "a\0b"'), f"sources[0].git: {NO_PATH}"),
    ],
)
def test_what_python_refuses_is_a_problem_of_its_key(text: str, problem: str) -> None:
    """A number of thousands of digits, a character out of range and NUL in a path are named."""
    problems = problems_of(text)
    assert any(found.startswith(problem) for found in problems), problems
    assert max(map(len, problems)) < 400


# ---------------------------------------------------------------------- credentials

ADDRESS = "https://oauth2:hunter2@git.example.com/o/r.git"
HIDDEN = "(got 'https://***@git.example.com/o/r.git')"
NAMED = "must be a name, not an address with a user or a password"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (source(f"{GITHUB}, repo: '{ADDRESS}'"), f"must be owner/name {HIDDEN}"),
        (source(f"{GITHUB}, repos: ['{ADDRESS}']"), HIDDEN),
        (source(f"{GITHUB}, repos: ['{ADDRESS}?token=hunter2']"), "/o/r.git?***')"),
        (
            source(f"{GITHUB}, repos: ['https://u:a/b c?hunter2@h/o/r']"),
            "(got 'https://***@h/o/r')",
        ),
        (source(f"{GITHUB}, repos: ['u:hunter2@h/o/r']"), "(got '***@h/o/r')"),
        (source(f"{GITHUB}, repos: ['o/*'], exclude: ['{ADDRESS}']"), HIDDEN),
        (source(f"name: g, type: gitlab, repos: ['{ADDRESS}']"), HIDDEN),
        (source(f"name: g, type: gitea, url: 'http://h', repos: ['{ADDRESS}']"), HIDDEN),
        (clickhouse("preset: pytorch", f"'{ADDRESS}'"), f"sources[0].repos[0]: {NAMED}"),
        (source(BUILDBOT.replace("o/r", f"'{ADDRESS}'")), f"sources[0].repo: {NAMED}"),
        (source(f"{BUILDBOT}, git: '{ADDRESS}'"), "sources[0].git: must be the path of a file or"),
        (SOURCES + f"tickets: {{repo: '{ADDRESS}'}}", f"must be owner/name or '{{repo}}' {HIDDEN}"),
        (SOURCES + f"groups: [{{name: '{ADDRESS}'}}, {{name: '{ADDRESS}'}}]", "already used by"),
        (SOURCES + f"jobs: {{ignore: ['{ADDRESS}(']}}", "'https://***@git.example.com/o/r.git('"),
        (
            source("name: b, type: buildbot, url:http://u:hunter2@h"),
            "sources[0].url:***: unknown key; if a value follows the colon, put a space between",
        ),
        (SOURCES + "a:hunter2: 1\na:hunter2: 2", "the key 'a:***' appears twice in one mapping"),
        (SOURCES + "a: !https://u:hunter2@h 1", "could not determine a constructor for the tag"),
    ],
)
def test_credentials_are_not_repeated(text: str, problem: str) -> None:
    """An address that is pasted to a wrong place is named without its login and its query."""
    problems = problems_of(text)
    assert any(problem in found for found in problems), problems
    assert "hunter2" not in str(problems)


# ---------------------------------------------------------------------- names that become labels

CLONED = f"{BUILDBOT}, git: g"
GITLAB = "name: l, type: gitlab"
LABELS = [
    ("sources[0].name", "sources: [{name: LONG, type: recorded, path: a}]"),
    ("sources[0].repo", source(CLONED.replace("o/r", "LONG"))),
    ("sources[0].branches[0]", source(CLONED.replace("main", "LONG"))),
    ("sources[0].workflow", source(f"{CLONED}, workflow: LONG")),
    ("sources[0].repo", source(f"{GITHUB}, repo: o/LONG")),
    ("sources[0].repos[0]", source(f"{GITHUB}, repos: [o/LONG]")),
    ("sources[0].branches[0]", source(f"{GITHUB}, repo: o/r, branches: [LONG]")),
    ("sources[0].checks[0]", source(f"{GITHUB}, repo: o/r, checks: [LONG]")),
    ("sources[0].repos[0]", source(f"{GITLAB}, repos: [g/LONG]")),
    ("sources[0].branches[0]", source(f"{GITLAB}, repos: [g/p], branches: [LONG]")),
    ("sources[0].workflow", source(f"{GITLAB}, repos: [g/p], workflow: LONG")),
    ("groups[0].name", f"{SOURCES}groups: [{{name: LONG}}]"),
    ("groups[0].team", f"{SOURCES}groups: [{{name: a, team: LONG}}]"),
]


@pytest.mark.parametrize(("key", "text"), LABELS)
def test_a_name_that_becomes_a_label_is_bounded(key: str, text: str) -> None:
    """A name of 200 bytes is taken, owner included, and a longer one is refused."""
    most = 198 if "/LONG" in text else 200
    parse_config(text.replace("LONG", "x" * most), "t.yml")
    expected = f"{key}: must be at most 200 bytes in UTF-8 (got 201)"
    assert problems_of(text.replace("LONG", "x" * (most + 1))) == [expected]


@pytest.mark.parametrize("written", ["\\n", "\\r", "\\x00", "\\x85", "\\u2028"])
@pytest.mark.parametrize(("key", "text"), [each for each in LABELS if "/LONG" not in each[1]])
def test_a_name_that_becomes_a_label_is_one_line(key: str, text: str, written: str) -> None:
    """A line break or another control character in it is refused, and written out."""
    (problem,) = problems_of(text.replace("LONG", f'"a{written}b"'))
    assert problem.startswith(f"{key}: must ")
    assert problem.endswith("b')")
    assert "(got 'a\\" in problem


# ---------------------------------------------------------------------- reading the file


def load_problem(path: Path) -> str:
    with pytest.raises(ConfigError) as caught:
        load_config(str(path))
    (problem,) = caught.value.problems
    return problem


def test_missing_file(tmp_path: Path) -> None:
    """The error about a missing file contains its path and the flag."""
    problem = load_problem(tmp_path / "no.yml")
    assert problem == "no such file; --config.file names the configuration"


@pytest.mark.parametrize(("make", "problem"), IRREGULAR.values(), ids=IRREGULAR)
def test_what_is_no_file(tmp_path: Path, make: Callable[[Path], object], problem: str) -> None:
    """A folder, a FIFO, a socket or a device instead of a file is a ConfigError."""
    path = tmp_path / "t.yml"
    make(path)
    assert re.match(rf"cannot be read \(\[Errno \d+\] {problem}", load_problem(path))


def test_file_that_is_no_text(tmp_path: Path) -> None:
    """Bytes that are not UTF-8 are refused."""
    path = tmp_path / "t.yml"
    path.write_bytes(b"sources: \xff\xfe")
    assert load_problem(path) == "is not UTF-8 (invalid start byte)"


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_a_file_is_read_as_windows_writes_it(tmp_path: Path, encoding: str) -> None:
    """With a byte order mark and Windows line ends, in UTF-8 or in UTF-16."""
    path = tmp_path / "t.yml"
    path.write_bytes("sources:\r\n- {name: ä, type: recorded, path: a}\r\n".encode(encoding))
    assert load_config(str(path)).sources[0].name == "ä"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (
            "sources:\n  - {name: a, type: recorded, path: 7}",
            "line 2, column 37: sources[0].path: ",
        ),
        (
            "sources:\n  - name: a\n    type: recorded",
            "line 2, column 5: sources[0].path: is missing",
        ),
        (SOURCES + "gruops: []", "line 2, column 1: gruops: unknown key"),
        (
            SOURCES + "groups:\n  - name: g\n    match: {job_nme: a}",
            "line 4, column 13: groups[0].match.job_nme: unknown key",
        ),
        (
            SOURCES + "groups:\n- {name: g}\n- name: h\n  match: {job_name: '('}",
            "line 5, column 21: groups[1].match.job_name: '(' is not",
        ),
        (
            SOURCES + "groups: [{name: g, match: {job_name: a}}, {name: g}]",
            "line 2, column 43: groups[1]: 'g' is already used",
        ),
        (
            SOURCES + "groups:\n- &a {name: g, priority: P9}\n- {<<: *a, name: h}",
            "line 3, column 26: groups[1].priority: must be",
        ),
        ("groups: []", "sources: is missing and required"),
        ("[1]", "must be a mapping"),
    ],
)
def test_the_place_of_a_problem(text: str, problem: str) -> None:
    """Line and column of the value, of an unknown key, or of the mapping that lacks a key."""
    with pytest.raises(ConfigError) as caught:
        parse_config(text, "t.yml")
    assert any(found.startswith(problem) for found in caught.value.problems), caught.value.problems
