"""`trunkwatch assets`: the files of the repository, except for the values of `--set`."""

import os
import re
from collections.abc import Mapping
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner
from trunkwatch import __version__
from trunkwatch.assets import parse_settings, render_files, write_folder
from trunkwatch.assets.settings import KEYS, PROMETHEUS_IMAGES
from trunkwatch.cli.main import main
from trunkwatch.config import check_routes, parse_config
from trunkwatch.config.alertmanager import RECEIVER_SUFFIXES, receivers_of
from trunkwatch.errors import UsageError

from tests.deploy.files import COMPOSE, PROJECT, load, run
from tests.docs import markdown
from tests.docs.markdown import read
from tests.support.binaries import find_binary

ALERTMANAGER = "deploy/alertmanager/alertmanager.yml"
ONE_TEAM = "deploy/alertmanager/one-team.yml"
PLAIN = render_files(parse_settings([]))
ODD_TEAMS = (
    'a "quoted" team',
    "it's",
    "C:\\team",
    "naïve/ops",
    "yes",
    "12",
    "#hash: {x}",
    "a" * 200,
)


def rendered(*given: str, prometheus: str = "3", teams: tuple[str, ...] = ()) -> Mapping[str, str]:
    """Return the files for some values of `--set`."""
    return render_files(parse_settings(given, prometheus, teams))


def written(folder: Path, files: Mapping[str, str]) -> Path:
    """Write files into a folder and return it."""
    write_folder(folder, files, force=False)
    return folder


def changed(files: Mapping[str, str]) -> set[str]:
    """Return the files that differ from those without any setting."""
    return {name for name, text in files.items() if text != PLAIN[name]}


def test_without_settings_the_files_are_those_of_the_repository() -> None:
    """Every file is that of the repository, and compose has the image of this version."""
    assert PLAIN["VERSION"] == f"{__version__}\n"
    generated = re.compile(r"VERSION|deploy/kubernetes/(?:rules|dashboard-.*)\.yaml")
    differing = {
        name for name, text in PLAIN.items() if not generated.fullmatch(name) and text != read(name)
    }
    assert differing == {COMPOSE.name}
    images = {entry["image"] for entry in yaml.safe_load(PLAIN[COMPOSE.name])["services"].values()}
    ours = {entry["image"] for entry in load(COMPOSE)["services"].values()}
    assert images == ours - {"trunkwatch:local"} | {f"trunkwatch:{__version__}"}
    assert "build" not in PLAIN[COMPOSE.name]


def test_every_file_of_a_release_is_written() -> None:
    """Rules, dashboards and settings are complete, and compose finds what it mounts."""
    for folder in ("rules", "dashboards", "deploy", "mixin"):
        for path in (PROJECT / folder).rglob("*"):
            name = path.relative_to(PROJECT).as_posix()
            is_source = path.suffix in (".py", ".in", ".pyc", ".lint", "") or "docker/" in name
            is_source = is_source or name.startswith("deploy/chart/ci/")
            assert name in PLAIN or path.is_dir() or is_source, name
    services = yaml.safe_load(PLAIN[COMPOSE.name])["services"].values()
    mounts = [mount for entry in services for mount in entry.get("volumes", [])]
    sources = {m.split(":")[0] for m in mounts if isinstance(m, str) and m.startswith("./")}
    for source in sources:
        assert any(name.startswith(source.removeprefix("./")) for name in PLAIN), source


def test_a_setting_changes_only_what_it_names() -> None:
    """Links are in templates, rules and flags, Prometheus' image in compose, teams in routes."""
    url = "https://trunkwatch.example.com"
    addresses = f"{url}:3000", f"{url}:9093"
    linked = rendered(
        f"exporter_url={url}/", f"grafana_url={addresses[0]}", f"alertmanager_url={addresses[1]}"
    )
    places = [name for name in sorted(changed(linked)) if name.endswith(".tmpl")]
    folder = "deploy/alertmanager"
    assert places == [f"{folder}/places.compose.tmpl", f"{folder}/templates/places.tmpl"]
    for name in places:
        assert tuple(re.findall('address := "(.*?)"', linked[name])) == addresses
    assert f"- --web.external-url={url}\n" in linked[COMPOSE.name]
    assert f"runbook_url: {url}/runbooks/TrunkJobBroken\n" in linked["rules/trunkwatch.rules.yml"]
    assert [name for name, text in linked.items() if "localhost:10077" in text] == []
    other = rendered('selector=job="ci"', 'tickets=job="tickets"', 'confirm=job="confirm"')
    assert [name for name, text in other.items() if re.search(r'job="trunkwatch', text)] == []
    older = rendered(prometheus="2")
    assert changed(older) == {COMPOSE.name}
    assert PROMETHEUS_IMAGES["2"] in older[COMPOSE.name]
    assert PROMETHEUS_IMAGES["3"] not in older[COMPOSE.name]
    assert PROMETHEUS_IMAGES["3"] in PLAIN[COMPOSE.name]
    teams = rendered("team=infra")
    assert changed(teams) == {ALERTMANAGER, ONE_TEAM, "deploy/trunkwatch.yml"}
    assert [name for name, text in teams.items() if "broken-inductor" in text] == []
    named = rendered("name=staging")
    assert {name for name in PLAIN if named.get(name) != PLAIN[name]} == {
        *(name for name in PLAIN if name.startswith("rules/tests/")),
        "rules/trunkwatch.rules.yml",
        "deploy/chart/files/trunkwatch.rules.yml",
        "deploy/kubernetes/rules.yaml",
        "mixin/mixin.libsonnet",
    }


@pytest.mark.parametrize(
    "value",
    [
        *(f"grafana_url=https://ci.example.com/a{each}b" for each in "%$\"'#{}:;&\\ \n"),
        "grafana_url=https://ci.example.com:",
        "grafana_url=https://ci%.example.com",
        "exporter_url=https://ci.example.com/a%20b",
        'selector=job="a\nb"',
    ],
)
def test_a_value_that_a_file_would_read_otherwise_is_refused(value: str) -> None:
    """No value ends a string, is a variable, or is a flag that the exporter refuses."""
    with pytest.raises(UsageError, match=f"^--set {value.partition('=')[0]}="):
        parse_settings([value])


def test_every_address_arrives_as_given() -> None:
    """An address with a port, of IPv6, or below an escaped path is the same in every file."""
    files = rendered("exporter_url=http://[::1]:80", "grafana_url=https://g/a%20b+c~/")
    assert '"https://g/a%20b+c~"' in files["deploy/alertmanager/templates/places.tmpl"]
    flag = "--web.external-url=http://[::1]:80"
    for name in (COMPOSE.name, "deploy/kubernetes/trunkwatch.yaml"):
        (line,) = (line for line in files[name].splitlines() if flag in line)
        assert yaml.safe_load(line) == [flag]
    assert f" {flag}\n" in files["deploy/systemd/trunkwatch.service"]
    assert yaml.safe_load(files["deploy/chart/values.yaml"])["externalUrl"] in flag


@pytest.mark.parametrize(
    ("selector", "job", "warns"),
    [
        ('job="ci"', "ci", False),
        ('job = "ci"', "ci", False),
        ('job="ci",cluster="eu"', "ci", True),
        ('job=~"a|b"', "trunkwatch", True),
        ('cluster="eu"', "trunkwatch", True),
        ('job="a",job="b"', "trunkwatch", True),
        ('job=""', "trunkwatch", True),
        ('old_job="a",job!="b"', "trunkwatch", True),
    ],
)
def test_rules_that_may_not_match_the_scrape_job_are_said(
    tmp_path: Path, selector: str, job: str, warns: bool
) -> None:
    """The scrape job has the selector's name; anything else in the selector is a warning."""
    done = CliRunner().invoke(main, ["assets", str(tmp_path), "--set", f"selector={selector}"])
    assert done.exit_code == 0, done.output
    scraped = load(tmp_path / "deploy" / "prometheus" / "prometheus.yml")["scrape_configs"]
    assert [each["job_name"] for each in scraped] == [job]
    said = f'warning: the rules select {{{selector}}}, and the exporter is scraped as job="{job}"'
    assert (said in done.stderr) == warns == ("warning" in done.output)


def test_every_key_is_documented() -> None:
    """The table of keys has each key of `--set`."""
    section = markdown.section(read("docs/operations.md"), "`trunkwatch assets`")
    shown = markdown.table(section, "key", "default", "meaning")
    assert tuple(row[0].strip("`") for row in shown) == KEYS


@pytest.mark.slow
def test_two_hundred_teams_have_routes(tmp_path: Path) -> None:
    """Each team of a configuration, however it is called, gets its receivers by the naming rule."""
    teams = (*ODD_TEAMS, *(f"team-{number}" for number in range(200)))
    groups = [
        {"name": f"g{n}", "match": {"workflow": f"w{n}"}, "team": team, "priority": f"P{n % 4}"}
        for n, team in enumerate(teams)
    ]
    source = {"name": "r", "type": "recorded", "path": "r"}
    text = yaml.safe_dump({"sources": [source], "groups": groups})
    folder = written(tmp_path / "new", rendered(teams=teams))
    file = folder / ALERTMANAGER
    checked = run(find_binary("amtool"), "check-config", file)
    assert checked.returncode == 0, checked.stderr
    results = check_routes(parse_config(text, "trunkwatch.yml"), str(file))
    for result in results:
        if result.team != "trunk":
            assert result.receivers == (f"{result.team}-{RECEIVER_SUFFIXES[result.priority]}",)
            assert result.named
        assert result.foreign == ()
    names = [receiver["name"] for receiver in load(file)["receivers"]]
    assert len(names) == len(set(names))
    assert {name for team in teams for name in receivers_of(team)} <= set(names)
    for team in ODD_TEAMS[:3]:
        label = team.replace("\\", "\\\\").replace('"', '\\"')
        routed = run(
            find_binary("amtool"), "config", "routes", "test", f"--config.file={file}",
            f"--verify.receivers={team}-page", f'team="{label}"', "priority=P1",
        )  # fmt: skip
        assert routed.returncode == 0, routed.stdout + routed.stderr


def test_a_receiver_of_another_team_is_marked(tmp_path: Path) -> None:
    """A route to a receiver that is named for another team of the configuration is marked."""
    file = tmp_path / "alertmanager.yml"
    file.write_text(
        rendered("team=one", "team=two")[ALERTMANAGER].replace(
            "receiver: two-low", "receiver: one-low"
        ),
        encoding="utf-8",
    )
    groups = "".join(
        f"  - {{name: {team}, match: {{workflow: {team}}}, team: {team}, priority: P1}}\n"
        for team in ("one", "two")
    )
    config = f"sources: [{{name: r, type: recorded, path: r}}]\ngroups:\n{groups}"
    marked = [
        str(each) for each in check_routes(parse_config(config, "x"), str(file)) if each.foreign
    ]
    assert marked == ["team two, P3: one-low (named for another team: one-low)"]


def test_the_snippet_for_one_team_routes_its_alerts(tmp_path: Path) -> None:
    """Fifteen lines in an Alertmanager deliver the team's alerts and the heartbeat."""
    section = markdown.section(read("docs/operations.md"), "Routes of teams")
    (block,) = markdown.blocks(section, "yaml")
    assert len(block.text.splitlines()) == 15
    assert PLAIN[ONE_TEAM].endswith(f"\n\n{block.text}")
    file = tmp_path / "alertmanager.yml"
    file.write_text(block.text, encoding="utf-8")
    for receiver, *labels in (
        ("core-ci", "alertname=TrunkJobBroken", "team=core", "priority=P1"),
        ("core-ci", "alertname=TrunkDataStale", "team=trunk", "priority=P2"),
        ("dead-mans-switch", "alertname=TrunkwatchWatchdog", "team=trunk", "priority=P3"),
    ):
        routed = run(
            find_binary("amtool"), "config", "routes", "test", f"--config.file={file}",
            f"--verify.receivers={receiver}", *labels,
        )  # fmt: skip
        assert routed.returncode == 0, routed.stdout + routed.stderr
    for team in ODD_TEAMS:
        label = team.replace("\\", "\\\\").replace('"', '\\"')
        file.write_text(rendered(f"team={team}")[ONE_TEAM], encoding="utf-8")
        routed = run(
            find_binary("amtool"), "config", "routes", "test", f"--config.file={file}",
            f"--verify.receivers={team}-ci", f'team="{label}"',
        )  # fmt: skip
        assert routed.returncode == 0, routed.stdout + routed.stderr


@pytest.mark.large
@pytest.mark.slow
def test_the_tests_of_the_rules_pass_for_another_selector(tmp_path: Path) -> None:
    """Promtool's tests pass for rules of other exporters, and are left out where they cannot."""
    settings = tuple(
        f'{key}=job="{key}",cluster="eu"' for key in ("selector", "tickets", "confirm")
    )
    folder = written(tmp_path / "new", rendered(*settings))
    # Of a job, and of the exporter; all of them take half a minute.
    tests = [
        folder / "rules" / "tests" / f"{name}.test.yml"
        for name in ("job_broken", "own_state", "confirm")
    ]
    tested = run(find_binary("promtool"), "test", "rules", *tests)
    assert tested.returncode == 0, tested.stdout + tested.stderr
    for without in ("name=staging", 'selector=job=~"a|b"'):
        assert not any(name.startswith("rules/tests/") for name in rendered(without))


# ---------------------------------------------------------------------- the folder


def test_force_replaces_the_files_of_the_release_alone(tmp_path: Path) -> None:
    """Files of the release are replaced, others stay, and nothing else appears."""
    (tmp_path / "mine.txt").write_text("mine")
    (tmp_path / "VERSION").write_text("0.0.1\n")
    flags = ["--set", "name=a", "--prometheus", "2"]
    done = CliRunner().invoke(main, ["assets", "--force", str(tmp_path), *flags])
    assert done.exit_code == 0, done.output
    assert "rules/tests: left out" in done.stderr
    assert (tmp_path / "mine.txt").read_text() == "mine"
    assert (tmp_path / "VERSION").read_text() == f"{__version__}\n"
    expected = {**rendered("name=a", prometheus="2"), "mine.txt": "mine"}
    files = {str(p.relative_to(tmp_path)): p for p in tmp_path.rglob("*") if p.is_file()}
    assert {name: file.read_text() for name, file in files.items()} == expected


def test_nothing_is_left_of_a_write_that_fails(tmp_path: Path) -> None:
    """A file that cannot be written leaves neither files nor the folder."""
    folder = tmp_path / "new"
    with pytest.raises(UsageError, match=str(folder)):
        write_folder(folder, {"a/b.txt": "a", "b" * 300: "b"}, force=False)
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "c.txt" / "kept").mkdir(parents=True)
    (tmp_path / "a.txt").write_text("former")
    with pytest.raises(UsageError, match=r"c\.txt"):
        write_folder(tmp_path, dict.fromkeys(("a.txt", "b/b.txt", "c.txt"), "new"), force=True)
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["a.txt", "c.txt", "kept"]
    assert (tmp_path / "a.txt").read_text() == "former"


def test_written_files_have_the_usual_mode(tmp_path: Path) -> None:
    """Other users may read the files as far as the umask allows."""
    mask = os.umask(0o022)
    try:
        folder = written(tmp_path / "new", {"a/b.txt": "x"})
    finally:
        os.umask(mask)
    assert (folder / "a" / "b.txt").stat().st_mode & 0o777 == 0o644
    assert folder.stat().st_mode & 0o777 == 0o755


@pytest.mark.parametrize(("given", "name"), [((), "staging"), (("--set", "name=lab"), "lab")])
def test_the_rules_have_the_name_in_the_configuration(
    tmp_path: Path, given: tuple[str, ...], name: str
) -> None:
    """`name` of the configuration is the label of the alerts, unless a flag gives another."""
    config = tmp_path / "trunkwatch.yml"
    config.write_text("name: staging\nsources: [{name: a, type: recorded, path: a}]\n")
    folder = tmp_path / "new"
    call = ["assets", str(folder), "--config.file", str(config), *given]
    assert CliRunner().invoke(main, call).exit_code == 0
    rules = yaml.safe_load((folder / "rules/trunkwatch.rules.yml").read_text())
    labels = [rule["labels"] for group in rules["groups"] for rule in group["rules"]]
    assert {each["trunkwatch"] for each in labels} == {name}
