"""Certificates of tests, made in a moment: chains, bundles, and Secrets that hold them."""

from __future__ import annotations

import base64
import ipaddress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
)
from cryptography.x509.oid import NameOID

from tests.watchers.sources import NOON

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass(frozen=True)
class Signed:
    """One certificate and its private key."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey

    @property
    def pem(self) -> bytes:
        return self.certificate.public_bytes(Encoding.PEM)

    @property
    def der(self) -> bytes:
        return self.certificate.public_bytes(Encoding.DER)

    @property
    def key_pem(self) -> bytes:
        return self.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def signed(
    name: str = "web",
    days: float = 90,
    *,
    by: Signed | None = None,
    hosts: Sequence[str] = (),
    begin: datetime = NOON,
    authority: bool = False,
) -> Signed:
    """Return a certificate that ends `days` after `begin`, signed by itself or by another one."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(by.certificate.subject if by else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(begin - timedelta(days=1))
        .not_valid_after(begin + timedelta(days=days))
        .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )
    if hosts:
        names = x509.SubjectAlternativeName([_general(host) for host in hosts])
        builder = builder.add_extension(names, critical=False)
    if by:
        issuer = x509.AuthorityKeyIdentifier.from_issuer_public_key(by.key.public_key())
        builder = builder.add_extension(issuer, critical=False)
    return Signed(builder.sign(by.key if by else key, hashes.SHA256()), key)


def now() -> datetime:
    """Return this moment, for certificates that real servers show."""
    return datetime.now(UTC)


def b64(raw: bytes) -> str:
    return base64.b64encode(raw).decode()


def a_secret(
    name: str = "web-tls", kind: str = "kubernetes.io/tls", **data: bytes
) -> dict[str, Any]:
    """Return a Secret as the API server sends it; `tls_crt` stands for the key `tls.crt`."""
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "type": kind,
        "metadata": {
            "name": name,
            "namespace": "shop",
            "uid": f"uid-{name}",
            "resourceVersion": "1",
        },
        "data": {key.replace("_", "."): b64(value) for key, value in data.items()},
    }


def _general(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)
