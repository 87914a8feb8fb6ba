"""The real program with TLS, client certificates and passwords, scraped by a real Prometheus."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import bcrypt
import pytest
import requests
import yaml
from trunkwatch.demo.stack import HOST, Program, free_port

from tests.cli.program import run_program, serving
from tests.support.binaries import binary_path
from tests.support.certificates import LOOPBACK, Authority
from tests.support.rows import history, write_recorded
from tests.support.waiting import eventually

pytestmark = pytest.mark.live

PASSWORD = "hunter2"
WEB = """
tls_server_config:
  cert_file: server.crt
  key_file: server.key
  client_auth_type: RequireAndVerifyClientCert
  client_ca_file: authority.crt
basic_auth_users: {ann: %s}
"""


@contextmanager
def prometheus(folder: Path, targets: dict[str, int], password: str) -> Iterator[str]:
    """Run Prometheus, which scrapes ports of this machine by TLS; yield its address."""
    (folder / "password").write_text(password)
    scrapes = [
        {
            "job_name": name,
            "scheme": "https",
            "tls_config": {
                "ca_file": str(folder / "authority.crt"),
                "cert_file": str(folder / "client.crt"),
                "key_file": str(folder / "client.key"),
            },
            "basic_auth": {"username": "ann", "password_file": str(folder / "password")},
            "static_configs": [{"targets": [f"127.0.0.1:{port}"]}],
        }
        for name, port in targets.items()
    ]
    config = {"global": {"scrape_interval": "200ms"}, "scrape_configs": scrapes}
    (folder / "prometheus.yml").write_text(yaml.safe_dump(config))
    port = free_port()
    command = [
        binary_path("prometheus"),
        f"--config.file={folder / 'prometheus.yml'}",
        f"--storage.tsdb.path={folder / 'data'}",
        f"--web.listen-address={HOST}:{port}",
    ]
    program = Program("prometheus", command, folder, f"http://{HOST}:{port}/-/ready")
    program.start()
    try:
        program.wait_ready()
        yield f"http://{HOST}:{port}"
    finally:
        program.stop()


def up(url: str, job: str) -> list[str]:
    """Return the value of `up` of a scrape job; none before the first scrape."""
    query = {"query": f'up{{job="{job}"}}'}
    found = requests.get(f"{url}/api/v1/query", params=query, timeout=10).json()["data"]["result"]
    return [each["value"][1] for each in found]


def test_prometheus_scrapes_a_protected_exporter(tmp_path: Path) -> None:
    """Scrapes go on while the certificate is renewed; others are refused on each listener."""
    authority = Authority(tmp_path)
    authority.issue("server", LOOPBACK)
    certificate, key = authority.issue("client")
    hashed = bcrypt.hashpw(PASSWORD.encode(), bcrypt.gensalt(4)).decode()
    (tmp_path / "web.yml").write_text(WEB % hashed)
    write_recorded(tmp_path / "ci.ndjson", history("P F F F"))
    (tmp_path / "trunkwatch.yml").write_text(
        "sources: [{name: ci, type: recorded, path: ci.ndjson}]"
    )
    metrics = free_port()
    flags = (
        "--web.config.file=web.yml",
        f"--web.metrics-listen-address=127.0.0.1:{metrics}",
    )
    with serving(tmp_path, *flags) as served:

        def get(
            port: int, path: str, auth: tuple[str, str] | None = None, *, has_cert: bool = True
        ) -> requests.Response:
            return requests.get(
                f"https://127.0.0.1:{port}{path}",
                auth=auth,
                cert=(str(certificate), str(key)) if has_cert else None,
                verify=str(authority.certificate),
                timeout=30,
            )

        right = ("ann", PASSWORD)
        assert get(served.port, "/-/healthy", right).status_code == 200
        assert get(served.port, "/metrics", right).status_code == 404
        assert get(metrics, "/", right).status_code == 404
        assert {get(port, "/").status_code for port in (served.port, metrics)} == {401}
        with pytest.raises(requests.ConnectionError):
            get(metrics, "/metrics", right, has_cert=False)
        with prometheus(tmp_path, {"trunkwatch": metrics}, PASSWORD) as url:
            eventually(lambda: up(url, "trunkwatch") == ["1"], "scraped")
            authority.issue("renewed", LOOPBACK)
            for suffix in ("crt", "key"):
                shutil.copy(tmp_path / f"renewed.{suffix}", tmp_path / f"server.{suffix}")
            shown = get(metrics, "/metrics", right)
            assert "trunkwatch_web_config_reload_success 1.0" in shown.text
            (tmp_path / "password").write_text("wrong")
            eventually(lambda: up(url, "trunkwatch") == ["0"], "refused")
            (tmp_path / "password").write_text(PASSWORD)
            eventually(lambda: up(url, "trunkwatch") == ["1"], "scraped again")
        assert served.end() == 0
    assert PASSWORD not in "".join(served.log)
    assert hashed not in "".join(served.log)


@pytest.mark.parametrize("listener", ["metrics", "webhook"])
def test_a_listener_has_its_own_web_configuration(tmp_path: Path, listener: str) -> None:
    """It replaces the common one, which the pages keep."""
    hashed = bcrypt.hashpw(PASSWORD.encode(), bcrypt.gensalt(4)).decode()
    (tmp_path / "web.yml").write_text(f"basic_auth_users: {{ann: {hashed}}}\n")
    (tmp_path / "open.yml").write_text("")
    (tmp_path / "trunkwatch.yml").write_text("sources: [{name: ci, type: recorded, path: x}]")
    own = free_port()
    flags = (
        "--web.config.file=web.yml",
        f"--web.{listener}-listen-address=127.0.0.1:{own}",
        f"--web.{listener}-config.file=open.yml",
    )
    with serving(tmp_path, *flags) as served:
        urls = (f"http://127.0.0.1:{port}/" for port in (served.port, own))
        assert [requests.get(url, timeout=30).status_code for url in urls] == [401, 404]


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("tls_server_config: {cert_file: a.crt}", "tls_server_config.key_file: is missing"),
        ("rate_limit: {burst: 1}", "rate_limit: not supported"),
        ("basic_auth_users: {ann: hunter2}", "basic_auth_users.ann: must be a bcrypt hash"),
        ("basic_auth_users: [", "line 1, column 20: "),
        ("basic_auth_users: {ann:hunter2: x}", "basic_auth_users.ann:***"),
        (None, "web.yml: cannot be read (No such file or directory)"),
    ],
)
@pytest.mark.parametrize("command", ["serve", "tickets"])
def test_a_wrong_web_configuration_ends_the_start(
    tmp_path: Path, command: str, text: str | None, error: str
) -> None:
    """Both programs name the file and the key, repeat no value, and end with code 2."""
    (tmp_path / "trunkwatch.yml").write_text("sources: [{name: ci, type: recorded, path: x}]")
    if text is not None:
        (tmp_path / "web.yml").write_text(text)
    flags = ["--web.config.file=web.yml", "--web.listen-address=127.0.0.1:0"]
    flags += ["--dry-run"] if command == "tickets" else []
    done = run_program([command, *flags], tmp_path, code=2)
    assert done.stderr.startswith("trunkwatch: web.yml: ")
    assert error in done.stderr
