"""The file of `--web.config.file`, in the format that Prometheus' exporters share.

https://github.com/prometheus/exporter-toolkit/blob/master/docs/web-configuration.md defines it.
Keys of it that are not supported here are errors that name what to do instead.
"""

import ipaddress
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, SecretStr, field_validator, model_validator

from trunkwatch.config.documents import parse_document
from trunkwatch.config.fields import Flag, Location
from trunkwatch.config.section import WebSection
from trunkwatch.errors import ConfigError
from trunkwatch.quoting import quoted
from trunkwatch.textfiles import without_mark

CIPHER_SUITES: Mapping[str, str | None] = MappingProxyType(
    {
        "TLS_AES_128_GCM_SHA256": None,
        "TLS_AES_256_GCM_SHA384": None,
        "TLS_CHACHA20_POLY1305_SHA256": None,
        "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256": "ECDHE-ECDSA-AES128-GCM-SHA256",
        "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384": "ECDHE-ECDSA-AES256-GCM-SHA384",
        "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256": "ECDHE-ECDSA-CHACHA20-POLY1305",
        "TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA": "ECDHE-ECDSA-AES128-SHA",
        "TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA": "ECDHE-ECDSA-AES256-SHA",
        "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256": "ECDHE-RSA-AES128-GCM-SHA256",
        "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384": "ECDHE-RSA-AES256-GCM-SHA384",
        "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256": "ECDHE-RSA-CHACHA20-POLY1305",
        "TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA": "ECDHE-RSA-AES128-SHA",
        "TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA": "ECDHE-RSA-AES256-SHA",
    }
)
"""OpenSSL's name of each suite by Go's; None for those of TLS 1.3, which are always on."""

MAX_COST = 16
"""The highest cost of a bcrypt hash: a check takes about five seconds, a scrape may take ten."""

_HASH = re.compile(r"\$2[aby]\$(\d\d)\$[./A-Za-z0-9]{53}")

_INLINE = "not supported; write it to a file and name that by {}"
_UNSUPPORTED = MappingProxyType(
    {
        "tls_server_config.cert": _INLINE.format("cert_file"),
        "tls_server_config.key": _INLINE.format("key_file"),
        "tls_server_config.client_ca": _INLINE.format("client_ca_file"),
        "tls_server_config.curve_preferences": "not supported; OpenSSL's own order is used",
        "rate_limit": "not supported; connections, headers and bodies are limited"
        " (docs/reliability.md)",
    }
)

AuthType = Literal[
    "NoClientCert", "RequestClientCert", "VerifyClientCertIfGiven", "RequireAndVerifyClientCert"
]
VERIFYING = ("VerifyClientCertIfGiven", "RequireAndVerifyClientCert")


def _cipher_suite(name: str) -> str:
    if name not in CIPHER_SUITES:
        raise ValueError(f"must be one of {', '.join(CIPHER_SUITES)} (got {quoted(name)})")
    return name


def san_of(text: str) -> str:
    """Return a subject alternative name; an IP address in its usual notation."""
    try:
        return str(ipaddress.ip_address(text))
    except ValueError:
        return text


class TlsServerSection(WebSection):
    """TLS and client certificates.

    Attributes:
        cert_file: the certificate of the server, with its chain, as PEM.
        key_file: its key, as PEM without a password.
        client_auth_type: whether clients need a certificate.
        client_ca_file: the authorities of the certificates of clients, as PEM.
        client_allowed_sans: subject alternative names, of which a client must have one.
        min_version: oldest version of TLS.
        max_version: newest version of TLS.
        cipher_suites: suites of TLS 1.2, by Go's names; OpenSSL's when empty.
        prefer_server_cipher_suites: whether the order of the server's suites counts.
    """

    cert_file: Location
    key_file: Location
    client_auth_type: AuthType = "NoClientCert"
    client_ca_file: Location | None = None
    client_allowed_sans: Annotated[
        tuple[Annotated[str, AfterValidator(san_of)], ...] | None, Field(min_length=1)
    ] = None
    min_version: Literal["TLS12", "TLS13"] = "TLS12"
    max_version: Literal["TLS12", "TLS13"] = "TLS13"
    cipher_suites: tuple[Annotated[str, AfterValidator(_cipher_suite)], ...] = ()
    prefer_server_cipher_suites: Flag = True

    @field_validator("client_auth_type", mode="before")
    @classmethod
    def _is_safe(cls, value: Any) -> Any:
        if value in ("RequireAnyClientCert", "RequireClientCert"):
            # Everybody can make such a certificate, with any name in it.
            raise ValueError(
                f"{value} is not supported: it accepts certificates that nobody has signed; use"
                " RequireAndVerifyClientCert"
            )
        return value

    @model_validator(mode="after")
    def _fits(self) -> "TlsServerSection":
        if self.client_auth_type in VERIFYING and self.client_ca_file is None:
            raise ValueError(f"client_auth_type {self.client_auth_type} needs client_ca_file")
        if self.client_ca_file is not None and self.client_auth_type not in VERIFYING:
            raise ValueError(
                f"client_ca_file has no effect with client_auth_type {self.client_auth_type};"
                " use RequireAndVerifyClientCert"
            )
        if self.client_allowed_sans and self.client_auth_type != "RequireAndVerifyClientCert":
            raise ValueError(
                "client_allowed_sans needs client_auth_type RequireAndVerifyClientCert"
            )
        if self.min_version > self.max_version:
            raise ValueError(f"min_version {self.min_version} is above max_version")
        if self.cipher_suites and self.max_version == "TLS12" and not self.ciphers_of_tls12():
            raise ValueError("cipher_suites has none of TLS 1.2, and max_version is TLS12")
        return self

    def ciphers_of_tls12(self) -> list[str]:
        """Return OpenSSL's names of the configured suites of TLS 1.2."""
        return [name for suite in self.cipher_suites if (name := CIPHER_SUITES[suite])]


def _header_value(value: str) -> str:
    if not value.isascii() or not value.isprintable():
        raise ValueError("must be one line of ASCII characters")
    return value.strip()


HeaderValue = Annotated[str, AfterValidator(_header_value)]


class HeadersSection(WebSection):
    """Headers of every answer, instead of Trunkwatch's own; an empty one changes nothing."""

    content_security_policy: Annotated[HeaderValue, Field(alias="Content-Security-Policy")] = ""
    x_frame_options: Annotated[
        Literal["", "deny", "sameorigin"], Field(alias="X-Frame-Options")
    ] = ""
    x_content_type_options: Annotated[
        Literal["", "nosniff"], Field(alias="X-Content-Type-Options")
    ] = ""
    x_xss_protection: Annotated[HeaderValue, Field(alias="X-XSS-Protection")] = ""
    strict_transport_security: Annotated[HeaderValue, Field(alias="Strict-Transport-Security")] = ""

    def items(self) -> Iterator[tuple[str, str]]:
        """Yield the name and the value of each header that is set."""
        for name, value in self.model_dump(by_alias=True).items():
            if value:
                yield name, value


class HttpServerSection(WebSection):
    """HTTP.

    Attributes:
        http2: HTTP/2, which is not supported.
        headers: of every answer.
    """

    http2: Flag = False
    headers: HeadersSection = HeadersSection()

    @field_validator("http2")
    @classmethod
    def _is_off(cls, value: bool) -> bool:
        if value:
            raise ValueError("HTTP/2 is not supported; delete the key, or set it to false")
        return value


def _user(name: str) -> str:
    if ":" in name or not name.isprintable():
        raise ValueError("a user name contains neither a colon nor control characters")
    return name


def _hash(value: SecretStr) -> SecretStr:
    found = _HASH.fullmatch(value.get_secret_value())
    # Do not repeat the value: passwords are put here by mistake.
    if not found:
        raise ValueError("must be a bcrypt hash ($2y$10$…); htpasswd -nBC 10 NAME prints one")
    if not 4 <= int(found[1]) <= MAX_COST:
        raise ValueError(f"the cost of the hash must be 4 to {MAX_COST} (got {int(found[1])})")
    return value


class WebConfig(WebSection):
    """The whole file; every key is optional.

    Attributes:
        tls_server_config: TLS; HTTP without it.
        http_server_config: further settings of HTTP.
        basic_auth_users: bcrypt hashes of passwords by user; everybody may read when empty.
    """

    tls_server_config: TlsServerSection | None = None
    http_server_config: HttpServerSection = HttpServerSection()
    basic_auth_users: Mapping[
        Annotated[str, Field(min_length=1), AfterValidator(_user)],
        Annotated[SecretStr, AfterValidator(_hash)],
    ] = {}


def parse_web_config(content: bytes, path: str) -> WebConfig:
    """Check the content of a web configuration; relative paths in it start from its folder.

    Raises:
        ConfigError: it is not YAML or invalid; lists every problem.
    """
    try:
        text = without_mark(content).decode()
    except UnicodeDecodeError as error:
        raise ConfigError(path, [f"is not UTF-8 ({error.reason})"]) from None
    if not text.strip():
        return WebConfig()
    folder = str(Path(path).parent)
    return parse_document(
        text, path, folder, WebConfig, lambda _document, _config: (), _UNSUPPORTED
    )
