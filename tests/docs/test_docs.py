"""Flags, keys, metrics and alerts are in the documents, and the documents name no others."""

import itertools
import json
import re
import shlex
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import click
import pytest
import yaml
from click.testing import CliRunner
from jsonschema import Draft202012Validator
from trunkwatch import __version__
from trunkwatch.app.delivery_test import ALERT as TEST_ALERT
from trunkwatch.cli.main import main
from trunkwatch.config import parse_config
from trunkwatch.config.section import WebSection
from trunkwatch.config.sources import RecordedSource
from trunkwatch.config.web_config import HttpServerSection, TlsServerSection, WebConfig
from trunkwatch.confirm.metrics import ConfirmMetrics
from trunkwatch.demo.incident import COMMITS, INCIDENT, sha_of
from trunkwatch.domain.evidence import COMPLETED, DEFAULT_EVENTS, UNFINISHED
from trunkwatch.domain.model import (
    Commit,
    Evidence,
    Observation,
    RawJob,
    Trunk,
    TrunkOrder,
    WorkflowReport,
    WorkflowState,
)
from trunkwatch.domain.outage import Thresholds
from trunkwatch.domain.suspects import ChangedFiles, Span
from trunkwatch.engine.facts import EMPTY_STATE, AddedCommits, Fact
from trunkwatch.engine.snapshot import Snapshot
from trunkwatch.errors import RecordedFileError
from trunkwatch.metrics.catalogue import BY_NAME, FAMILIES, JOB_LABELS, Scope
from trunkwatch.metrics.exposition import Exposition
from trunkwatch.poller.totals import Counters
from trunkwatch.report.schema import schema_text
from trunkwatch.sources import SOURCES, SourceContext
from trunkwatch.sources.recorded import recorded_lines, recorded_source
from trunkwatch.store import MEMORY
from trunkwatch.tickets.metrics import COUNTERS, GAUGES
from trunkwatch.web import WEBHOOK_PREFIX, Pages
from trunkwatch.web.pages import TRUNK_PREFIX
from trunkwatch.web.site import PATHS
from trunkwatch.web.view import View

from tests.docs import markdown
from tests.docs.markdown import PROJECT, name_of, read
from tests.rules.rulebook import RUNBOOKS, alerts, recorded
from tests.support.each import for_each
from tools import docs

README, CHANGELOG = read("README.md"), read("CHANGELOG.md")
CONFIGURATION, POLICY = read("docs/configuration.md"), read("docs/policy.md")
OPERATIONS, RECORDED = read("docs/operations.md"), read("docs/recorded.md")
DOCUMENTS = {name_of(file): file.read_text(encoding="utf-8") for file in markdown.FILES}
COMMANDS: Mapping[str, click.Command] = main.commands

# Names that the walks of CONTRIBUTING.md add, and the product does not have.
EXAMPLES = {"TrunkwatchRefreshSlow", "ci_job_passes_to_close"}

each_document = for_each("name", DOCUMENTS)
each_command = for_each("name", COMMANDS)


def test_the_documents_are_found() -> None:
    """The other tests walk the README, the documents and the runbooks."""
    wanted = {"README.md", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md"}
    wanted |= {f"docs/{name}.md" for name in (
        "configuration", "metrics", "operations", "policy", "recorded",
    )}  # fmt: skip
    assert wanted | {f"rules/runbooks/{alert}.md" for alert in alerts()} <= set(DOCUMENTS)


# ---------------------------------------------------------------------- metrics

SLOW_DOCUMENT = pytest.param(docs.WHY_THREE, marks=pytest.mark.slow)
"""Its command evaluates 20,000 results."""


@pytest.mark.parametrize("path", [*sorted(docs.GENERATED.keys() - {docs.WHY_THREE}), SLOW_DOCUMENT])
def test_what_is_generated_is_what_the_generator_writes(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each generated document, and the list of own alerts, is as `make docs` writes it."""
    monkeypatch.setattr(docs, "GENERATED", {path: docs.GENERATED[path]})
    assert docs.main(["--check"]) == 0


def test_a_changed_table_of_metrics_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """--check names the outdated document; without the flag the document is rewritten."""
    copy = tmp_path / "docs" / "metrics.md"
    copy.parent.mkdir()
    copy.write_text(read("docs/metrics.md").replace("gauge", "gouge"), encoding="utf-8")
    monkeypatch.setattr(docs, "ROOT", tmp_path)
    monkeypatch.setattr(docs, "GENERATED", {copy: docs.render})
    assert docs.main(["--check"]) == 1
    assert capsys.readouterr().err == "docs/metrics.md is outdated: run 'make docs'\n"
    assert docs.main([]) == 0
    assert copy.read_text(encoding="utf-8") == read("docs/metrics.md")


def test_every_family_has_one_row() -> None:
    """The document lists every family of the catalogue once, with its type, and no other."""
    rows = [
        row
        for found in markdown.tables(read("docs/metrics.md"))
        if found[0][:2] == ["family", "type"]
        for row in found[1:]
    ]
    assert [(row[0], row[1]) for row in rows] == [
        (f"`{family.name}`", str(family.kind))
        for scope in docs.HEADINGS
        for family in FAMILIES
        if family.scope is scope
    ]


def test_the_labels_that_j_stands_for_are_named() -> None:
    """The introduction names exactly the labels that every family of jobs has."""
    (convention,) = re.findall(r"\*\*J\*\* stands for.*?: (.*?)\. ", _one_line("docs/metrics.md"))
    assert re.findall(r"`(\w+)`", convention) == list(JOB_LABELS)
    for family in FAMILIES:
        if family.scope is Scope.JOB:
            assert family.labels[: len(JOB_LABELS)] == JOB_LABELS


@each_document
def test_every_metric_that_is_named_exists(name: str) -> None:
    """Every word of the form of a family or a recorded series is the name of one."""
    found = re.findall(r"(?:\w+:)?\b(?:ci_(?:job|group|branch)|trunkwatch)_\w*\w(?::\w+)?",
                       DOCUMENTS[name])  # fmt: skip
    unknown = {word for word in found if not word.endswith("_")} - EXAMPLES
    tickets = {*GAUGES, *(counter.name for counter in COUNTERS.values())}
    confirm = {name for name, *_ in ConfirmMetrics().families()}
    assert unknown <= set(BY_NAME) | recorded() | tickets | confirm


def _one_line(name: str) -> str:
    return " ".join(read(name).split())


# ---------------------------------------------------------------------- configuration


def documented_keys() -> list[docs.Key]:
    """Return the rows of the tables of keys."""
    return [
        docs.Key(row[0].strip("`"), row[1], row[2])
        for found in markdown.tables(CONFIGURATION)
        if found[0] == ["key", "kind", "default", "meaning"]
        for row in found[1:]
    ]


def test_every_key_is_documented_and_every_documented_key_exists() -> None:
    """Each key has one row with the path, kind and default of the schema."""
    assert sorted(documented_keys()) == sorted(docs.config_keys())


def test_every_key_of_the_web_configuration_is_documented() -> None:
    """The table of the web configuration has each key, and no other."""
    sections: dict[str, type[WebSection]] = {
        "tls_server_config": TlsServerSection,
        "http_server_config": HttpServerSection,
    }
    keys = {f"{name}.{key}" for name, each in sections.items() for key in each.model_fields}
    rows = [
        row
        for table in markdown.tables(CONFIGURATION)
        if table[0][0] == "web key"
        for row in table[1:]
    ]
    shown = {key for row in rows for key in re.findall(r"`([^`]+)`", row[0])}
    assert shown == keys | (set(WebConfig.model_fields) - set(sections))


def test_every_key_has_a_meaning() -> None:
    """No row of the tables of keys ends empty."""
    rows = [row for found in markdown.tables(CONFIGURATION) for row in found]
    assert rows
    assert all(row[-1] for row in rows)


def test_every_kind_of_value_is_explained() -> None:
    """The table of kinds explains every word of the column `kind`."""
    explained = {
        word for row in markdown.table(CONFIGURATION, "kind") for word in row[0].split(", ")
    }
    kinds = {key.kind for key in docs.config_keys() if "`" not in key.kind}
    used = {word for kind in kinds for word in kind.split(" or ")}
    assert {re.sub(r"list of (\w+)s$", r"\1", kind) for kind in used} <= explained


def test_every_kind_of_source_has_a_heading() -> None:
    """The sections of source types are those of the registry."""
    found = [h for h in markdown.headings(CONFIGURATION) if h.startswith("`type: ")]
    assert sorted(found) == [f"`type: {name}`" for name in sorted(SOURCES)]


YAML = [
    (name, block.text)
    for name, text in DOCUMENTS.items()
    for block in markdown.blocks(text, "yaml")
    if block.text.startswith("sources:")
]


@pytest.mark.parametrize(("name", "text"), YAML, ids=[f"{n}-{i}" for i, (n, _) in enumerate(YAML)])
def test_every_configuration_shown_is_valid(name: str, text: str) -> None:
    """A configuration in the documents passes the check of the product."""
    assert parse_config(text, name).sources


def test_the_readme_shows_a_configuration_of_ten_lines() -> None:
    """The first configuration of the README has at most ten lines."""
    (text,) = [text for name, text in YAML if name == "README.md"]
    assert len(text.splitlines()) <= 10


def test_the_whole_example_shows_every_section() -> None:
    """The example of the configuration names each section but the limits, and no name."""
    example = yaml.safe_load(markdown.blocks(CONFIGURATION, "yaml")[0].text)
    top = {key.path for key in docs.config_keys() if not re.search(r"\W", key.path)}
    assert set(example) == top - {"limits", "name"}


def test_the_shown_problems_are_the_output_of_check_config(tmp_path: Path) -> None:
    """The transcript at the head of the configuration's document is real."""
    path = tmp_path / "trunkwatch.yml"
    path.write_text("sources:\n  - {name: a, path: b}\ngroup: []\n", encoding="utf-8")
    output = CliRunner().invoke(main, ["check-config", "--config.file", str(path)]).output
    for line in output.replace(str(path), "trunkwatch.yml").splitlines():
        assert f"    {line}\n" in CONFIGURATION


# ---------------------------------------------------------------------- command line


@each_command
def test_every_flag_is_documented_and_every_documented_flag_exists(name: str) -> None:
    """Each command has a section whose table has its flags, with their defaults."""
    shown = markdown.section(OPERATIONS, f"`trunkwatch {name}`")
    assert _documented_flags(shown) == _flags(COMMANDS[name])


def test_the_flags_of_all_commands_are_documented() -> None:
    """The section of the command line begins with the flags before the command."""
    shown = markdown.section(OPERATIONS, "Command line").split("###")[0]
    assert _documented_flags(shown) == {**_flags(main), ("--help", "-h"): None}


def test_every_section_of_a_command_is_of_one_that_exists() -> None:
    """The headings of the form of a command are those of the commands."""
    found = [h for h in markdown.headings(OPERATIONS) if h.startswith("`trunkwatch ")]
    assert sorted(found) == sorted(f"`trunkwatch {name}`" for name in COMMANDS)


def _documented_flags(text: str) -> dict[tuple[str, ...], str | None]:
    return {
        tuple(re.findall(r"`(-[^`]+)`", row[0])): row[1].strip("`") or None
        for row in markdown.table(text, "flag", "default", "meaning")
    }


def _flags(command: click.Command) -> dict[tuple[str, ...], str | None]:
    """Return the names and the default of each option."""
    return {
        tuple(sorted(option.opts, key=len, reverse=True)): _default(option)
        for option in command.params
        if isinstance(option, click.Option) and not option.hidden
    }


def _default(option: click.Option) -> str | None:
    default = option.to_info_dict()["default"]
    if option.multiple and default is not None:
        default = ", ".join(default)
    return None if option.is_flag or default in (None, MEMORY) else str(default)


def shown_commands() -> Iterator[tuple[str, str]]:
    """Yield every command line of the documents, with the document's name."""
    for name, text in DOCUMENTS.items():
        fenced = [block.text for block in markdown.blocks(text) if block.language in ("", "sh")]
        joined = "\n".join(fenced).replace("\\\n", " ").splitlines()
        for line in [*markdown.commands(text), *joined, *markdown.inline_code(text)]:
            yield name, line.strip()


TRUNKWATCH = sorted(
    {
        line.split("trunkwatch ", 1)[1].split("  #")[0].strip()
        for _, line in shown_commands()
        if re.match(r"(?:\S*/)?trunkwatch [a-z-]", line)
    }
)


@for_each("line", TRUNKWATCH)
def test_every_command_line_shown_is_understood(line: str) -> None:
    """The command exists and has every flag of the line."""
    words = shlex.split(line)
    flags = {flag for option in COMMANDS[words[0]].params for flag in option.opts}
    options = itertools.takewhile(lambda word: word != "--", words[1:])
    given = [word.split("=")[0] for word in options if word.startswith("-")]
    assert set(given) <= flags | {"--help"}


def test_command_lines_are_found() -> None:
    """The documents show each command at least once."""
    assert {line.split()[0] for line in TRUNKWATCH} == set(COMMANDS)


def make_targets() -> set[str]:
    """Return the targets of the Makefile."""
    return set(re.findall(r"^([a-z-]+):", read("Makefile"), re.MULTILINE))


def test_every_make_target_shown_exists() -> None:
    """The Makefile has every target that a document shows."""
    shown = {
        match[1]
        for _, line in shown_commands()
        if (match := re.match(r"make ([a-z-]+)", line)) is not None
    }
    assert {"run", "check", "test", "test-all", "docs", "bench", "lint"} <= shown <= make_targets()


def test_every_target_of_make_help_exists() -> None:
    """`make help` lists targets that exist."""
    listed = set(re.findall(r"echo 'make ([a-z-]+)", read("Makefile")))
    assert {"run", "check", "test", "test-all"} <= listed <= make_targets()


def test_every_path_that_is_served_is_documented() -> None:
    """The table of paths has exactly those that the web server answers."""
    rows = markdown.table(OPERATIONS, "path", "what it is")
    shown = {row[0].strip("`") for row in rows}
    snapshot = Snapshot(as_of=0.0)
    exposition = Exposition(lambda: snapshot, Counters().totals, __version__)
    pages = Pages(lambda: View(lambda: snapshot), exposition, lambda: 0.0, __version__)
    trunk = f"{TRUNK_PREFIX}<repo>/<branch>"
    more = {trunk, f"{trunk}/job/<workflow>/<job>", f"{WEBHOOK_PREFIX}<source>"}
    assert shown == {*pages._routes, *PATHS, *more}


# ---------------------------------------------------------------------- policy


def test_the_evidence_table_is_that_of_the_code() -> None:
    """Each conclusion of a CI stands in the row of its evidence."""
    shown: dict[str, Evidence] = {}
    for words, evidence, *_ in markdown.table(POLICY, "CI says", "evidence"):
        for word in re.findall(r"`(\w+)`", words):
            shown[word] = Evidence(re.split(r"[,;]", evidence)[0])
    assert shown == {**COMPLETED, **dict.fromkeys(UNFINISHED, Evidence.PENDING)}


def test_the_policy_names_the_defaults() -> None:
    """Events, N and M are the defaults of the code."""
    text = _one_line("docs/policy.md")
    assert (
        f"N is {Thresholds().failures_to_open} and M is {Thresholds().passes_to_close} unless"
        in text
    )
    events = re.findall(r"`(\w+)`", text.split("`jobs.events`:")[1].split("unless")[0])
    assert set(events) == DEFAULT_EVENTS


def test_references_from_the_code_lead_somewhere() -> None:
    """Every document and every section of the policy that a file names exists."""
    numbers = {heading.split(" ")[0].rstrip(".") for heading in markdown.headings(POLICY)}
    found = 0
    for file in markdown.repository_files():
        if file.suffix not in (".py", ".yml", ".md", ".toml", ".txt") or "docs" in file.parts[-2:]:
            continue
        text = file.read_text(encoding="utf-8")
        for document in re.findall(r"(?<![/\w])docs/\w+\.md", text):
            assert document in DOCUMENTS, f"{name_of(file)} names {document}"
            found += 1
        for number in re.findall(r"[Ss]ection (\d[\d.]*\d|\d) of docs/policy", text):
            assert number in numbers, f"{name_of(file)} names section {number}"
    assert found


def test_the_transcript_of_explain_is_real(tmp_path: Path) -> None:
    """Each line is printed for the demo's incident up to its second failure, in that order."""
    (block,) = markdown.blocks(POLICY, "transcript")
    command, *shown = block.text.splitlines()
    output = demo(tmp_path, 8, *shlex.split(command)[3:]).splitlines()
    place = 0
    for line in shown:
        if line != "[…]":
            assert line in output[place:], line
            place = output.index(line, place) + 1
    assert (shown[0], shown[-1]) == (output[0], output[-1])


def test_the_json_object_has_the_documented_keys(tmp_path: Path) -> None:
    """The keys of the rows are those of the schema, which the object of `check` has."""
    schema = json.loads(schema_text())
    assert {*_schema_paths(schema)} == _documented_paths("key", "what it is")
    exempt = "known_broken: [{match: {}, reason: on purpose, until: 2100-01-01}]"
    for commits in (10, len(COMMITS) - 1):
        found = json.loads(demo(tmp_path, commits, more=exempt, format="json"))
        Draft202012Validator(schema).validate(found)


def test_the_object_of_attempts_has_the_documented_keys() -> None:
    """The keys of the rows are those of its schema, which tests/web compares with the answer."""
    schema = json.loads(read("exporter/trunkwatch/report/attempts.schema.json"))
    assert {*_schema_paths(schema)} == _documented_paths("key of the attempts", "what it is there")


def _documented_paths(*head: str) -> set[str]:
    """Return the paths of keys in the one table of the policy that begins with these columns."""
    rows = markdown.table(POLICY, *head)
    return {path for row in rows for path in re.findall(r"`([^`]+)`", row[0])}


def _schema_paths(schema: Mapping[str, Any], prefix: str = "") -> Iterator[str]:
    """Yield the path of every key that a schema has, those in lists included."""
    for each in (schema, *schema.get("oneOf", ())):
        if "items" in each:
            yield from _schema_paths(each["items"], f"{prefix}[]")
        for key, inside in each.get("properties", {}).items():
            path = f"{prefix}.{key}" if prefix else key
            yield path
            yield from _schema_paths(inside, path)


def demo(folder: Path, commits: int, *job: str, more: str = "", format: str = "") -> str:
    """Return the output of `explain` (of a job) or `check` for the incident's first commits."""
    lines = INCIDENT.read_text(encoding="utf-8").splitlines(keepends=True)
    starts = [number for number, line in enumerate(lines) if '"kind":"commit"' in line]
    (folder / "incident.ndjson").write_text("".join(lines[: starts[commits]]), encoding="utf-8")
    config = INCIDENT.with_name("trunkwatch.yml").read_text(encoding="utf-8")
    (folder / "trunkwatch.yml").write_text(f"{config}\n{more}\n", encoding="utf-8")
    flags = ["--config.file", str(folder / "trunkwatch.yml")]
    flags += ["--format", format] if format else []
    done = CliRunner().invoke(main, ["explain" if job else "check", *flags, *job])
    assert done.exception is None or isinstance(done.exception, SystemExit)
    return done.output


# ---------------------------------------------------------------------- recorded results

SHA = "1" * 40
COMMIT_LINE = {"kind": "commit", "repo": "o/r", "branch": "main", "sha": SHA}
WORKFLOW_LINE = {
    "kind": "workflow", "repo": "o/r", "branch": "main", "workflow_path": "ci.yml",
    "state": "active",
}  # fmt: skip
FILES_LINE = {**COMMIT_LINE, "kind": "files", "files": ["a.py"]}
ORDER_LINE = {"kind": "order", "repo": "o/r", "branch": "main", "complete": True}
RUN_LINE = {**COMMIT_LINE, "kind": "run", "workflow": "ci", "job_name": "t", "status": "queued"}
KEYS = {
    kind: {
        row[0].strip("`"): row[1] == "yes"
        for row in markdown.table(
            markdown.section(RECORDED, f"Keys of {'an' * (kind == 'order') or 'a'} `{kind}` line"),
            "key",
            "required",
        )
    }
    for kind in ("commit", "run", "workflow", "order", "files")
}


def test_every_key_of_a_line_is_documented() -> None:
    """The tables list the keys of a complete line of each kind."""
    trunk = Trunk("o/r", "main")
    order = TrunkOrder(trunk, (Commit(SHA, 1.0, "a", "t"),), older_unread=True)
    full = Observation(
        trunk, SHA, RawJob("ci", "ci.yml", "t"), "completed", "failure", 1, 1, 1, 1, "push",
        "main", "o/r", 1.0, 1.0, 1.0, "u", "s", infra=True,
        annotations=("said",), run_completed=True,
    )  # fmt: skip
    files = {Span(SHA, SHA): ChangedFiles(("a.py",), is_complete=False)}
    for line in recorded_lines(order, [full], {"ci.yml": WorkflowState.DELETED}, files):
        record = json.loads(line)
        if record["kind"] == "workflow":
            record["workflow"] = "instead of the path"
        assert set(record) == set(KEYS[record["kind"]])


@pytest.mark.parametrize(
    ("kind", "key"), [(kind, key) for kind in KEYS for key in KEYS[kind] if key != "kind"]
)
def test_a_key_is_required_as_documented(kind: str, key: str, tmp_path: Path) -> None:
    """A line without a required key is an error; a line with only those is read."""
    lines_of: dict[str, dict[str, object]] = {
        "run": {**RUN_LINE},
        "workflow": {**WORKFLOW_LINE},
        "order": ORDER_LINE,
        "files": {**FILES_LINE},
    }
    least = lines_of.get(kind, {**COMMIT_LINE})
    required = {name for name, required in KEYS[kind].items() if required}
    assert required == set(least) - ({"workflow_path"} if kind == "workflow" else set())
    without = {name: value for name, value in least.items() if name != key}
    if kind == "workflow" and key == "workflow_path":
        without["workflow"] = "ci"
    lines = [json.dumps(COMMIT_LINE)] * (kind != "commit") + [json.dumps(without)]
    if KEYS[kind][key]:
        with pytest.raises(RecordedFileError, match=f"{key} is missing"):
            facts_of(tmp_path, *lines)
    else:
        assert facts_of(tmp_path, *lines)


ERRORS = [
    (row[0].strip("`"), row[1].strip("`"))
    for row in markdown.table(RECORDED, "the line", "message")
]


@pytest.mark.parametrize(("line", "error"), ERRORS)
def test_an_error_is_that_of_the_document(line: str, error: str, tmp_path: Path) -> None:
    """Each invalid line of the table is refused with the error beside it."""
    with pytest.raises(RecordedFileError) as caught:
        facts_of(tmp_path, line)
    assert f"results.ndjson:1: {error}" in str(caught.value)


def test_the_example_of_a_recorded_file_is_read(tmp_path: Path) -> None:
    """The lines at the head of the document are two commits, their two runs and a state."""
    block, _ = markdown.blocks(RECORDED, "json")
    facts = facts_of(tmp_path, *block.text.splitlines())
    (added,) = [fact for fact in facts if isinstance(fact, AddedCommits)]
    rows = [fact for fact in facts if isinstance(fact, Observation)]
    assert [row.sha for row in rows] == [commit.sha for commit in added.order.commits]
    assert [fact.state for fact in facts if isinstance(fact, WorkflowReport)] == ["deleted"]


def facts_of(folder: Path, *lines: str) -> list[Fact]:
    """Read a recorded file of these lines."""
    path = folder / "results.ndjson"
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    config = RecordedSource(name="r", type="recorded", path=str(path))
    refresh = recorded_source(config, SourceContext()).refresh(EMPTY_STATE)
    if refresh.report.error is not None:
        raise refresh.report.error
    return list(refresh.facts)


# ---------------------------------------------------------------------- alerts


def test_every_alert_is_documented_with_its_runbook() -> None:
    """The table of alerts has the alerts of the rules, each with the link to its runbook."""
    rows = markdown.table(OPERATIONS, "alert", "it fires when", "runbook")
    assert {row[0].strip("`"): row[2] for row in rows} == {
        name: f"[{name}](../rules/runbooks/{name}.md)" for name in alerts()
    }


@each_document
def test_every_alert_that_is_named_exists(name: str) -> None:
    """Every word of the form of an alert's name is the name of one."""
    words = re.findall(r"\bTrunk(?:[A-Z]\w*|watch[A-Z]\w*)", DOCUMENTS[name])
    types = {"TrunkOrder"}  # of the domain, in the code that CONTRIBUTING.md shows
    assert set(words) - EXAMPLES - types <= {*alerts(), TEST_ALERT}


def test_the_changelog_names_every_alert() -> None:
    """The changelog names every alert, for those who upgrade."""
    assert [alert for alert in sorted(alerts()) if f"`{alert}`" not in CHANGELOG] == []


def test_runbooks_are_linked_from_the_table() -> None:
    """The table of alerts links every runbook."""
    linked = set(re.findall(r"rules/runbooks/(\w+\.md)", OPERATIONS))
    assert linked == {file.name for file in RUNBOOKS.iterdir()}


# ---------------------------------------------------------------------- the README


@pytest.mark.parametrize("name", ["SECURITY.md", "docs/reliability.md"])
def test_named_tests_exist(name: str) -> None:
    """Every promise names the file of the test that shows it."""
    for table in markdown.tables(DOCUMENTS[name]):
        for row in table[1:]:
            paths = re.findall(r"`(tests/[\w/]+\.py)`", row[-1])
            assert paths, row
            assert all((PROJECT / path).is_file() for path in paths), paths


@each_document
def test_links_lead_somewhere(name: str) -> None:
    """A link within the project names an existing file or folder, and an existing heading."""
    for target in markdown.links(DOCUMENTS[name]):
        if re.match(r"\w+:", target):
            continue
        path, _, anchor = target.partition("#")
        found = (PROJECT / name).parent / path if path else PROJECT / name
        assert found.exists(), target
        if anchor:
            assert anchor in markdown.anchors(found.read_text(encoding="utf-8")), target


def test_the_notification_shown_is_that_of_the_incident() -> None:
    """Hashes, authors and titles of the README's notification are those of the demo."""
    (shown,) = [b.text for b in markdown.blocks(README, "text") if "FIRING" in b.text]
    hashes = {sha_of(number): number for number in range(len(COMMITS))}
    for word in re.findall(r"\b(?=\d*[a-f])[0-9a-f]{10,40}\b", shown):
        assert any(sha.startswith(word) for sha in hashes), word
    for sha, author, title in re.findall(r"([0-9a-f]{10}) (author-\w): (.*)", shown):
        (number,) = [number for full, number in hashes.items() if full.startswith(sha)]
        assert (author, title) == (f"author-{chr(ord('a') + number)}", COMMITS[number].title)
    for word in ("First bad: ", "Last good: ", "Suspects: 2", "Failure_Threshold=1"):
        assert word in shown


def test_the_names_in_the_map_are_where_it_says() -> None:
    """A name beside a file of the map occurs in that file."""
    for _, answer in markdown.table(README, "question", "answer"):
        target = markdown.links(answer)[0]
        for word in re.findall(r"\), `(\w+)`", answer):
            assert re.search(rf"\b{word}\b", read(target)), f"{word} in {target}"


def test_the_requirements_are_those_of_the_package() -> None:
    """The README, the package and the Makefile name the same minimum version of Python."""
    (package,) = re.findall(r'requires-python = ">=([\d.]+)"', read("pyproject.toml"))
    assert f"Python {package} or newer" in README
    assert f"Python {package} or newer" in read("Makefile")


def test_the_changelog_begins_with_this_version() -> None:
    """The newest entry is of the package's version."""
    (newest, *_) = re.findall(r"^## (.*)$", CHANGELOG, re.MULTILINE)
    assert __version__ in newest
