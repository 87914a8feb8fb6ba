"""The chart, the plain manifests and the mixin: valid, and the same rules and dashboards."""

import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import _jsonnet
import kubernetes_validate
import pytest
import yaml
from jsonschema import Draft202012Validator
from trunkwatch import __version__
from trunkwatch.assets import asset_path, parse_settings, render_files, write_folder
from trunkwatch.cli.main import main

from rules import build
from tests.deploy.files import ALERTMANAGER, COMPOSE, DEPLOY, PROJECT, load
from tests.support.engines import FOLDER
from tools import docs, manifests

Json = dict[str, Any]
CHART = DEPLOY / "chart"
VALUES = CHART / "ci" / "values.yaml"
RULES = load(PROJECT / "rules" / "trunkwatch.rules.yml")
DASHBOARDS = {
    path.name: json.loads(path.read_text())
    for path in sorted((PROJECT / "dashboards").glob("*.json"))
}
VERSION = manifests.KUBERNETES.rpartition(".")[0]


class Loader(yaml.SafeLoader):
    """A loader for which `=` is a text, as in YAML 1.2."""


Loader.add_constructor("tag:yaml.org,2002:value", lambda _, node: str(node.value))


def objects(text: str) -> list[Json]:
    """Return the objects of a stream of manifests."""
    return [each for each in yaml.load_all(text, Loader) if each]


def plain() -> list[Json]:
    """Return the manifests that `trunkwatch assets` writes, the chart's values left out."""
    files = render_files(parse_settings([]))
    names = [name for name in files if name.startswith("deploy/kubernetes/")]
    return [o for name in names if not name.endswith("values.yaml") for o in objects(files[name])]


@cache
def helm() -> str:
    """Return the path of helm; skip the test where it is missing."""
    found = manifests.find_helm()
    if found is None:
        missing = " ".join(path.read_text() for path in FOLDER.glob("helm-*.missing"))
        pytest.skip(f"no helm: {missing or 'run tools/fetch-engines'}")
    return found


@cache
def charted() -> list[Json]:
    """Return the objects of the chart with everything switched on."""
    return objects(manifests.render(helm(), VALUES))


@cache
def operator_schemas() -> Mapping[tuple[str, str], Json]:
    """Return the operator's schemas by version and kind; skip the test where they are missing."""
    schemas = {}
    for path in FOLDER.glob("crds-*/*.yaml"):
        spec = objects(path.read_text())[0]["spec"]
        for version in spec["versions"]:
            schema = version["schema"]["openAPIV3Schema"]
            schema["properties"]["metadata"] = {"x-kubernetes-preserve-unknown-fields": True}
            close(schema)
            schemas[f"{spec['group']}/{version['name']}", spec["names"]["kind"]] = schema
    if not schemas:
        missing = " ".join(path.read_text() for path in FOLDER.glob("crds-*.missing"))
        pytest.skip(f"no schemas of the operator: {missing or 'run tools/fetch-engines'}")
    return schemas


def close(schema: Any) -> None:
    """Refuse properties that a schema does not list, as the API server drops them."""
    if isinstance(schema, dict):
        keeps = schema.get("x-kubernetes-preserve-unknown-fields")
        if "properties" in schema and not keeps:
            schema.setdefault("additionalProperties", False)
        for each in schema.values():
            close(each)
    elif isinstance(schema, list):
        for each in schema:
            close(each)


def problems(found: Json) -> list[str]:
    """Return the problems of an object by the published schema of its kind."""
    if "monitoring.coreos.com" in found["apiVersion"]:
        schema = operator_schemas()[found["apiVersion"], found["kind"]]
        return [error.message for error in Draft202012Validator(schema).iter_errors(found)]
    try:
        kubernetes_validate.validate(found, VERSION, strict=True)
    except kubernetes_validate.ValidationError as error:
        return [error.message]
    return []


def of_kind(found: list[Json], kind: str) -> list[Json]:
    """Return the objects of a kind."""
    return [each for each in found if each["kind"] == kind]


def test_the_manifests_of_kubernetes_itself_are_valid() -> None:
    """Every plain manifest of a kind of Kubernetes is valid, and a misspelt key is found."""
    own = [each for each in plain() if "coreos" not in each["apiVersion"]]
    assert {each["kind"] for each in own} == {
        "ConfigMap",
        "NetworkPolicy",
        "Service",
        "StatefulSet",
    }
    assert [problem for each in own for problem in problems(each)] == []
    (stateful,) = of_kind(own, "StatefulSet")
    stateful["spec"]["replica"] = 1
    assert "replica" in problems(stateful)[0]


@pytest.mark.slow
def test_the_manifests_have_the_rules_and_the_dashboards() -> None:
    """The PrometheusRule is rules/, and each dashboard has a ConfigMap with the sidecar's label."""
    (rule,) = of_kind(plain(), "PrometheusRule")
    assert rule["spec"] == RULES
    shown = [
        each for each in of_kind(plain(), "ConfigMap") if "dashboard" in each["metadata"]["name"]
    ]
    assert all(each["metadata"]["labels"]["grafana_dashboard"] == "1" for each in shown)
    found = {name: json.loads(text) for each in shown for name, text in each["data"].items()}
    assert found == DASHBOARDS


def test_the_pod_is_that_of_compose() -> None:
    """One replica with compose's command and user, hardened, with a volume and probes."""
    (stateful,) = of_kind(plain(), "StatefulSet")
    compose = load(COMPOSE)["services"]["exporter"]
    pod = stateful["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    assert stateful["spec"]["replicas"] == 1
    assert container["args"] == compose["command"]
    assert container["image"] == f"trunkwatch:{__version__}"
    security = pod["securityContext"]
    assert f"{security['runAsUser']}:{security['runAsGroup']}" == compose["user"]
    assert security["runAsNonRoot"] is True
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert pod["automountServiceAccountToken"] is False
    for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
        assert container[probe]["httpGet"] == {"path": "/-/healthy", "port": "http"}
    (claim,) = stateful["spec"]["volumeClaimTemplates"]
    mounted = {each["name"]: each["mountPath"] for each in container["volumeMounts"]}
    assert mounted[claim["metadata"]["name"]] == "/var/lib/trunkwatch"


def test_the_address_of_the_pages_is_given_to_every_exporter() -> None:
    """Manifests, chart and unit have the address, and every flag of the pod is one of `serve`."""
    url = "https://ci.example.com"
    files = render_files(parse_settings([f"exporter_url={url}"]))
    (stateful,) = of_kind(objects(files["deploy/kubernetes/trunkwatch.yaml"]), "StatefulSet")
    (container,) = stateful["spec"]["template"]["spec"]["containers"]
    flags = {option for each in main.commands["serve"].params for option in each.opts}
    assert {flag.partition("=")[0] for flag in container["args"][1:]} <= flags
    assert f"--web.external-url={url}" in container["args"]
    assert yaml.safe_load(files["deploy/chart/values.yaml"])["externalUrl"] == url
    assert f"--web.external-url={url}\n" in files["deploy/systemd/trunkwatch.service"]


def test_the_version_is_that_of_the_package() -> None:
    """Chart and application have the version of the package."""
    chart = load(CHART / "Chart.yaml")
    assert chart["version"] == chart["appVersion"] == __version__


def test_the_job_of_the_rules_is_that_of_every_scrape() -> None:
    """A selector with another job renames it in Prometheus' settings, chart and manifests."""
    files = render_files(parse_settings(['selector=job="ci",cluster="eu"', 'tickets=job="who"']))
    prometheus = yaml.safe_load(files["deploy/prometheus/prometheus.yml"])
    assert [each["job_name"] for each in prometheus["scrape_configs"]] == ["ci"]
    values = yaml.safe_load(files["deploy/chart/values.yaml"])
    assert (values["serviceMonitor"]["job"], values["tickets"]["job"]) == ("ci", "who")
    (monitor,) = of_kind(objects(files["deploy/kubernetes/trunkwatch.yaml"]), "ServiceMonitor")
    (endpoint,) = monitor["spec"]["endpoints"]
    assert endpoint["relabelings"] == [{"targetLabel": "job", "replacement": "ci"}]
    assert files["deploy/chart/files/trunkwatch.rules.yml"] == files["rules/trunkwatch.rules.yml"]


# ---------------------------------------------------------------------- the chart


@pytest.mark.engines
def test_the_chart_is_valid() -> None:
    """Every object of the chart and every plain manifest is valid by its published schema."""
    kinds = [each["kind"] for each in charted()]
    assert sorted(kinds) == sorted(
        [
            "AlertmanagerConfig", "ConfigMap", *["ConfigMap"] * len(DASHBOARDS), "PrometheusRule",
            *["NetworkPolicy", "Service", "ServiceMonitor", "StatefulSet"] * 2,
        ]
    )  # fmt: skip
    found = {f"{o['kind']}: {problem}" for o in [*charted(), *plain()] for problem in problems(o)}
    assert found == set()


@pytest.mark.engines
def test_the_chart_has_the_rules_and_the_dashboards() -> None:
    """What the chart renders is what rules/ and dashboards/ have."""
    (rule,) = of_kind(charted(), "PrometheusRule")
    assert rule["spec"] == RULES
    maps = of_kind(charted(), "ConfigMap")
    shown = [each for each in maps if "grafana_dashboard" in each["metadata"]["labels"]]
    found = {name: json.loads(text) for each in shown for name, text in each["data"].items()}
    assert found == DASHBOARDS


@pytest.mark.engines
def test_the_plain_manifests_are_those_of_the_chart() -> None:
    """`python -m tools.manifests` would change nothing."""
    helm()
    assert manifests.main(["--check"]) == 0


@pytest.mark.engines
def test_the_chart_routes_as_alertmanagers_file() -> None:
    """The AlertmanagerConfig inhibits as alertmanager.yml does, with the same times of the root."""
    (config,) = of_kind(charted(), "AlertmanagerConfig")
    file = load(ALERTMANAGER)
    inhibitions = [
        {
            "source_matchers": [
                f'{m["name"]}{m["matchType"]}"{m["value"]}"' for m in rule["sourceMatch"]
            ],
            "target_matchers": [
                f'{m["name"]}{m["matchType"]}"{m["value"]}"' for m in rule["targetMatch"]
            ],
            **({"equal": rule["equal"]} if "equal" in rule else {}),
        }
        for rule in config["spec"]["inhibitRules"]
    ]
    assert inhibitions == file["inhibit_rules"]
    route = config["spec"]["route"]
    assert route["groupBy"] == file["route"]["group_by"]
    for ours, theirs in (("groupWait", "group_wait"), ("groupInterval", "group_interval"),
                         ("repeatInterval", "repeat_interval")):  # fmt: skip
        assert route[ours] == file["route"][theirs]


@pytest.mark.engines
def test_the_tickets_are_a_pod_as_safe_as_the_exporter() -> None:
    """The same pod but for its command and files; no selector of one program finds the other."""
    exporter, tickets = (
        next(o for o in of_kind(charted(), "StatefulSet") if o["metadata"]["name"] == name)
        for name in ("trunkwatch", "trunkwatch-tickets")
    )
    both = [each["spec"]["template"]["spec"] for each in (exporter, tickets)]
    ours, theirs = ({k: v for k, v in pod.items() if k not in DIFFERS} for pod in both)
    assert ours == theirs
    containers = [pod["containers"][0] for pod in both]
    ours, theirs = ({k: v for k, v in each.items() if k not in DIFFERS} for each in containers)
    assert ours == theirs
    command, *args = containers[1]["args"]
    given = dict(arg.split("=", 1) for arg in args)
    assert set(given) <= {o for each in main.commands[command].params for o in each.opts}
    mounted = {each["mountPath"] for each in containers[1]["volumeMounts"]}
    files = [path for path in given.values() if path.startswith("/")]
    assert {str(Path(path).parent) for path in files} <= mounted
    labels = tickets["spec"]["template"]["metadata"]["labels"]
    assert not exporter["spec"]["selector"]["matchLabels"].items() <= labels.items()
    found = {o["metadata"]["name"]: o["spec"]["selector"] for o in of_kind(charted(), "Service")}
    assert found["trunkwatch-tickets"] == tickets["spec"]["selector"]["matchLabels"]
    assert given["--exporter.url"] == "http://trunkwatch:10077"
    assert given["--token-file"].endswith("/github_token")


@pytest.mark.engines
def test_the_chart_s_rules_have_the_name_of_its_configuration(tmp_path: Path) -> None:
    """Else tickets and pages would take every alert for one of another Trunkwatch."""
    values, other = tmp_path / "values.yaml", tmp_path / "other.yaml"
    values.write_text("config: {name: staging, sources: [x]}")
    other.write_text("config: {sources: [x]}")
    with pytest.raises(RuntimeError, match=r'config.name is "staging", and the .* rules are of ""'):
        manifests.render(helm(), values)
    values.write_text(values.read_text() + "\nprometheusRule: {enabled: false}")
    manifests.render(helm(), values)
    files = render_files(parse_settings(["name=staging"]))
    write_folder(tmp_path / "assets", files, force=False)
    chart = tmp_path / "assets" / "deploy" / "chart"
    values.write_text("config: {name: staging, sources: [x]}")
    (rule,) = of_kind(objects(manifests.render(helm(), values, chart=chart)), "PrometheusRule")
    assert rule["spec"]["groups"]
    with pytest.raises(RuntimeError, match=r'config.name is "", and the .* rules are of "staging"'):
        manifests.render(helm(), other, chart=chart)


@pytest.mark.engines
def test_the_key_of_the_token_is_named_for_the_server_of_the_issues(tmp_path: Path) -> None:
    """A token of GitLab is not put into a key that is named for GitHub."""
    path = tmp_path / "values.yaml"
    path.write_text(
        "config: {sources: [x], tickets: {type: gitlab}}\ntickets: {enabled: true, secretName: s}"
    )
    assert "--token-file=/run/secrets/trunkwatch/gitlab_token" in manifests.render(helm(), path)


DIFFERS = {"containers", "volumes", "name", "args", "ports", "resources", "volumeMounts"}
"""The parts of a pod in which the two programs differ."""


@pytest.mark.engines
@pytest.mark.parametrize(
    ("values", "missing"),
    [
        ("config: {}", "config.sources"),
        ("config: {sources: [x]}\ntickets: {enabled: true}", "tickets.secretName"),
    ],
)
def test_the_chart_asks_for_the_values_it_needs(tmp_path: Path, values: str, missing: str) -> None:
    """The chart is refused with the key that is missing."""
    path = tmp_path / "values.yaml"
    path.write_text(values)
    with pytest.raises(RuntimeError, match=f"{missing} is required"):
        manifests.render(helm(), path)


# ---------------------------------------------------------------------- the mixin


def mixed(folder: Path, config: Mapping[str, str] | None = None) -> Json:
    """Return what the mixin of a folder gives for a configuration."""
    path = json.dumps(str(folder / "mixin" / "mixin.libsonnet"))
    found: Json = json.loads(
        _jsonnet.evaluate_snippet(
            "test",
            f"local m = (import {path}) + {{ _config+:: {json.dumps(config or {})} }};"
            " { rules: m.prometheusAlerts.groups + m.prometheusRules.groups,"
            " dashboards: m.grafanaDashboards, config: m._config }",
        )
    )
    return found


def test_the_mixin_is_the_rules_and_the_dashboards() -> None:
    """Without a configuration the mixin is what the files have, and its list of them is current."""
    found = mixed(PROJECT)
    assert found["rules"] == RULES["groups"]
    assert found["dashboards"] == DASHBOARDS
    text = (PROJECT / "mixin" / "dashboards.libsonnet").read_text()
    assert docs.render_mixin_dashboards(text) == text


WHICH = build.Which(
    'cluster="%d\\\\",job=~"a|b"', 'job="t"', 'job="c"', "two", "https://ci.example.com/runbooks"
)
KEYS = ("selector", "ticketsSelector", "confirmSelector", "name", "runbooks")
CONFIG = dict(zip(KEYS, WHICH, strict=True))


def test_the_mixin_selects_as_the_generator_does() -> None:
    """With a configuration the mixin is what `rules/build.py` writes for it."""
    assert mixed(PROJECT, CONFIG)["rules"] == yaml.safe_load(build.render(WHICH))["groups"]


@pytest.mark.slow
def test_a_written_mixin_is_that_of_its_folder(tmp_path: Path) -> None:
    """The mixin beside rules for other exporters has their selector, and can be given another."""
    settings = [
        'selector=job="ci"',
        'tickets=job="other"',
        'confirm=job="third"',
        "exporter_url=https://other.example.com",
    ]
    files = render_files(parse_settings(settings))
    for name, text in files.items():
        if name.startswith(("mixin", "rules/trunkwatch", "dashboards")):
            (tmp_path / name).parent.mkdir(exist_ok=True)
            (tmp_path / name).write_text(text)
    rules = yaml.safe_load(files["rules/trunkwatch.rules.yml"])
    assert mixed(tmp_path)["rules"] == rules["groups"]
    assert mixed(tmp_path, CONFIG)["rules"] == yaml.safe_load(build.render(WHICH))["groups"]
    assert asset_path("mixin", "mixin.libsonnet").is_file()
