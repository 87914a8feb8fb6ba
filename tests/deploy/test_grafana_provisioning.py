"""Grafana's provisioning: its datasource and its dashboards agree with compose and Prometheus."""

from tests.deploy.files import COMPOSE, PROJECT, PROMETHEUS, PROVISIONING, load

GRAFANA = load(COMPOSE)["services"]["grafana"]
DASHBOARDS = "/var/lib/grafana/dashboards"


def test_the_datasource_is_the_one_that_dashboards_name() -> None:
    """There is one datasource: Prometheus, with the uid `prometheus`, the default."""
    (datasource,) = load(PROVISIONING / "datasources" / "prometheus.yml")["datasources"]
    named = {key: datasource[key] for key in ("name", "uid", "type", "isDefault", "url")}
    assert named == {
        "name": "Prometheus",
        "uid": "prometheus",
        "type": "prometheus",
        "isDefault": True,
        "url": "http://prometheus:9090",
    }


def test_the_datasource_knows_the_scrape_interval() -> None:
    """`$__rate_interval` is computed from the interval at which Prometheus really scrapes."""
    (datasource,) = load(PROVISIONING / "datasources" / "prometheus.yml")["datasources"]
    interval = load(PROMETHEUS)["global"]["scrape_interval"]
    assert datasource["jsonData"]["timeInterval"] == interval


def test_dashboards_are_the_files_of_the_project() -> None:
    """Grafana reads the folder to which compose mounts dashboards/, and refuses edits in the UI."""
    (provider,) = load(PROVISIONING / "dashboards" / "trunkwatch.yml")["providers"]
    assert provider["options"]["path"] == DASHBOARDS
    assert provider["allowUiUpdates"] is False
    assert f"./dashboards:{DASHBOARDS}:ro" in GRAFANA["volumes"]


def test_both_provisioning_folders_are_mounted() -> None:
    """Each folder under provisioning/ is mounted where Grafana reads it."""
    for folder in PROVISIONING.iterdir():
        source = f"./{folder.relative_to(PROJECT)}"
        assert f"{source}:/etc/grafana/provisioning/{folder.name}:ro" in GRAFANA["volumes"]


def test_the_home_page_is_the_dashboard_trunk() -> None:
    """Grafana opens the dashboard *Trunk* first."""
    home = GRAFANA["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"]
    assert home == f"{DASHBOARDS}/trunk.json"
    assert (PROJECT / "dashboards" / "trunk.json").is_file()
