"""X.509: what certificates say of themselves, as data of a `certificate` signal. Pure."""

import contextlib
import threading
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.utils import CryptographyDeprecationWarning
from cryptography.x509.oid import ExtensionOID, NameOID

from watchers.pem import Blocks

MAX_NAMES: Final = 100
MAX_TEXT: Final = 256
"""How many names, and how many characters of a text, are told."""
MAX_ISSUERS: Final = 20
"""How many authorities of one name are tried, as each costs a check of a signature."""
_BAD: Final = (
    ValueError,
    TypeError,
    UnsupportedAlgorithm,
    x509.InvalidVersion,
    x509.DuplicateExtension,
    x509.UnsupportedGeneralNameType,
)
"""What reading a strange certificate, or a part of one, raises."""
_QUIET = threading.Lock()
"""Filters of warnings are of the whole process."""


@dataclass(frozen=True, slots=True)
class Bundle:
    """The certificates of one place, in order, each with dates that can be read."""

    certificates: tuple[x509.Certificate, ...]
    broken: int
    skipped: int

    @property
    def error(self) -> str:
        """What is wrong with it, empty where nothing is."""
        if not self.certificates:
            return f"malformed: none of {self.broken} certificates can be read" * bool(self.broken)
        if self.broken:
            total = self.broken + len(self.certificates)
            return f"malformed: {self.broken} of {total} certificates can not be read"
        if self.skipped:
            return f"too-large: {self.skipped} further certificates are not looked at"
        return ""


def read(blocks: Blocks) -> Bundle:
    """Return the certificates among `blocks`; those that can not be read are counted."""
    good: list[x509.Certificate] = []
    with _quiet():
        for der in blocks.found:
            try:
                one = x509.load_der_x509_certificate(der)
                _dates(one)
            except _BAD:
                continue
            good.append(one)
    broken = blocks.broken + len(blocks.found) - len(good)
    return Bundle(tuple(good), broken, blocks.skipped)


def chain(bundle: Bundle, authorities: Sequence[x509.Certificate] = ()) -> dict[str, Any]:
    """Return what is told of a chain: of its first certificate, with the earliest end of all.

    Args:
        bundle: the certificate that is shown first, then those that prove it.
        authorities: trusted ones beside it; that which issued the last of the chain counts as a
            part of it, the one that is valid longest where there are several.
    """
    told = _told(bundle)
    if not bundle.certificates:
        return told
    links = list(bundle.certificates)
    named = [one for one in authorities if one.subject == links[-1].issuer and one not in links]
    issuers = [one for one in named[:MAX_ISSUERS] if _issued(one, links[-1])]
    links += sorted(issuers, key=lambda one: one.not_valid_after_utc)[-1:]
    return {
        **describe(links[0]),
        "notAfter": rfc3339(min(one.not_valid_after_utc for one in links)),
        "chainLength": len(links),
        **told,
    }


def trusted(bundle: Bundle) -> dict[str, Any]:
    """Return what is told of a bundle of authorities: of the one that is valid longest.

    An old authority stands beside its successor for a while: its end is no trouble.
    """
    told = {"bundle": True, **_told(bundle)}
    if not bundle.certificates:
        return told
    last = max(bundle.certificates, key=lambda one: one.not_valid_after_utc)
    return {**describe(last), "chainLength": len(bundle.certificates), **told}


def describe(one: x509.Certificate) -> dict[str, Any]:
    """Return what one certificate says; a part that can not be read is left out."""
    begin, end = _dates(one)
    found: dict[str, Any] = {
        "notBefore": rfc3339(begin),
        "notAfter": rfc3339(end),
        "lifetime": (end - begin).total_seconds() / 86400,
        "fingerprint": one.fingerprint(hashes.SHA256()).hex(),
    }
    with _quiet():
        for name, part in _PARTS.items():
            try:
                found[name] = part(one)
            except _BAD:
                continue
    return {**found, **_key(one)}


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Let serial numbers of zero pass, which are forbidden, and common."""
    with _QUIET, warnings.catch_warnings():
        warnings.simplefilter("ignore", CryptographyDeprecationWarning)
        yield


def rfc3339(at: datetime) -> str:
    """Return an instant as signals carry it."""
    return at.isoformat().replace("+00:00", "Z")


def _told(bundle: Bundle) -> dict[str, Any]:
    skipped = {"skipped": bundle.skipped} if bundle.skipped else {}
    return {**skipped, **({"error": bundle.error} if bundle.error else {})}


def _dates(one: x509.Certificate) -> tuple[datetime, datetime]:
    return one.not_valid_before_utc, one.not_valid_after_utc


def _common_name(name: x509.Name) -> str:
    common = name.get_attributes_for_oid(NameOID.COMMON_NAME)
    text = common[0].value if common else name.rfc4514_string()
    return (text if isinstance(text, str) else text.hex())[:MAX_TEXT]


def _names(one: x509.Certificate) -> list[str]:
    try:
        found = one.extensions.get_extension_for_oid(ExtensionOID.SUBJECT_ALTERNATIVE_NAME)
    except x509.ExtensionNotFound:
        return []
    return [text[:MAX_TEXT] for text in list(_texts(found.value))[:MAX_NAMES]]


def _texts(names: Any) -> Iterator[str]:
    for name in names:
        if isinstance(name, x509.DNSName | x509.RFC822Name | x509.UniformResourceIdentifier):
            yield name.value
        elif isinstance(name, x509.IPAddress):
            yield str(name.value)


def _key(one: x509.Certificate) -> dict[str, Any]:
    try:
        key = one.public_key()
    except _BAD:
        return {}
    word = type(key).__name__.removesuffix("PublicKey").strip("_")
    algorithm = {"RSA": "rsa", "EllipticCurve": "ecdsa", "EC": "ecdsa", "DSA": "dsa"}
    size = getattr(key, "key_size", None)
    bits = {"keyBits": size} if isinstance(size, int) else {}
    return {"keyAlgorithm": algorithm.get(word, word.lower()), **bits}


def _issued(issuer: x509.Certificate, one: x509.Certificate) -> bool:
    try:
        one.verify_directly_issued_by(issuer)
    except (*_BAD, InvalidSignature):
        return False
    return True


_PARTS: Final[Mapping[str, Callable[[x509.Certificate], Any]]] = {
    "subject": lambda one: _common_name(one.subject),
    "issuer": lambda one: _common_name(one.issuer),
    "names": _names,
    "serial": lambda one: f"{one.serial_number:x}",
    "selfSigned": lambda one: one.subject == one.issuer,
}
