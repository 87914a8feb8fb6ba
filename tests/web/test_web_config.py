"""TLS, client certificates and passwords of a listener, with real handshakes."""

import ipaddress
import shutil
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, suppress
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING

import bcrypt
import pytest
import requests
from cryptography import x509
from trunkwatch.config.web_config import WebConfig, parse_web_config
from trunkwatch.errors import ConfigError
from trunkwatch.web import WebServer, WebSettings, login
from trunkwatch.web import server as web_server
from trunkwatch.web import settings as web_settings
from trunkwatch.web import tls as web_tls
from trunkwatch.web.answer import SECURITY_HEADERS
from trunkwatch.web.settings import MAX_FILE_BYTES

from tests.support.certificates import LOOPBACK, Authority
from tests.support.irregular import IRREGULAR
from tests.support.waiting import eventually

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

SECONDS = 30.0
PASSWORD = "hunter2"
HASH = "$2y$04$trunkwatchtrunkwatchtuutHjCKBpwZvmfu1BjvhHWVPjwMs4kfO"
"""Of the password, with the lowest cost: a check takes a millisecond."""
TLS = "tls_server_config: {{cert_file: server.crt, key_file: server.key{}}}\n"
USERS = f"basic_auth_users: {{ann: {HASH}}}\n"
CLIENT_CA = ", client_auth_type: %s, client_ca_file: authority.crt"
REQUIRED = CLIENT_CA % "RequireAndVerifyClientCert"
Pair = tuple[str, str]


def application(environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterator[bytes]:
    """Answer ok, with a header of its own."""
    del environ
    start_response("200 OK", [("Content-Length", "2"), ("X-Frame-Options", "own")])
    yield b"ok"


class Site:
    """A listener with a web configuration.

    Attributes:
        folder: with the web configuration `web.yml` and certificates.
        authority: of the certificates.
        refused: the reasons of refusals.
        reports: whether each change was used.
        port: that is listened on.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.authority = Authority(folder)
        self.authority.issue("server", LOOPBACK)
        self.refused: list[str] = []
        self.reports: list[bool] = []
        self.port = 0

    def configure(self, text: str) -> None:
        """Write the web configuration."""
        (self.folder / "web.yml").write_text(text, encoding="utf-8")

    def client(self, stem: str, *sans: x509.GeneralName) -> Pair:
        """Return the paths of a client's certificate and key."""
        certificate, key = self.authority.issue(stem, *sans)
        return str(certificate), str(key)

    def get(
        self,
        user: str | None = None,
        password: str = PASSWORD,
        *,
        cert: Pair | None = None,
        method: str = "GET",
        path: str = "/",
        scheme: str = "https",
    ) -> requests.Response:
        """Send a request on a connection of its own."""
        return requests.request(
            method,
            f"{scheme}://127.0.0.1:{self.port}{path}",
            auth=None if user is None else (user, password),
            cert=cert,
            verify=str(self.authority.certificate),
            timeout=SECONDS,
        )

    def is_served(self, cert: Pair | None = None) -> bool:
        """Return whether a client is let in."""
        try:
            return self.get(cert=cert).text == "ok"
        except (requests.ConnectionError, OSError):
            return False

    def has_refused(self, *reasons: str) -> None:
        """Assert the reasons of all refusals; the last may be counted after its client knows."""
        eventually(lambda: len(self.refused) >= len(reasons), "the refusals are counted")
        assert self.refused == list(reasons)

    def serial(self) -> int:
        """Return the serial number of the certificate that the server shows."""
        context = ssl.create_default_context(cafile=self.authority.certificate)
        with (
            closing(socket.create_connection(("127.0.0.1", self.port), SECONDS)) as plain,
            context.wrap_socket(plain, server_hostname="127.0.0.1") as secure,
        ):
            shown = secure.getpeercert(binary_form=True)
        assert shown is not None
        return x509.load_der_x509_certificate(shown).serial_number


Serve = Callable[[str], Site]


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Serve]:
    """Return a function that starts a listener with a web configuration."""
    with ExitStack() as stack:

        def served(text: str) -> Site:
            site = Site(tmp_path)
            site.configure(text)
            settings = WebSettings(str(tmp_path / "web.yml"), site.reports.append)
            has_own_secret = lambda environ: environ["PATH_INFO"] == "/webhook/x"  # noqa: E731 — one line reads better
            server = WebServer(
                "127.0.0.1:0", application, "", site.refused.append, settings, has_own_secret
            )
            server.start()
            stack.callback(server.stop)
            site.port = server.port
            return site

        yield served


# ---------------------------------------------------------------------- TLS


def test_tls_is_on(serve: Serve) -> None:
    """A client that trusts the authority reads pages; plain HTTP on the port is refused."""
    site = serve(TLS.format(""))
    assert site.get().text == "ok"
    with pytest.raises(requests.ConnectionError):
        site.get(scheme="http")
    site.has_refused("tls_handshake")


@pytest.mark.parametrize(
    ("more", "version", "cipher"),
    [
        ("", "TLSv1.3", None),
        (", max_version: TLS12", "TLSv1.2", None),
        (
            ", max_version: TLS12, cipher_suites: [TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256]",
            "TLSv1.2",
            "ECDHE-ECDSA-CHACHA20-POLY1305",
        ),
    ],
)
def test_versions_and_suites(serve: Serve, more: str, version: str, cipher: str | None) -> None:
    """The newest allowed version and the configured suite are used."""
    site = serve(TLS.format(more))
    context = ssl.create_default_context(cafile=site.authority.certificate)
    with (
        closing(socket.create_connection(("127.0.0.1", site.port), SECONDS)) as plain,
        context.wrap_socket(plain, server_hostname="127.0.0.1") as secure,
    ):
        used = secure.cipher()
        assert secure.version() == version
        assert used is not None
        assert cipher in (None, used[0])


@pytest.mark.parametrize(
    ("more", "is_new"),
    [
        ("", False),
        (", min_version: TLS13", True),
        (", cipher_suites: [TLS_AES_128_GCM_SHA256]", True),
    ],
)
def test_old_versions_are_refused(serve: Serve, more: str, is_new: bool) -> None:
    """TLS 1.2 is the oldest version by default, and refused where 1.3 is required."""
    site = serve(TLS.format(more))
    context = ssl.create_default_context(cafile=site.authority.certificate)
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    with closing(socket.create_connection(("127.0.0.1", site.port), SECONDS)) as plain:
        if is_new:
            with pytest.raises(ssl.SSLError):
                context.wrap_socket(plain, server_hostname="127.0.0.1")
        else:
            context.wrap_socket(plain, server_hostname="127.0.0.1").close()


@pytest.mark.parametrize(
    ("more", "served"),
    [
        ("", (True, True, True)),
        (", client_auth_type: NoClientCert", (True, True, True)),
        (", client_auth_type: RequestClientCert", (True, True, True)),
        (CLIENT_CA % "VerifyClientCertIfGiven", (True, True, False)),
        (REQUIRED, (False, True, False)),
    ],
)
def test_client_certificates(serve: Serve, more: str, served: tuple[bool, ...]) -> None:
    """Each policy lets in a client without, with a signed, with a strange certificate, or not."""
    site = serve(TLS.format(more))
    strange, key = Authority(site.folder, "strangers").issue("stranger")
    clients = (None, site.client("client"), (str(strange), str(key)))
    assert tuple(map(site.is_served, clients)) == served
    site.has_refused(*["tls_handshake"] * served.count(False))


@pytest.mark.parametrize(
    "san",
    [
        x509.DNSName("prometheus.example"),
        x509.RFC822Name("ops@example.com"),
        x509.UniformResourceIdentifier("spiffe://example/prometheus"),
        x509.IPAddress(ipaddress.ip_address("fd00::1")),
    ],
)
def test_names_of_clients(serve: Serve, san: x509.GeneralName) -> None:
    """Of signed certificates only those with an allowed name are let in."""
    sans = "[prometheus.example, ops@example.com, 'spiffe://example/prometheus', 'FD00:0::1']"
    site = serve(TLS.format(f"{REQUIRED}, client_allowed_sans: {sans}"))
    assert site.is_served(site.client("right", x509.DNSName("other.example"), san))
    assert not site.is_served(site.client("wrong", x509.DNSName("other.example")))
    assert not site.is_served(site.client("nameless"))
    site.has_refused(*["client_certificate"] * 2)


# ---------------------------------------------------------------------- changes


def test_a_new_certificate_is_used(serve: Serve) -> None:
    """A replaced pair is shown by the next connection; half of one keeps the old pair."""
    site = serve(TLS.format(""))
    before = site.serial()
    other = Authority(site.folder, "other")
    certificate, key = other.issue("next", LOOPBACK)
    del other
    site.authority.issue("server2", LOOPBACK)
    shutil.copy(site.folder / "server2.crt", site.folder / "server.crt")
    assert site.serial() == before
    assert site.reports == [False]
    shutil.copy(site.folder / "server2.key", site.folder / "server.key")
    after = site.serial()
    assert after != before
    assert site.reports == [False, True]
    for content in (b"", b"-----BEGIN", key.read_bytes(), certificate.read_bytes()):
        (site.folder / "server.crt").write_bytes(content)
        assert site.serial() == after
    (site.folder / "server.crt").unlink()
    assert site.serial() == after
    assert site.reports[:3] == [False, True, False]
    shutil.copy(site.folder / "server2.crt", site.folder / "server.crt")
    assert site.serial() == after
    assert site.reports[-1]


def test_the_file_itself_is_read_again(serve: Serve) -> None:
    """Users and client certificates change without a restart."""
    site = serve(TLS.format("") + USERS)
    assert site.get("ann").ok
    other = bcrypt.hashpw(b"a-t0ken-of-ours", bcrypt.gensalt(4)).decode()
    site.configure(TLS.format(REQUIRED) + f"basic_auth_users: {{bob: {other}}}\n")
    assert not site.is_served()
    pair = site.client("client")
    assert site.get("ann", cert=pair).status_code == HTTPStatus.UNAUTHORIZED
    assert site.get("bob", "a-t0ken-of-ours", cert=pair).ok


@pytest.mark.parametrize(
    "text",
    ["", "{", TLS.format(""), USERS, TLS.format("") + "basic_auth_users: {}\n", "rate_limit: {}"],
)
def test_protection_stays_on(serve: Serve, text: str) -> None:
    """A file that is empty, half written, or without TLS or users keeps the old settings."""
    site = serve(TLS.format("") + USERS)
    site.configure(text)
    assert site.get().status_code == HTTPStatus.UNAUTHORIZED
    assert site.get("ann").ok
    assert site.reports == [False]


@pytest.mark.parametrize(
    "text",
    [
        'basic_auth_users: {u: "\\U00110000"}',
        f"%YAML 1.{'9' * 5000}\n---\na: b",
        'tls_server_config: {cert_file: "a\\0b", key_file: server.key}',
        'tls_server_config: {cert_file: "\\U00110000", key_file: server.key}',
        "[" * 500,
    ],
)
def test_a_refused_content_is_parsed_once(
    serve: Serve, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, text: str
) -> None:
    """Clients are served meanwhile, and the problem is logged once; a change is parsed again."""
    site = serve(TLS.format("") + USERS)
    parsed: list[bytes] = []

    def counted(content: bytes, path: str) -> WebConfig:
        parsed.append(content)
        return parse_web_config(content, path)

    monkeypatch.setattr(web_settings, "parse_web_config", counted)
    site.configure(text)
    assert [site.get("ann").text for _ in range(3)] == ["ok"] * 3
    assert len(parsed) == 1
    logged = [each for each in caplog.records if each.levelname == "ERROR"]
    assert [each.msg for each in logged] == ["web configuration not usable, the old one stays"]
    assert logged[0].exc_info is None
    site.configure(f"{text} # changed")
    assert site.get("ann").ok
    assert len(parsed) == 2
    site.configure(TLS.format("") + USERS)
    assert site.get("ann").ok
    site.configure(text)
    assert site.get("ann").ok
    assert site.reports == [False, True, False]


def test_an_internal_error_keeps_the_settings(
    serve: Serve, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """An exception that no file should cause refuses no client, and is logged once as such."""
    site = serve(TLS.format("") + USERS)

    def broken(_content: bytes, _path: str) -> WebConfig:
        raise ZeroDivisionError

    monkeypatch.setattr(web_settings, "parse_web_config", broken)
    site.configure(TLS.format("") + USERS + "# changed")
    assert [site.get("ann").text for _ in range(3)] == ["ok"] * 3
    (record,) = [each for each in caplog.records if each.levelname == "ERROR"]
    assert record.msg == "web configuration not usable, the old one stays"
    assert record.exc_info is not None
    assert site.reports == [False]


@pytest.mark.parametrize(
    ("file", "content", "problem"),
    [
        ("web.yml", b'basic_auth_users: {u: "\\U00110000"}', r"line 1, column 26: a number or an"),
        ("web.yml", b'tls_server_config: {cert_file: "a\\0b", key_file: k}', r"cert_file: must be"),
        (
            "web.yml",
            b"basic_auth_users: {ann:pw: x}",
            r"basic_auth_users\.ann:\*\*\*.*: a user name",
        ),
        ("server.crt", b"", r"cert_file \S+ and key_file \S+ cannot be used \(no certificate"),
        ("server.key", b"no key", r"cert_file \S+ and key_file \S+ cannot be used \(no certifi"),
        ("authority.crt", b"x", r"client_ca_file \S+ cannot be used \(no certificate"),
        ("server.key", None, r"tls_server_config\.key_file: \S+ cannot be read \(No such file"),
        ("web.yml", b"\xff", r"web\.yml: is not UTF-8"),
        ("web.yml", b"#" * (MAX_FILE_BYTES + 1), r"web\.yml: cannot be read \(larger than"),
        ("server.crt", b"#" * (MAX_FILE_BYTES + 1), r"cert_file: \S+ cannot be read \(larger than"),
    ],
)
def test_files_that_cannot_be_used(
    tmp_path: Path, file: str, content: bytes | None, problem: str
) -> None:
    """At the start each broken file is an error that names it."""
    site = Site(tmp_path)
    site.configure(TLS.format(REQUIRED))
    path = tmp_path / file
    path.unlink()
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ConfigError, match=problem):
        WebSettings(str(tmp_path / "web.yml"))


@pytest.mark.parametrize("file", ["web.yml", "server.key"])
@pytest.mark.parametrize(("make", "problem"), IRREGULAR.values(), ids=IRREGULAR)
def test_what_is_no_file(
    tmp_path: Path, file: str, make: Callable[[Path], object], problem: str
) -> None:
    """A folder, a FIFO, a socket or a device is an error at the start, and not waited for."""
    Site(tmp_path).configure(TLS.format(""))
    (tmp_path / file).unlink()
    make(tmp_path / file)
    with pytest.raises(ConfigError, match=rf"cannot be read \({problem}\)"):
        WebSettings(str(tmp_path / "web.yml"))


def test_a_key_with_a_password_asks_nobody(tmp_path: Path) -> None:
    """An encrypted key is an error, and the terminal is not asked for its password."""
    site = Site(tmp_path)
    site.configure(TLS.format(""))
    key = "\n".join(["-----BEGIN EC PRIVATE KEY-----", "Proc-Type: 4,ENCRYPTED",
        "DEK-Info: AES-128-CBC,00000000000000000000000000000000", "", "AAAA",
        "-----END EC PRIVATE KEY-----", ""])  # fmt: skip
    (tmp_path / "server.key").write_text(key)
    with pytest.raises(ConfigError, match="cannot be used"):
        WebSettings(str(tmp_path / "web.yml"))


# ---------------------------------------------------------------------- passwords


def test_every_page_needs_a_password(serve: Serve) -> None:
    """Without a right password each path answers 401, and only one with its own secret does not."""
    site = serve(USERS)
    answers = [
        site.get(scheme="http"),
        site.get(scheme="http", path="/-/healthy"),
        site.get("ann", "wrong", scheme="http"),
        site.get("ann", "", scheme="http"),
        site.get("bob", scheme="http"),
        site.get("ann", "wrong", scheme="http", method="POST"),
    ]
    assert [each.status_code for each in answers] == [HTTPStatus.UNAUTHORIZED] * 6
    assert all(each.headers["WWW-Authenticate"].startswith("Basic realm=") for each in answers)
    assert site.get("ann", scheme="http").text == "ok"
    assert site.get(path="/webhook/x", method="POST", scheme="http").text == "ok"
    assert site.refused == ["unauthorized"] * 6


@pytest.mark.parametrize(
    "header", ["Bearer x", "Basic", "Basic !", "Basic YW5u", "Basic " + "é", "basic  ", "Basic\tx"]
)
def test_headers_that_are_none(serve: Serve, header: str) -> None:
    """A header that holds no user and password is answered 401 without a check."""
    site = serve(USERS)
    url = f"http://127.0.0.1:{site.port}/"
    answer = requests.get(url, headers={"Authorization": header.encode()}, timeout=SECONDS)
    assert answer.status_code == HTTPStatus.UNAUTHORIZED


@pytest.fixture
def checks(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """Record the hashes that passwords are compared with."""
    found: list[bytes] = []
    checkpw = bcrypt.checkpw

    def recorded(password: bytes, hashed: bytes) -> bool:
        found.append(hashed)
        return checkpw(password, hashed)

    monkeypatch.setattr(bcrypt, "checkpw", recorded)
    return found


def test_a_right_password_is_checked_once(checks: list[bytes], serve: Serve) -> None:
    """Later requests cost no bcrypt; wrong passwords and unknown users cost one each time."""
    site = serve(USERS)
    for _ in range(3):
        assert site.get("ann", scheme="http").ok
    assert len(checks) == 1
    for user in ("ann", "bob", "bob", "ann"):
        assert not site.get(user, "wrong", scheme="http").ok
    assert not site.get("bob", PASSWORD, scheme="http").ok
    assert checks == [HASH.encode()] * 6
    assert site.get("ann", scheme="http").ok
    assert len(checks) == 6


def test_long_passwords(serve: Serve) -> None:
    """As in other programs, bcrypt uses the first 72 bytes of a password."""
    long = "x" * 100
    hashed = bcrypt.hashpw(long[:72].encode(), bcrypt.gensalt(4)).decode()
    site = serve(f"basic_auth_users: {{ann: {hashed}}}\n")
    assert site.get("ann", long, scheme="http").ok
    assert not site.get("ann", long[:71], scheme="http").ok
    assert not site.get("ann", "x\0y", scheme="http").ok


def test_checks_are_bounded(monkeypatch: pytest.MonkeyPatch, serve: Serve) -> None:
    """Above the limit a login is answered 503; one that was accepted before is served meanwhile."""
    site = serve(USERS)
    assert site.get("ann", scheme="http").ok
    release, begun = threading.Event(), threading.Semaphore(0)

    def slow(password: bytes, hashed: bytes) -> bool:
        del password, hashed
        begun.release()
        release.wait(SECONDS)
        return False

    monkeypatch.setattr(bcrypt, "checkpw", slow)
    statuses: list[int] = []

    def guess() -> None:
        statuses.append(site.get("ann", "wrong", scheme="http").status_code)

    guesses = [threading.Thread(target=guess) for _ in range(login.MAX_CHECKS_PER_CLIENT + 1)]
    for each in guesses:
        each.start()
    for _ in range(login.CHECK_THREADS):
        assert begun.acquire(timeout=SECONDS)
    eventually(lambda: statuses == [503], "one more than the limit is refused")
    assert site.get("ann", scheme="http").ok
    release.set()
    for each in guesses:
        each.join()
    assert sorted(statuses) == [401] * login.MAX_CHECKS_PER_CLIENT + [503]
    assert site.refused.count("too_many_logins") == 1


# ---------------------------------------------------------------------- headers


def test_headers(serve: Serve) -> None:
    """Configured headers replace Trunkwatch's own, on refusals too; the others stay."""
    headers = "{Content-Security-Policy: default-src 'self', X-Frame-Options: deny}"
    site = serve(USERS + f"http_server_config: {{headers: {headers}}}\n")
    names = [name for name, _ in SECURITY_HEADERS]
    for answer in (site.get(scheme="http"), site.get("ann", scheme="http")):
        assert answer.headers["X-Frame-Options"] == "deny"
        assert answer.headers["Content-Security-Policy"] == "default-src 'self'"
        assert all(name in answer.headers for name in names)


# ---------------------------------------------------------------------- clients that hang


def test_a_silent_handshake_is_closed(monkeypatch: pytest.MonkeyPatch, serve: Serve) -> None:
    """A client that sends nothing, or a byte now and then, has a deadline also before TLS."""
    monkeypatch.setattr(web_tls, "HANDSHAKE_SECONDS", 0.3)
    site = serve(TLS.format(""))
    with closing(socket.create_connection(("127.0.0.1", site.port), SECONDS)) as silent:
        begin = time.monotonic()
        with suppress(OSError):
            assert silent.recv(1) == b""
        assert time.monotonic() - begin < SECONDS / 2
    site.has_refused("late_handshake")


@pytest.mark.slow
def test_handshakes_count_as_connections(monkeypatch: pytest.MonkeyPatch, serve: Serve) -> None:
    """Above the limit the oldest silent client goes, and a new one is served."""
    monkeypatch.setattr(web_server, "_max_open", lambda _: 3)
    site = serve(TLS.format(""))
    with ExitStack() as stack:
        silent = [
            stack.enter_context(socket.create_connection(("127.0.0.1", site.port), SECONDS))
            for _ in range(6)
        ]
        assert site.is_served()
        with suppress(OSError):
            assert silent[0].recv(1) == b""
    assert site.refused.count("too_many_connections") == 4
