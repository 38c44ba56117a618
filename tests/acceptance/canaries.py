"""Canaries: credentials of 40 kinds, planted where a watcher meets them, and who looks for them."""

from __future__ import annotations

import base64
import json
import sqlite3
import string
from contextlib import closing
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
)
from cryptography.hazmat.primitives.serialization.pkcs12 import serialize_key_and_certificates

from tests.testbeds.manifests import Manifest, a_pod, an_object
from tests.watchers.signed import b64, signed

if TYPE_CHECKING:
    import random
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

EACH = 25
MARK = "Qz7dWcNry4Tx"
"""In each canary: what does not hold it holds none of them."""
_LETTERS = string.ascii_uppercase + string.ascii_lowercase + string.digits
VALUES: Mapping[str, Callable[[str], str]] = {
    "password": lambda c: c,
    "passphrase": lambda c: f"correct horse {c}",
    "token": lambda c: c,
    "cookie": lambda c: f"session={c}",
    "api-key": lambda c: c,
    "dot.env": lambda c: f"PORT=80\nDB_PASSWORD={c}\n",
    "encrypted.pem": lambda c: _pem("ENCRYPTED PRIVATE KEY", c),
    "rsa.pem": lambda c: _pem("RSA PRIVATE KEY", c),
    "openssh": lambda c: _pem("OPENSSH PRIVATE KEY", c),
    "pgp": lambda c: _pem("PGP PRIVATE KEY BLOCK", c),
    "key.crt": lambda c: _pem("PRIVATE KEY", c),
    "broken.crt": lambda c: _pem("CERTIFICATE", c),
    "garbage.p12": lambda c: f"0\x82{c}",
    "garbage.jks": lambda c: f"\u00fe\u00ed{c}",
    "ca.crt": lambda c: f"{c}\n{signed('root').pem.decode()}# {c}",
    "jwt": lambda c: f"eyJhbGciOiJIUzI1NiJ9.{base64.urlsafe_b64encode(c.encode()).decode()}.{c}",
    "aws": lambda c: f"[default]\naws_secret_access_key = {c}{c}",
    "gcp.json": lambda c: json.dumps({"type": "service_account", "private_key": _pem("KEY", c)}),
    "azure": lambda c: f"clientSecret={c}",
    "github": lambda c: f"ghp_{c}",
    "gitlab": lambda c: f"glpat-{c}",
    "slack": lambda c: f"xoxb-1-{c}",
    "stripe": lambda c: f"sk_live_{c}",
    "npmrc": lambda c: f"//registry/:_authToken=npm_{c}",
    "database-url": lambda c: f"postgres://shop:{c}@db/shop",
    "htpasswd": lambda c: f"shop:$2y$05${c}",
    "kubeconfig": lambda c: json.dumps({"users": [{"name": "u", "user": {"token": c}}]}),
    "netrc": lambda c: f"machine example.com login shop password {c}",
    "ini": lambda c: f"[smtp]\npass={c}",
}
"""Values of one Secret, by the names of their keys."""
VARIABLES: Mapping[str, Callable[[str], str]] = {
    "DB_PASSWORD": lambda c: c,
    "REDIS_URL": lambda c: f"redis://:{c}@redis:6379",
    "GITHUB": lambda c: f"ghp_{c}",
    "ACCESS": lambda c: c,
}
"""Variables of a container."""


class Canaries:
    """What was planted: the canary itself, by kind; and the objects that hold them."""

    def __init__(self, namespace: str, chance: random.Random) -> None:
        self._namespace = namespace
        self._chance = chance
        self.planted: dict[str, list[str]] = {}
        self.objects: list[Manifest] = []
        for number in range(EACH):
            self._secrets(number)
            self.objects.append(self._pod(number))

    def found(self, text: bytes) -> set[str]:
        """Return the kinds of the canaries that are in `text`, plain or in base64."""
        marked = any(form in text for form in _forms(MARK))
        return {
            kind
            for kind, canaries in self.planted.items()
            if marked or MARK not in canaries[0]
            if any(form in text for one in canaries for form in _forms(one))
        }

    def _new(self, kind: str) -> str:
        """Return another canary: random characters, as credentials are, round the mark of all."""
        left, right = ("".join(self._chance.choices(_LETTERS, k=9)) for _ in range(2))
        made = f"{left}{MARK}{right}"
        self.planted.setdefault(kind, []).append(made)
        return made

    def _secrets(self, number: int) -> None:
        values = {name: make(self._new(name)) for name, make in VALUES.items()}
        auth = json.dumps({"auths": {"registry.test": {"password": self._new("docker")}}})
        old = json.dumps({"registry.test": {"password": self._new("dockercfg")}})
        self._secret(f"opaque-{number}", "Opaque", values)
        self._secret(
            f"docker-{number}", "kubernetes.io/dockerconfigjson", {".dockerconfigjson": auth}
        )
        self._secret(f"dockercfg-{number}", "kubernetes.io/dockercfg", {".dockercfg": old})
        self._secret(
            f"basic-{number}",
            "kubernetes.io/basic-auth",
            {"username": "u", "password": self._new("basic")},
        )
        self._secret(
            f"ssh-{number}",
            "kubernetes.io/ssh-auth",
            {"ssh-privatekey": _pem("OPENSSH PRIVATE KEY", self._new("ssh"))},
        )
        self._tls(number)
        self._store(number)

    def _tls(self, number: int) -> None:
        """Plant a real private key in its place, and text about it in the other one."""
        one = signed(f"shop-{number}", 3)
        key = one.key_pem.decode()
        self.planted.setdefault("tls.key", []).append(key.splitlines()[1][8:40])
        mixed = f"{self._new('beside-tls.crt')}\n{key}{one.pem.decode()}"
        annotations = {
            "example.com/initial-password": self._new("annotation"),
            "kubectl.kubernetes.io/last-applied-configuration": self._new("last-applied"),
        }
        values = {"tls.crt": mixed, "tls.key": key}
        self._secret(f"tls-{number}", "kubernetes.io/tls", values, annotations)

    def _store(self, number: int) -> None:
        """Plant a key store, and the passphrase that opens it."""
        one, passphrase = signed(f"store-{number}", 3), self._new("keystore-password").encode()
        raw = serialize_key_and_certificates(
            b"shop", one.key, one.certificate, None, BestAvailableEncryption(passphrase)
        )
        der = one.key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
        self.planted.setdefault("p12", []).append(b64(raw)[600:640])
        self.planted.setdefault("p12-key", []).append(b64(der)[40:80])
        self.objects.append(
            an_object(
                "Secret",
                f"store-{number}",
                self._namespace,
                type="Opaque",
                data={"keystore.p12": b64(raw), "password": b64(passphrase)},
            )
        )

    def _pod(self, number: int) -> Manifest:
        pod = a_pod(f"web-{number}", self._namespace)
        variables = [
            {"name": name, "value": make(self._new(f"env-{name}"))}
            for name, make in VARIABLES.items()
        ]
        container = pod["spec"]["containers"][0]
        container["env"] = variables
        container["args"] = ["--password", self._new("argument")]
        pod["metadata"].setdefault("annotations", {})["example.com/api-token"] = self._new("pod")
        return pod

    def _secret(
        self,
        name: str,
        type_: str,
        values: Mapping[str, str],
        annotations: Mapping[str, str] | None = None,
    ) -> None:
        data = {key: b64(value.encode("latin-1")) for key, value in values.items()}
        self.objects.append(
            an_object(
                "Secret",
                name,
                self._namespace,
                type=type_,
                data=data,
                metadata={"annotations": dict(annotations or {})},
            )
        )


def stored(folder: Path) -> Iterator[tuple[str, bytes]]:
    """Yield (where, content) of each file below `folder`, and of each value of its databases.

    A value that spans pages of a database is not in one piece in the file.
    """
    for file in sorted(path for path in folder.rglob("*") if path.is_file()):
        raw = file.read_bytes()
        yield file.name, raw
        if raw.startswith(b"SQLite format 3"):
            with closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True)) as database:
                yield file.name, b"\n".join(_values(database))


def _values(database: sqlite3.Connection) -> Iterator[bytes]:
    tables = database.execute("select name from sqlite_master where type = 'table'").fetchall()
    for (table,) in tables:
        for row in database.execute(f'select * from "{table}"'):
            for value in row:
                yield value if isinstance(value, bytes) else str(value).encode()


def _forms(canary: str) -> Iterator[bytes]:
    """Yield the canary plain, and what of it is in base64 wherever it begins."""
    yield canary.encode()
    for shift in range(3):
        whole = base64.b64encode(b"\0" * shift + canary.encode())
        yield whole[4:-4]


def _pem(kind: str, text: str) -> str:
    return f"-----BEGIN {kind}-----\n{text}\n-----END {kind}-----\n"
