"""Certificates of an authority that a test makes."""

import ipaddress
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

PEM = serialization.Encoding.PEM


class Authority:
    """A certificate authority.

    Attributes:
        certificate: path of its own certificate.
    """

    def __init__(self, folder: Path, name: str = "authority") -> None:
        self._folder = folder
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = _name(name)
        self.certificate = folder / f"{name}.crt"
        own = self._built(self._name, self._key, [x509.BasicConstraints(ca=True, path_length=None)])
        self.certificate.write_bytes(own.public_bytes(PEM))

    def issue(self, stem: str, *sans: x509.GeneralName) -> tuple[Path, Path]:
        """Write a certificate and its key; return their paths."""
        key = ec.generate_private_key(ec.SECP256R1())
        more = [x509.SubjectAlternativeName(sans)] if sans else []
        certificate = self._built(_name(stem), key, more)
        paths = self._folder / f"{stem}.crt", self._folder / f"{stem}.key"
        paths[0].write_bytes(certificate.public_bytes(PEM))
        plain = serialization.NoEncryption()
        paths[1].write_bytes(
            key.private_bytes(PEM, serialization.PrivateFormat.TraditionalOpenSSL, plain)
        )
        return paths

    def _built(
        self,
        subject: x509.Name,
        key: ec.EllipticCurvePrivateKey,
        more: Sequence[x509.ExtensionType],
    ) -> x509.Certificate:
        now = datetime.now(UTC)
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(hours=1))
            .not_valid_after(now + timedelta(days=1))
        )
        for extension in more:
            builder = builder.add_extension(extension, critical=False)
        return builder.sign(self._key, hashes.SHA256())


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


LOOPBACK = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
"""The name of a server in tests."""
