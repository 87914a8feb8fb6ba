"""docker-compose.yml: valid, pinned, hardened, and consistent with the mounted settings."""

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from trunkwatch.config import load_config

from tests.deploy.files import (
    ALERTMANAGER,
    COMPOSE,
    DEPLOY,
    PROJECT,
    PROMETHEUS,
    PROVISIONING,
    load,
    run,
    switched_on,
)

SERVICES: dict[str, Any] = load(COMPOSE)["services"]

IMAGES = {
    "exporter": "trunkwatch:local",
    "demo": "trunkwatch:local",
    "receiver": "trunkwatch:local",
    "prometheus": "prom/prometheus:v3.13.2",
    "alertmanager": "prom/alertmanager:v0.34.0",
    "grafana": "grafana/grafana:13.2.1",
}

# Users other than root; each owns the folder that its image declares as a volume.
USERS = {
    "exporter": "10001:10001",
    "demo": "10001:10001",
    "receiver": "10001:10001",
    "prometheus": "65534:65534",
    "alertmanager": "65534:65534",
    "grafana": "472:0",
}

each_service = pytest.mark.parametrize("service", sorted(SERVICES))


def default(value: str) -> str:
    """Return the value of `${NAME:-default}` when NAME is not set."""
    return re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", value)


def mounts(service: str) -> dict[str, str]:
    """Return the service's mounts: container path to volume or host path."""
    found = {}
    for mount in SERVICES[service].get("volumes", []):
        if isinstance(mount, str):
            source, target, *_ = mount.split(":")
        else:
            source, target = default(mount["source"]), mount["target"]
        found[target] = source
    return found


def host_paths() -> Iterator[tuple[str, str]]:
    """Yield every (service, path) of a file or folder of the project that is mounted."""
    for service in SERVICES:
        for source in mounts(service).values():
            if source.startswith("."):
                yield service, source


def schema_errors(path: Path) -> str:
    """Return the violations of the published compose schema; empty if there are none."""
    checked = run(
        sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec", path
    )
    return "" if checked.returncode == 0 else checked.stdout + checked.stderr


def test_the_compose_file_follows_the_published_schema() -> None:
    """The compose file is valid against the published schema."""
    assert schema_errors(COMPOSE) == ""


def test_the_compose_file_is_valid_with_everything_switched_on(tmp_path: Path) -> None:
    """The commented-out settings are valid once their `#` is removed; each secret is declared."""
    path = tmp_path / COMPOSE.name
    path.write_text(switched_on(COMPOSE))
    assert schema_errors(path) == ""
    compose = load(path)
    used = {name for entry in compose["services"].values() for name in entry.get("secrets", [])}
    assert used == set(compose["secrets"])
    assert "GF_SECURITY_ADMIN_PASSWORD__FILE" in compose["services"]["grafana"]["environment"]


def test_the_schema_check_can_fail(tmp_path: Path) -> None:
    """A misspelt key is reported."""
    path = tmp_path / COMPOSE.name
    path.write_text(COMPOSE.read_text().replace("healthcheck:", "heathcheck:", 1))
    assert "heathcheck" in schema_errors(path)


def test_every_image_is_pinned() -> None:
    """The images have exactly these versions, and each service with our image builds it."""
    assert {name: entry["image"] for name, entry in SERVICES.items()} == IMAGES
    built = {name for name, entry in SERVICES.items() if "build" in entry}
    assert built == {name for name, image in IMAGES.items() if image == "trunkwatch:local"}


def test_no_service_runs_as_root() -> None:
    """Every service names a numeric user that is not root."""
    assert {name: entry["user"] for name, entry in SERVICES.items()} == USERS


@each_service
def test_every_service_is_hardened(service: str) -> None:
    """Read-only image, no capabilities, no new privileges, bounded memory and processes."""
    entry = SERVICES[service]
    assert entry["read_only"] is True
    assert entry["cap_drop"] == ["ALL"]
    assert entry["security_opt"] == ["no-new-privileges:true"]
    assert entry["memswap_limit"] == entry["mem_limit"] in ("1g", "2g")
    assert entry["pids_limit"] == 256
    assert not {"privileged", "cap_add", "network_mode", "pid", "devices"} & set(entry)


@each_service
def test_every_service_has_a_health_check(service: str) -> None:
    """Each health check runs a program of the image directly; a Python one compiles."""
    kind, *command = SERVICES[service]["healthcheck"]["test"]
    assert kind == "CMD"
    if command[0] == "python":
        assert command[1] == "-c"
        compile(command[2], service, "exec")
    else:
        # busybox' wget, which Prometheus', Alertmanager's and Grafana's images all have.
        assert command[:3] == ["wget", "-qO", "/dev/null"]


@each_service
def test_every_published_port_is_bound_to_loopback(service: str) -> None:
    """No published port is reachable from another machine."""
    for port in SERVICES[service].get("ports", []):
        host, published, inside = port.split(":")
        assert (host, published) == ("127.0.0.1", inside)


def test_the_ports_are_the_documented_ones() -> None:
    """Exporter 10077, runs 10078, Prometheus 9090, Alertmanager 9093, Grafana 3000; no more."""
    published = {name: entry["ports"] for name, entry in SERVICES.items() if "ports" in entry}
    assert published == {
        "exporter": ["127.0.0.1:10077:10077"],
        "demo": ["127.0.0.1:10078:10078"],
        "prometheus": ["127.0.0.1:9090:9090"],
        "alertmanager": ["127.0.0.1:9093:9093"],
        "grafana": ["127.0.0.1:3000:3000"],
    }


@pytest.mark.parametrize(("service", "path"), sorted(set(host_paths())))
def test_every_mounted_path_exists(service: str, path: str) -> None:
    """Every mounted path of the project exists and is read-only in the container."""
    assert (PROJECT / path).exists()
    for mount in SERVICES[service]["volumes"]:
        if isinstance(mount, str):
            assert not mount.startswith(f"{path}:") or mount.endswith(":ro")
        else:
            assert mount["read_only"] is True


def test_every_named_volume_is_declared_and_used() -> None:
    """The declared volumes are exactly those that the services mount."""
    used = {source for name in SERVICES for source in mounts(name).values() if source[0] != "."}
    assert used == set(load(COMPOSE)["volumes"])


def test_the_settings_name_services_that_exist() -> None:
    """Every address in the mounted settings is a service at its port."""
    prometheus = load(PROMETHEUS)
    webhooks = [entry["webhook_configs"][0]["url"] for entry in load(ALERTMANAGER)["receivers"]]
    addresses = {
        prometheus["scrape_configs"][0]["static_configs"][0]["targets"][0],
        prometheus["alerting"]["alertmanagers"][0]["static_configs"][0]["targets"][0],
        urlsplit(
            load(PROVISIONING / "datasources" / "prometheus.yml")["datasources"][0]["url"]
        ).netloc,
        *(urlsplit(url).netloc for url in webhooks),
    }
    assert addresses == {"exporter:10077", "alertmanager:9093", "prometheus:9090", "receiver:9095"}
    assert {place.split(":")[0] for place in addresses} <= set(SERVICES)
    assert "--web.listen-address=0.0.0.0:9095" in SERVICES["receiver"]["entrypoint"]


def test_the_settings_are_mounted_where_the_programs_look() -> None:
    """The paths on the command lines are mounted."""
    flags = {
        name: dict(part.split("=", 1) for part in SERVICES[name]["command"] if "=" in part)
        for name in ("exporter", "prometheus", "alertmanager")
    }
    assert flags["exporter"]["--config.file"] in mounts("exporter")
    assert str(Path(flags["exporter"]["--storage.path"]).parent) in mounts("exporter")
    assert flags["prometheus"]["--config.file"] in mounts("prometheus")
    assert flags["prometheus"]["--storage.tsdb.path"] in mounts("prometheus")
    rules = Path(flags["prometheus"]["--config.file"]).parent / "rules"
    assert mounts("prometheus")[str(rules)] == "./rules"
    assert str(Path(flags["alertmanager"]["--config.file"]).parent) in mounts("alertmanager")
    assert flags["alertmanager"]["--storage.path"] in mounts("alertmanager")


def test_the_incident_is_played_into_the_file_that_is_read() -> None:
    """With the shipped configuration the exporter reads the file that the replay writes."""
    (source,) = load(DEPLOY / "trunkwatch.yml")["sources"]
    entrypoint = SERVICES["demo"]["entrypoint"]
    assert source["type"] == "recorded"
    assert entrypoint[entrypoint.index("--to") + 1] == source["path"]
    folder = str(Path(source["path"]).parent)
    assert mounts("demo")[folder] == mounts("exporter")[folder]


def test_the_addresses_of_the_incident_open() -> None:
    """The pages of its runs and comparisons are where the published port and the settings lead."""
    (source,) = load(DEPLOY / "trunkwatch.yml")["sources"]
    (published,) = SERVICES["demo"]["ports"]
    _, port, inside = published.split(":")
    assert urlsplit(source["compare_url"]).netloc == f"localhost:{port}"
    assert f"--web.listen-address=0.0.0.0:{inside}" in SERVICES["demo"]["entrypoint"]


def test_the_exporter_accepts_the_config_it_starts_with() -> None:
    """The shipped config is valid, and its group is that of the incident."""
    config = load_config(str(DEPLOY / "trunkwatch.yml"))
    (group,) = config.groups
    named = (group.name, group.team, group.priority, group.failures_to_open)
    assert named == ("inductor", "broken-inductor", "P2", 3)


def test_grafana_keeps_the_plugins_of_its_image() -> None:
    """Plugins are not updated: on a read-only image that leaves Grafana without its datasource."""
    environment = SERVICES["grafana"]["environment"]
    assert environment["GF_PLUGINS_PREINSTALL_DISABLED"] == "true"
    assert environment["GF_PLUGINS_PREINSTALL_AUTO_UPDATE"] == "false"


def test_grafana_has_no_default_password() -> None:
    """Anonymous users may view, and there is no account with a guessable password."""
    environment = SERVICES["grafana"]["environment"]
    assert environment["GF_SECURITY_DISABLE_INITIAL_ADMIN_CREATION"] == "true"
    assert environment["GF_AUTH_ANONYMOUS_ORG_ROLE"] == "Viewer"
    assert environment["GF_USERS_ALLOW_SIGN_UP"] == "false"
