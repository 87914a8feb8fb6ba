"""Every key of the configuration, and what it means."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from pydantic import BaseModel
from trunkwatch.config import (
    BuildbotSource,
    Config,
    RecordedSource,
    TicketsSection,
    load_config,
    parse_config,
    policy_of,
)
from trunkwatch.config.load import all_keys
from trunkwatch.config.repositories import glob_matches
from trunkwatch.config.sources import (
    ClickhouseSource,
    GiteaSource,
    GithubApp,
    GithubSource,
    GitlabSource,
)
from trunkwatch.config.web_config import parse_web_config
from trunkwatch.domain.columns import Count
from trunkwatch.domain.evidence import DEFAULT_INFRA_STEPS
from trunkwatch.domain.groups import group_of
from trunkwatch.domain.model import Evidence, JobKey, Trunk
from trunkwatch.patterns import Pattern
from trunkwatch.ticketing import TicketOptions

EVERYTHING = """
sources:
  - name: llvm
    type: buildbot
    url: "http://127.0.0.1:8010"
    repo: o/r
    branches: [main, release/1.0]
    git: srv/r.git
    git_fetch: false
    codebase: r
    builders: ['linux-.*']
    window: 60
    workflow: builders
    timeout: 5s
    poll_interval: 1m30s
    order: true
    compare_url: https://git.example/compare/{last_good}...{first_bad}
  - {name: demo, type: recorded, path: incident.ndjson, poll_interval: 2s, order: false}
  - name: forge
    type: github
    api_url: https://ghe.example.com/api/v3
    repos: [a/b, a/c, a/b]
    branches: [main, release/1.0]
    app: {app_id: 12, private_key_file: app.pem, installation_id: 34}
    window: 40
    graphql: false
    quota_share: 0.25
    checks: [build-bot]
    statuses: ['ci/.*']
    webhook_secret_file: /run/secrets/webhook
    timeout: 7s
  - {name: small, type: github, repo: o/small, token_file: token}
  - {name: other, type: github, repo: o/other, token_env: TOKEN}
  - name: many
    type: github
    repos: ["acme/*", {name: Acme/App, branches: [main, {name: "release/*", newest: 3}]}, lab/one]
    exclude: ["acme/old-*"]
    archived: true
    forks: true
  - name: lab
    type: gitlab
    url: https://me:hunter2@gitlab.example.com/git/
    repos: ["group/**", Group/Sub/app]
    exclude: ["group/old/*"]
    branches: [HEAD, stable]
    workflow: ci
    allow_failure: fail
  - name: tea
    type: gitea
    url: http://me:hunter2@tea.example.com/
    repos: ["o/*"]
    exclude: [o/x]
  - name: table
    type: clickhouse
    url: https://me:hunter2@clickhouse.example.com:8443
    user: reader
    password_file: password
    preset: pytorch
    database: ci
    table: jobs
    columns: {repo: {value: o/r}, sha: commit, url: {column: job.url, extract: "(.*)[?].*"}}
    values: {OK: success}
    allow_failure: fail
    repos: [o/r]
    branches: [main]
    git: clone.git
    git_fetch: false
    order: false
    window: 7
    look_back: 3d
    cursor: written
    slack: 5m
    pruned_by: day
    timeout: 9s
  - {name: other table, type: clickhouse, url: "http://h", repos: [o/r],
     branches: [main], preset: buildkite, user: u, password_env: PASSWORD}
jobs:
  preset: pytorch
  ignore: ['.*/ filter$']
  fold: [{match: '(.*) \\[shard \\d+\\]', to: '\\1'}]
  aliases: [{workflow: ci, from: old, to: new}]
  events: [push, merge_group]
  retire_after: 7
  infra_steps: ['Pull image.*']
  evidence:
    timed_out: unknown
    cancelled: fail
    names: [{match: 'advisory .*', to: skip}]
groups:
  - name: inductor
    match: {repo: o/r, branch: main, workflow: "inductor.*", job_name: "test .*"}
    team: broken-inductor
    priority: P2
    failures_to_open: 4
    passes_to_close: 2
    flaky_closes: true
    count: runs
    failure_threshold: 3
    silent_after: 9d
    jobs:
      - {match: '.*perf.*', failures_to_open: 5}
      - {match: '.*slow.*', passes_to_close: 6, flaky_closes: false}
  - {name: queue, match: {event: merge_group}}
  - {name: default, team: everybody, priority: P0}
known_broken:
  - {match: {job_name: '.*s390x.*'}, reason: "no machine", until: 2026-12-01}
  - {match: {workflow: docs}, reason: "being moved"}
green:
  - {repo: o/r, branch: main, required: ['pull / .*', 'lint / .*']}
limits:
  max_jobs: 123
  max_jobs_per_source: 7
  max_label_bytes: 64
  max_answer_bytes: 65536
  max_list_pages: 1
  max_connections: 10
storage: {retention: {keep: 60d}}
tickets:
  type: gitlab
  repo: g/s/issues
  labels: [ci]
  assignees: [author-a]
  auto_close: false
  reopen_within: 1d
  max_new_per_hour: 3
  timezone: Europe/Paris
  timezones: {broken-inductor: America/Los_Angeles}
  dashboard_url: https://grafana.example.com/d/{group}
  api_url: https://gitlab.example.com/api/v4
  confidential: true
  url: http://127.0.0.1:10079
alertmanager: {url: "http://u:p@127.0.0.1:9093"}
confirm:
  mode: act
  type: github
  url: http://127.0.0.1:10080
  api_url: https://ghe.example.com/api/v3
  questions: [which]
  groups: [inductor]
  never: ['nightly / .*']
  events: [push]
  called_workflows: ['o/.*']
  max_runs_per_outage: 1
  max_runs_per_group: 2
  max_runs_per_repo: 3
  max_minutes_per_repo: 4
"""

BUILDBOT = """
sources: [{name: a, type: recorded, path: a}]
confirm:
  type: buildbot
  api_url: https://ci.example.com/api/v2
  builders: ['unit-.*']
  force_scheduler: commit
"""
"""The keys of `confirm` that Buildbot has alone."""


@pytest.fixture(scope="module")
def config() -> Config:
    """The configuration with every key in it."""
    return parse_config(EVERYTHING, "/etc/trunkwatch/trunkwatch.yml")


def keys_of(model: BaseModel) -> Iterator[str]:
    """Yield the keys that were given, by their names in the file."""
    for name, field in type(model).model_fields.items():
        if name in model.model_fields_set:
            yield field.alias or name
        value = getattr(model, name)
        members = value.values() if isinstance(value, dict) else value
        for member in members if isinstance(value, dict | tuple) else (value,):
            if isinstance(member, BaseModel):
                yield from keys_of(member)


def test_the_example_has_every_key(config: Config) -> None:
    """These tests cover every key of the configuration."""
    buildbot = parse_config(BUILDBOT, "/etc/trunkwatch/trunkwatch.yml")
    assert sorted({*keys_of(config), *keys_of(buildbot)}) == all_keys()


def test_tickets(config: Config) -> None:
    """Each key of the tickets arrives."""
    assert config.alertmanager is not None
    assert config.alertmanager.url == "http://u:p@127.0.0.1:9093"
    assert "u:p" not in repr(config)
    assert config.tickets.model_dump() == {
        "type": "gitlab",
        "url": "http://127.0.0.1:10079",
        "repo": "g/s/issues",
        "labels": ("ci",),
        "assignees": ("author-a",),
        "auto_close": False,
        "reopen_within": 86_400.0,
        "max_new_per_hour": 3,
        "timezone": "Europe/Paris",
        "timezones": {"broken-inductor": "America/Los_Angeles"},
        "dashboard_url": "https://grafana.example.com/d/{group}",
        "api_url": "https://gitlab.example.com/api/v4",
        "confidential": True,
    }
    assert config.tickets.api == "https://gitlab.example.com/api/v4"


def test_confirm(config: Config) -> None:
    """Each key of the section arrives; without it there is none."""
    assert config.confirm is not None
    assert config.confirm.model_dump() == {
        "mode": "act",
        "type": "github",
        "url": "http://127.0.0.1:10080",
        "api_url": "https://ghe.example.com/api/v3",
        "questions": ("which",),
        "groups": ("inductor",),
        "never": (Pattern("nightly / .*"),),
        "events": ("push",),
        "builders": (),
        "force_scheduler": None,
        "called_workflows": (Pattern("o/.*"),),
        "max_runs_per_outage": 1,
        "max_runs_per_group": 2,
        "max_runs_per_repo": 3,
        "max_minutes_per_repo": 4,
    }
    assert parse_config("sources: [{name: a, type: recorded, path: a}]", "t").confirm is None


def test_confirm_on_buildbot() -> None:
    """Each key that Buildbot has alone arrives."""
    section = parse_config(BUILDBOT, "t").confirm
    assert section is not None
    assert (section.type, section.api) == ("buildbot", "https://ci.example.com/api/v2")
    assert (section.builders, section.force_scheduler) == ((Pattern("unit-.*"),), "commit")
    assert section.starts_runs


def test_tickets_without_the_section() -> None:
    """Without the section, the defaults apply."""
    config = parse_config("sources: [{name: a, type: recorded, path: a}]", "t")
    assert config.tickets == TicketsSection()
    assert config.tickets.api == "https://api.github.com"
    assert TicketsSection(type="gitlab").api == "https://gitlab.com/api/v4"


def test_buildbot_source(config: Config) -> None:
    """Each key of a Buildbot source arrives."""
    source = config.sources[0]
    assert isinstance(source, BuildbotSource)
    assert source.model_dump() == {
        "name": "llvm",
        "type": "buildbot",
        "url": "http://127.0.0.1:8010",
        "repo": "o/r",
        "branches": ("main", "release/1.0"),
        "git": "/etc/trunkwatch/srv/r.git",
        "git_fetch": False,
        "codebase": "r",
        "builders": (Pattern("linux-.*"),),
        "window": 60,
        "workflow": "builders",
        "timeout": 5.0,
        "poll_interval": 90.0,
        "order": True,
        "compare_url": "https://git.example/compare/{last_good}...{first_bad}",
    }
    assert source.feeds() == (Trunk("o/r", "main"), Trunk("o/r", "release/1.0"))
    assert source.could_order()


def test_recorded_source(config: Config) -> None:
    """A recorded source is a path from the folder of the configuration file."""
    source = config.sources[1]
    assert isinstance(source, RecordedSource)
    assert source.path == "/etc/trunkwatch/incident.ndjson"
    assert source.poll_interval == 2.0
    assert not source.could_order()
    assert source.feeds() == ()


def test_github_source(config: Config) -> None:
    """Each key of a GitHub source arrives; a repository that is named twice is one."""
    source = config.sources[2]
    assert isinstance(source, GithubSource)
    assert source.api_url == "https://ghe.example.com/api/v3"
    assert source.named_repos == ("a/b", "a/c")
    assert source.feeds() == tuple(
        Trunk(repo, branch) for repo in ("a/b", "a/c") for branch in ("main", "release/1.0")
    )
    assert source.app == GithubApp(
        app_id=12, private_key_file="/etc/trunkwatch/app.pem", installation_id=34
    )
    assert (source.window, source.quota_share, source.timeout) == (40, 0.25, 7.0)
    assert not source.graphql
    assert source.checks == ("build-bot",)
    assert [pattern.text for pattern in source.statuses] == ["ci/.*"]
    assert source.webhook_secret_file == "/run/secrets/webhook"
    assert source.could_order()


def test_github_tokens(config: Config) -> None:
    """A token stands in a file beside the configuration, or in the environment."""
    small, other = config.sources[3:5]
    assert isinstance(small, GithubSource)
    assert isinstance(other, GithubSource)
    assert (small.named_repos, small.token_file) == (("o/small",), "/etc/trunkwatch/token")
    assert (other.token_env, other.token_file, other.app) == ("TOKEN", None, None)


def test_github_globs(config: Config) -> None:
    """A name decides before globs, and upper and lower case are the same, as on GitHub."""
    source = config.sources[5]
    assert isinstance(source, GithubSource)
    assert (source.archived, source.forks) == (True, True)
    assert source.named_repos == ("Acme/App", "lab/one")
    entries = {
        name: source.entry_of(name) for name in ("acme/x", "ACME/app", "acme/old-x", "lab/x")
    }
    assert {name: entry and entry.name for name, entry in entries.items()} == {
        "acme/x": "acme/*",
        "ACME/app": "Acme/App",
        "acme/old-x": None,
        "lab/x": None,
    }
    assert [each.name for each in source.branches_of("acme/x")] == ["HEAD"]
    assert source.feeds() == (Trunk("Acme/App", "main"),)
    trunks = {
        "acme/x any",
        "Acme/App main",
        "Acme/App release/1",
        "Acme/App topic",
        "acme/old-x main",
    }
    fed = {text for text in trunks if source.may_feed(Trunk(*text.split()))}
    assert fed == {"acme/x any", "Acme/App main", "Acme/App release/1"}
    assert {text for text in fed if source.names(Trunk(*text.split()))} == fed - {"acme/x any"}


@pytest.mark.parametrize(
    ("glob", "matching", "other"),
    [
        ("*", "main", "a/b"),
        ("**", "a/b", None),
        ("release/*", "release/1.0", "release/1/x"),
        ("release/**", "release/1/x", "release"),
        ("v?", "v1", "v10"),
        ("a.b", "a.b", "axb"),
    ],
)
def test_globs(glob: str, matching: str, other: str | None) -> None:
    """`*` and `?` stop at a slash, `**` does not; everything else stands for itself."""
    assert glob_matches(glob, matching)
    assert other is None or not glob_matches(glob, other)


def test_gitlab_source(config: Config) -> None:
    """Paths may have any depth, a name decides before globs, and no address shows a password."""
    source = config.sources[6]
    assert isinstance(source, GitlabSource)
    assert source.site == "https://gitlab.example.com/git"
    assert source.feeds() == (Trunk("Group/Sub/app", "stable"),)
    paths = ("group/a", "group/a/b/c", "GROUP/sub/APP", "group/old/x", "other/a")
    assert [source.selects(path) for path in paths] == [True, True, True, False, False]
    head, stable = Trunk("group/a", "trunk"), Trunk("group/a", "stable")
    assert (source.may_feed(head), source.names(head), source.names(stable)) == (True, False, True)
    own_page = "https://gitlab.example.com/git/group/a/-/compare/{last_good}...{first_bad}"
    assert source.compares(head) == own_page
    assert (source.poll_interval, source.window, source.quota_share) == (60.0, 100, 0.5)


def test_gitea_source(config: Config) -> None:
    """An owner's repositories but the excluded ones, and an address without password."""
    source = config.sources[7]
    assert isinstance(source, GiteaSource)
    assert [source.selects(path) for path in ("O/a", "o/x", "p/a")] == [True, False, False]
    own_page = "http://tea.example.com/o/a/compare/{last_good}...{first_bad}"
    assert source.compares(Trunk("o/a", "main")) == own_page
    watched = [source.watched("o/a", branch, "main") for branch in ("main", "topic", None)]
    assert watched == [Trunk("o/a", "main"), None, None]


def test_clickhouse_source(config: Config) -> None:
    """A column is written as its name or as a mapping; the trunks are named in full."""
    source = config.sources[8]
    assert isinstance(source, ClickhouseSource)
    assert source.columns["sha"].column == "commit"
    assert (source.columns["repo"].column, source.columns["repo"].value) == (None, "o/r")
    assert "hunter2" not in repr(source)
    assert source.password_file == "/etc/trunkwatch/password"
    assert (source.look_back, source.slack, source.could_order()) == (3 * 86_400.0, 300.0, False)
    assert source.feeds() == (Trunk("o/r", "main"),)
    assert source.may_feed(Trunk("o/r", "main"))
    assert not source.may_feed(Trunk("o/r", "topic"))


def test_a_glob_may_order_the_trunk_of_a_builder() -> None:
    """A glob that selects a trunk gives its order, so that no clone is needed."""
    text = """
sources:
  - {name: a, type: buildbot, url: "http://h", repo: acme/app, branches: [main]}
  - {name: b, type: github, repos: ["acme/*"]}
"""
    assert len(parse_config(text, "t.yml").sources) == 2


def test_github_defaults() -> None:
    """Without more than a repository: github.com, its default branch, half of the quota, no
    webhooks.
    """
    (source,) = parse_config("sources: [{name: g, type: github, repo: o/r}]", "t.yml").sources
    assert isinstance(source, GithubSource)
    assert (source.api_url, source.branches, source.feeds()) == ("https://api.github.com", (), ())
    assert (source.poll_interval, source.window, source.timeout) == (25.0, 100, 30.0)
    assert (source.quota_share, source.checks, source.statuses) == (0.5, (), ())
    assert (source.token_file, source.token_env, source.app) == (None, None, None)
    assert source.webhook_secret_file is None


@pytest.mark.parametrize(
    ("fields", "address"),
    [
        ("", "https://github.com/o/r/compare/{last_good}...{first_bad}"),
        (
            ", api_url: 'https://user:hidden@ghe.example.com/api/v3/'",
            "https://ghe.example.com/o/r/compare/{last_good}...{first_bad}",
        ),
        (", compare_url: 'http://h/{last_good}..{first_bad}'", "http://h/{last_good}..{first_bad}"),
    ],
)
def test_github_compares_commits_itself(fields: str, address: str) -> None:
    """A GitHub source has a default compare URL, which the configuration can replace."""
    text = f"sources: [{{name: g, type: github, repo: o/r{fields}}}]"
    assert parse_config(text, "t.yml").sources[0].compares(Trunk("o/r", "main")) == address


@pytest.mark.parametrize("share", ["0.01", "0.5", "1", "1.0"])
def test_shares(share: str) -> None:
    """A share of the quota is a fraction, up to all of it."""
    text = f"sources: [{{name: g, type: github, repo: o/r, quota_share: {share}}}]"
    (source,) = parse_config(text, "t.yml").sources
    assert getattr(source, "quota_share", None) == float(share)


@pytest.mark.parametrize("app_id", ["12", "Iv23liAbC"])
def test_an_app_is_named_by_either_of_its_ids(app_id: str) -> None:
    """The number of an App or its client ID."""
    app = f"{{app_id: {app_id}, private_key_file: k}}"
    text = f"sources: [{{name: g, type: github, repo: o/r, app: {app}}}]"
    (source,) = parse_config(text, "t.yml").sources
    assert isinstance(source, GithubSource)
    assert source.app is not None
    assert str(source.app.app_id) == app_id


def test_jobs(config: Config) -> None:
    """Names are ignored, folded by the preset and then by own rules, and renamed, in this order."""
    resolve = policy_of(config).naming.resolve
    assert resolve("ci", "build / filter") is None
    assert resolve("ci", "a / test (default, 1, 5, linux.large, unstable)") is None
    assert resolve("ci", "a / test (default, 1, 5, linux.large)") == "a / test (default)"
    assert resolve("ci", "unit [shard 12]") == "unit"
    assert resolve("ci", "old") == resolve("ci", "old [shard 1]") == "new"
    assert resolve("other workflow", "old") == "old"


def test_evidence(config: Config) -> None:
    """Rows of the evidence table are moved, and events and retirement are as configured."""
    policy = policy_of(config)
    assert policy.evidence.moved == {"timed_out": Evidence.UNKNOWN, "cancelled": Evidence.FAIL}
    (rule,) = policy.evidence.names
    assert (rule.match.text, rule.evidence) == ("advisory .*", Evidence.SKIP)
    assert policy.evidence.events == {"push", "merge_group"}
    assert policy.retire_after == 7
    assert [pattern.text for pattern in policy.evidence.infra_steps] == ["Pull image.*"]


def test_group(config: Config) -> None:
    """Each key of a group arrives; a job pattern changes only what it names."""
    group = policy_of(config).groups[0]
    assert (group.name, group.team, group.priority) == ("inductor", "broken-inductor", "P2")
    assert (group.failure_threshold, group.count, group.silent_after) == (
        3,
        Count.RUNS,
        9 * 86400.0,
    )
    normal, perf, slow = (group.thresholds_of(name) for name in ("a", "a perf b", "slow"))
    assert (normal.failures_to_open, normal.passes_to_close, normal.flaky_closes) == (4, 2, True)
    assert (perf.failures_to_open, perf.passes_to_close, perf.flaky_closes) == (5, 2, True)
    assert (slow.failures_to_open, slow.passes_to_close, slow.flaky_closes) == (4, 6, False)


@pytest.mark.parametrize(
    ("key", "group"),
    [
        (JobKey("o/r", "main", "inductor-rocm", "test (a)"), "inductor"),
        (JobKey("o/r2", "main", "inductor", "test (a)"), "default"),
        (JobKey("o/r", "main2", "inductor", "test (a)"), "default"),
        (JobKey("o/r", "main", "an inductor", "test (a)"), "default"),
        (JobKey("o/r", "main", "inductor", "a test (a)"), "default"),
    ],
)
def test_group_matches_in_full(config: Config, key: JobKey, group: str) -> None:
    """A group takes a job when all of its patterns match all of their part of the key."""
    found = group_of(key, policy_of(config).groups)
    assert found.name == group
    assert found.team == ("broken-inductor" if group == "inductor" else "everybody")


def test_known_broken(config: Config) -> None:
    """An exemption holds until the first moment of its date, or for ever without one."""
    dated, endless = policy_of(config).known_broken
    end = datetime(2026, 12, 1, tzinfo=UTC).timestamp()
    s390x = JobKey("o/r", "main", "ci", "build s390x")
    assert dated.reason == "no machine"
    assert dated.until == end
    assert dated.holds(s390x, end - 1)
    assert not dated.holds(s390x, end)
    assert not dated.holds(s390x._replace(job_name="build x86"), end - 1)
    assert endless.until is None
    assert endless.holds(JobKey("o/r", "main", "docs", "html"), end + 1e9)


def test_green_and_limits(config: Config) -> None:
    """What a green commit needs, and the cap on jobs."""
    (patterns,) = policy_of(config).green.values()
    assert list(policy_of(config).green) == [Trunk("o/r", "main")]
    assert [pattern.text for pattern in patterns] == ["pull / .*", "lint / .*"]
    limits = config.limits
    assert (limits.max_jobs, limits.max_label_bytes, limits.max_answer_bytes) == (123, 64, 65_536)
    assert (limits.max_list_pages, limits.max_connections, limits.max_jobs_per_source) == (1, 10, 7)


def test_retention(config: Config) -> None:
    """How long results are kept: a duration, or for ever."""
    assert config.storage.retention.keep == 60 * 86_400
    sources = "sources: [{name: a, type: recorded, path: /a.ndjson}]\n"
    for text in ("forever", "null"):
        kept = parse_config(f"{sources}storage: {{retention: {{keep: {text}}}}}", "t.yml")
        assert kept.storage.retention.keep is None


def test_only_sources_is_required() -> None:
    """With nothing else given: three failures open, one pass closes, P3, team trunk, 8 days."""
    config = parse_config("sources: [{name: a, type: recorded, path: /a.ndjson}]", "trunkwatch.yml")
    policy = policy_of(config)
    group = group_of(JobKey("o/r", "main", "ci", "build"), policy.groups)
    assert (group.name, group.team, group.priority) == ("default", "trunk", "P3")
    assert (group.thresholds.failures_to_open, group.thresholds.passes_to_close) == (3, 1)
    assert (group.failure_threshold, group.count, group.silent_after) == (
        1,
        Count.COMMITS,
        8 * 86400,
    )
    assert policy.naming.resolve("ci", "a (b, 1, 2, c)") == "a (b, 1, 2, c)"
    assert policy.evidence.events == {"push", "schedule", "workflow_dispatch"}
    assert policy.retire_after == 50
    assert policy.evidence.infra_steps == DEFAULT_INFRA_STEPS
    assert config.limits.max_jobs == 50_000
    assert config.storage.retention.keep is None
    assert config.sources[0].poll_interval == 5.0


def test_buildbot_defaults() -> None:
    """A Buildbot source is read once a minute, 100 commits deep, through a fetched clone."""
    text = "sources: [{name: a, type: buildbot, url: 'http://h', repo: r, branches: [b], git: /g}]"
    (source,) = parse_config(text, "trunkwatch.yml").sources
    assert isinstance(source, BuildbotSource)
    assert (source.poll_interval, source.window, source.timeout) == (60.0, 100, 30.0)
    assert (source.git, source.git_fetch, source.builders, source.workflow) == (
        "/g",
        True,
        (),
        None,
    )


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("60s", 60.0),
        ("15m", 900.0),
        ("36h", 129_600.0),
        ("8d", 691_200.0),
        ("1w", 604_800.0),
        ("1h30m", 5400.0),
        ("500ms", 0.5),
        ("5200w", 5200 * 604_800.0),
    ],
)
def test_durations(text: str, seconds: float) -> None:
    """Durations are written as in Prometheus."""
    source = f"{{name: a, type: recorded, path: a, poll_interval: {text}}}"
    assert parse_config(f"sources: [{source}]", "t.yml").sources[0].poll_interval == seconds


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-12-01", "2026-12-01T00:00:00+00:00"),
        ("'2026-12-01'", "2026-12-01T00:00:00+00:00"),
        ("2026-12-01T10:30:00Z", "2026-12-01T10:30:00+00:00"),
        ("2026-12-01T10:30:00+02:00", "2026-12-01T08:30:00+00:00"),
        ("'2026-12-01T10:30:00'", "2026-12-01T10:30:00+00:00"),
    ],
)
def test_ends_of_exemptions(text: str, moment: str) -> None:
    """A date means its first moment in UTC; a time may have a zone, in quotes or without."""
    config = parse_config(
        "sources: [{name: a, type: recorded, path: a}]\n"
        f"known_broken: [{{match: {{}}, reason: r, until: {text}}}]",
        "t.yml",
    )
    assert config.known_broken[0].until == datetime.fromisoformat(moment).timestamp()


def test_paths_start_from_the_configuration_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the program was started does not matter; an absolute path is taken as it is."""
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc" / "t.yml").write_text(
        "sources:\n"
        "  - {name: a, type: recorded, path: results/a.ndjson}\n"
        "  - {name: b, type: recorded, path: /srv/b.ndjson, order: false}\n"
    )
    monkeypatch.chdir(tmp_path)
    paths = [getattr(source, "path", None) for source in load_config("etc/t.yml").sources]
    assert paths == ["etc/results/a.ndjson", "/srv/b.ndjson"]


def test_merge_keys_and_anchors_are_allowed() -> None:
    """YAML's own means against repetition work, and a merged key that is overridden is no
    duplicate.
    """
    text = """
sources:
  - &base {name: a, type: recorded, path: a.ndjson, poll_interval: 7s}
  - {<<: *base, name: b}
"""
    config = parse_config(text, "/t.yml")
    assert [source.name for source in config.sources] == ["a", "b"]
    assert [source.poll_interval for source in config.sources] == [7.0, 7.0]


def test_a_pattern_that_a_later_python_may_read_otherwise_is_silent() -> None:
    """Warnings of the regular expression library are not printed."""
    text = "sources: [{name: a, type: recorded, path: a}]\njobs: {ignore: ['[[]x']}"
    assert parse_config(text, "t.yml").jobs.ignore[0].fullmatch("[x")


def test_two_sources_may_feed_one_trunk_when_one_orders() -> None:
    """Observations unite; `order: true` on one of two sources selects whose commits count."""
    text = """
sources:
  - {name: a, type: buildbot, url: "http://h", repo: r, branches: [b], git: g, order: true}
  - {name: b, type: buildbot, url: "http://i", repo: r, branches: [b], git: g}
  - {name: c, type: buildbot, url: "http://j", repo: r, branches: [b]}
"""
    assert len(parse_config(text, "t.yml").sources) == 3


def test_no_text_of_a_configuration_has_a_secret() -> None:
    """What Python prints of a section, in a traceback or a log, holds no password and no hash."""
    text = """
sources:
  - {name: ci, type: buildbot, url: 'http://u:hunter2@h', repo: o/r, branches: [main], git: x}
  - {name: gh, type: github, api_url: 'http://u:hunter2@h', repo: o/r, branches: [b]}
tickets: {api_url: 'http://u:hunter2@h'}
"""
    hashed = "$2y$04$trunkwatchtrunkwatchtuutHjCKBpwZvmfu1BjvhHWVPjwMs4kfO"
    web = parse_web_config(f"basic_auth_users: {{ann: {hashed}}}".encode(), "web.yml")
    options = TicketOptions("x", None, "", "http://u:hunter2@h", ("http://u:hunter2@h",))
    shown = f"{parse_config(text, 'x.yml')!r} {web!r} {web} {options!r}"
    assert "hunter2" not in shown
    assert hashed not in shown
    assert "ann" in shown


def test_names_of_200_bytes_are_names() -> None:
    """A name that becomes a label may have as many bytes; one more is refused."""
    name, wide = "x" * 200, "é" * 100
    config = parse_config(
        f"sources: [{{name: {name}, type: recorded, path: a}}]\n"
        f"groups: [{{name: {wide}, team: {name}}}]",
        "trunkwatch.yml",
    )
    assert (config.sources[0].name, config.groups[0].name, config.groups[0].team) == (
        name, wide, name,
    )  # fmt: skip
