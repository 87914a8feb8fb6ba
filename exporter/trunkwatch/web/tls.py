"""TLS of a listener: OpenSSL's settings, and the handshake of one connection."""

import asyncio
import ssl
from collections.abc import Callable
from typing import TYPE_CHECKING

from trunkwatch.config.web_config import TlsServerSection, san_of

if TYPE_CHECKING:
    from trunkwatch.web.connection import Connection

HANDSHAKE_SECONDS = 10.0
"""How long a client may take for the handshake."""

_VERSIONS = {"TLS12": ssl.TLSVersion.TLSv1_2, "TLS13": ssl.TLSVersion.TLSv1_3}

_VERIFICATION = {
    "NoClientCert": ssl.CERT_NONE,
    # The server accepts every client then, and nothing depends on the certificate: it is not asked
    # for, since OpenSSL would verify it.
    "RequestClientCert": ssl.CERT_NONE,
    "VerifyClientCertIfGiven": ssl.CERT_OPTIONAL,
    "RequireAndVerifyClientCert": ssl.CERT_REQUIRED,
}


def tls_context(section: TlsServerSection) -> ssl.SSLContext:
    """Return the settings for connections that begin from now on.

    Raises:
        ValueError: a certificate or key cannot be used; the text names the file.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = _VERSIONS[section.min_version]
    context.maximum_version = _VERSIONS[section.max_version]
    # A client could ask for any number of handshakes on one connection.
    context.options |= ssl.OP_NO_RENEGOTIATION
    if section.prefer_server_cipher_suites:
        context.options |= ssl.OP_CIPHER_SERVER_PREFERENCE
    else:
        context.options &= ~ssl.OP_CIPHER_SERVER_PREFERENCE
    if section.cipher_suites:
        ciphers = section.ciphers_of_tls12()
        if ciphers:
            context.set_ciphers(":".join(ciphers))
        else:
            context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.verify_mode = _VERIFICATION[section.client_auth_type]
    try:
        # Without a function OpenSSL would ask for the password of a key at the terminal.
        context.load_cert_chain(section.cert_file, section.key_file, password=lambda: b"")
    except (ssl.SSLError, ValueError, OSError) as error:
        files = f"cert_file {section.cert_file} and key_file {section.key_file}"
        raise ValueError(f"{files} cannot be used ({_why(error)})") from None
    if section.client_ca_file is not None:
        try:
            context.load_verify_locations(section.client_ca_file)
        except (ssl.SSLError, ValueError, OSError) as error:
            text = f"client_ca_file {section.client_ca_file} cannot be used ({_why(error)})"
            raise ValueError(text) from None
    return context


def _why(error: Exception) -> str:
    if isinstance(error, ssl.SSLError):
        reason = (error.reason or "no certificate or key as PEM").replace("_", " ").lower()
        return "they do not belong together" if reason == "key values mismatch" else reason
    return (error.strerror if isinstance(error, OSError) else None) or str(error)


class Handshake(asyncio.Protocol):
    """A connection until its TLS handshake is complete; it counts as an open one.

    Attributes:
        transport: of TCP.
        since: when it was accepted (seconds of the loop's clock).
    """

    transport: asyncio.Transport
    since: float

    def __init__(
        self,
        connection: "Connection",
        context: ssl.SSLContext,
        allowed_sans: tuple[str, ...],
        refused: Callable[[str], None],
    ) -> None:
        """Args:
        connection: the protocol after the handshake.
        context: the settings.
        allowed_sans: names of which the certificate of the client must have one; all if empty.
        refused: called with the reason when the client is refused.
        """
        self._connection = connection
        self._context = context
        self._allowed_sans = allowed_sans
        self._refused = refused
        self._early = bytearray()
        self._has_ended = False
        self._task: asyncio.Task[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin the handshake."""
        assert isinstance(transport, asyncio.Transport)
        self.transport, self.since = transport, self._connection.loop.time()
        transport.pause_reading()
        self._task = self._connection.loop.create_task(self._shake())
        self._connection.admit(self)

    def data_received(self, data: bytes) -> None:
        """Keep what arrives between the end of the handshake and its notice."""
        self._early += data

    def connection_lost(self, exc: Exception | None) -> None:
        """Note that the connection has ended meanwhile."""
        del exc
        self._has_ended = True

    def shutdown(self) -> None:
        """Close at once."""
        self.transport.abort()

    async def _shake(self) -> None:
        try:
            secure = await self._connection.loop.start_tls(
                self.transport,
                self,
                self._context,
                server_side=True,
                ssl_handshake_timeout=HANDSHAKE_SECONDS,
                ssl_shutdown_timeout=HANDSHAKE_SECONDS,
            )
        except (OSError, ssl.CertificateError) as error:
            if self._connection.loop.time() >= self.since + HANDSHAKE_SECONDS:
                self._refused("late_handshake")
            elif isinstance(error, ssl.SSLError):  # else it has only connected, as checks do
                self._refused("tls_handshake")
            return
        finally:
            self._connection.connections.discard(self)
        if secure is None:  # the client closed the connection right after its handshake
            return
        if self._allowed_sans and not _has_san(secure, self._allowed_sans):
            self._refused("client_certificate")
            secure.abort()
        if self._has_ended or secure.is_closing():
            return
        self._connection.connection_made(secure)
        secure.set_protocol(self._connection)
        if self._early:
            self._connection.data_received(bytes(self._early))


def _has_san(transport: asyncio.BaseTransport, allowed: tuple[str, ...]) -> bool:
    """Return whether the certificate of a client has one of some names."""
    certificate = transport.get_extra_info("peercert") or {}
    names = (value for _, value in certificate.get("subjectAltName", ()))
    return any(san_of(name.strip()) in allowed for name in names)
