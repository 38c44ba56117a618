"""Handshakes: the certificate that a TLS server shows, and whether a client may believe it."""

import asyncio
import ssl
from dataclasses import dataclass
from typing import Any, Final

_REFUSALS: Final = {
    9: "not-yet-valid",
    10: "expired",
    18: "self-signed",
    19: "unknown-authority",
    20: "unknown-authority",
    21: "unknown-authority",
    23: "revoked",
    62: "hostname",
    64: "hostname",
}
"""Codes of OpenSSL's x509_vfy.h."""


@dataclass(frozen=True, slots=True)
class Server:
    """A TLS server: where it is, the name that it is asked for, and who is believed.

    `trust` is None where it is only asked for its certificate.
    """

    host: str
    port: int
    name: str
    trust: ssl.SSLContext | None = None


@dataclass(frozen=True, slots=True)
class Shown:
    """What one server showed.

    Attributes:
        chain: its certificates in DER, its own first; empty where there is an error.
        error: why there are none, `reason: sentence`.
        refusal: why a client would refuse them, a word; empty where it would not.
        judged: whether a client was asked.
    """

    chain: tuple[bytes, ...] = ()
    error: str = ""
    refusal: str = ""
    judged: bool = False


async def shake(server: Server, limit_s: float) -> Shown:
    """Take the certificates of `server` without believing them, then ask whether to believe them.

    Two connections, each of `limit_s` at most; nothing is sent on them but the handshake.
    """
    try:
        chain = await _chain(server, _UNBELIEVING, limit_s)
    except (OSError, ValueError) as error:
        return Shown(error=_fault(error, limit_s))
    if not chain:
        return Shown(error="malformed: it shows no certificate")
    return Shown(chain) if server.trust is None else await _judged(server, chain, limit_s)


async def _judged(server: Server, chain: tuple[bytes, ...], limit_s: float) -> Shown:
    try:
        await _chain(server, server.trust, limit_s)
    except ssl.SSLCertVerificationError as error:
        return Shown(chain, refusal=_REFUSALS.get(error.verify_code, "other"), judged=True)
    except (OSError, ValueError):
        return Shown(chain)
    return Shown(chain, judged=True)


async def _chain(
    server: Server, context: ssl.SSLContext | None, limit_s: float
) -> tuple[bytes, ...]:
    async with asyncio.timeout(limit_s):
        _, writer = await asyncio.open_connection(
            server.host, server.port, ssl=context, server_hostname=server.name
        )
    try:
        return _certificates(writer.get_extra_info("ssl_object"))
    finally:
        writer.transport.abort()


def _certificates(tls: Any) -> tuple[bytes, ...]:
    """Return the chain as it was shown, in DER."""
    # Python gives the whole chain publicly from 3.13 on; it has it since 3.10.
    chain: Any = getattr(getattr(tls, "_sslobj", None), "get_unverified_chain", tuple)()
    if chain:
        return tuple(ssl.PEM_cert_to_DER_cert(one.public_bytes()) for one in chain)
    own = tls.getpeercert(binary_form=True)
    return (own,) if own else ()


def _context() -> ssl.SSLContext:
    """Return a context that takes any certificate, weak ones too, as it believes none."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.set_ciphers("DEFAULT:@SECLEVEL=0")
    return context


_UNBELIEVING: Final = _context()


def _fault(error: Exception, limit_s: float) -> str:
    if isinstance(error, TimeoutError):
        return f"timeout: no TLS handshake within {limit_s:g} s"
    if isinstance(error, ssl.SSLError):
        return f"malformed: no TLS handshake: {_why(error)}"
    return f"unreachable: {_why(error)}"  # a name that is none is a ValueError


def _why(error: Exception) -> str:
    words = getattr(error, "reason", None) or getattr(error, "strerror", None) or str(error)
    return " ".join(str(words).split())[:200] or type(error).__name__
