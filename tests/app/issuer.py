"""An issuer of OIDC on this machine, its keys, the tokens it signs, and a policy that knows it."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx
import jwt
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from jwt.algorithms import ECAlgorithm, RSAAlgorithm

from engine.app.sign_in import SignIn
from engine.changes.policy import Policy, load_policy

NOW = datetime(2026, 12, 1, 12, tzinfo=UTC)
AT = int(NOW.timestamp())
PEOPLE = """\
users:
  ada: {email: ada@example.com}
  bo: {subject: "idp|bo"}
groups: {sre: [ada, bo]}
approvers: [{groups: [sre]}]
"""
ALONE = PEOPLE.replace('subject: "idp|bo"', "email: bo@example.com")
RSA = rsa.generate_private_key(65537, 2048)
STRANGER = rsa.generate_private_key(65537, 2048)
CURVE = ec.generate_private_key(ec.SECP256R1())


class Noon:
    """A clock that stands."""

    def now(self) -> datetime:
        return NOW


def public(key: rsa.RSAPrivateKey, kid: str, **fields: Any) -> dict[str, Any]:
    found: dict[str, Any] = RSAAlgorithm.to_jwk(key.public_key(), as_dict=True)
    return {**found, "kid": kid, "use": "sig", "alg": "RS256", **fields}


def curve(kid: str) -> dict[str, Any]:
    found: dict[str, Any] = ECAlgorithm.to_jwk(CURVE.public_key(), as_dict=True)
    return {**found, "kid": kid, "use": "sig"}


@dataclass
class Issuer:
    """A server that publishes `keys`; or answers `status` with `body`."""

    keys: list[dict[str, Any]] = field(default_factory=lambda: [public(RSA, "k1"), curve("k2")])
    status: int = 200
    body: bytes | None = None
    location: str = ""
    port: int = 0
    asked: int = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/keys"

    def answer(self) -> bytes:
        return json.dumps({"keys": self.keys}).encode() if self.body is None else self.body


@contextmanager
def serving() -> Iterator[Issuer]:
    """Serve an issuer on this machine."""
    found = Issuer()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            found.asked += 1
            data = found.answer()
            self.send_response(found.status)
            if found.location:
                self.send_header("Location", found.location)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    found.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield found
    server.shutdown()
    thread.join()
    server.server_close()


def a_policy(url: str, more: str = "") -> Policy:
    oidc = f"issuer: https://idp, audience: dogwatch, jwks_url: {url!r}, loopback: true{more}"
    return load_policy("p.yaml", f"{PEOPLE}oidc: {{{oidc}}}\n")


async def signed_in(policy: Policy | None) -> SignIn:
    """Return a sign-in that has read the keys once."""
    found = SignIn(lambda: policy, Noon())
    async with httpx.AsyncClient(trust_env=False) as http:
        await found.refresh(http)
    return found


def a_token(
    key: Any = RSA, alg: str = "RS256", header: dict[str, Any] | None = None, **claims: Any
) -> str:
    known = {"iss": "https://idp", "aud": "dogwatch", "sub": "idp|bo", "iat": AT, "exp": AT + 300}
    payload = {name: value for name, value in {**known, **claims}.items() if value is not None}
    return jwt.encode(payload, key, alg, headers={"kid": "k1"} if header is None else header)
