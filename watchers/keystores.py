"""Key stores: the certificates in PKCS#12 and JKS files, without their keys. Pure."""

import struct
from collections.abc import Sequence
from typing import Final

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.hazmat.primitives.serialization.pkcs12 import load_pkcs12
from cryptography.x509 import InvalidVersion

from watchers.der import NotDer, iterations
from watchers.pem import MAX_CERTIFICATES, Blocks

MAX_ROUNDS: Final = 400_000
"""Rounds of key derivation that all tries for one object may take: some 0.1 s."""
_MAGIC: Final = b"\xfe\xed\xfe\xed"
_KEY, _TRUSTED = 1, 2
_SECOND: Final = 2
"""The version of JKS that names the type of each certificate."""


class StoreRefused(Exception):  # noqa: N818 - a fact to act on, not a fault of ours
    """The certificates of a key store can not be had; `reason` is a short stable word."""

    def __init__(self, reason: str, message: str) -> None:
        self.reason = reason
        super().__init__(message)


class Keystores:
    """Opens the key stores of one object with the passphrases that are beside them.

    Args:
        passphrases: tried one after the other for PKCS#12, then none at all. The certificates of
            a JKS file are not encrypted, and its own digest is not checked.
    """

    def __init__(self, passphrases: Sequence[bytes]) -> None:
        self._passphrases = passphrases
        self._left = MAX_ROUNDS

    def open(self, raw: bytes) -> Blocks:
        """Return the certificates in a PKCS#12 or JKS file, that of the private key first.

        Raises:
            StoreRefused: `malformed`, `passphrase` (none of them is right), or `too-large` (a
                further try would take too many rounds of key derivation).
        """
        return _jks(raw) if raw.startswith(_MAGIC) else self._pkcs12(raw)

    def _pkcs12(self, raw: bytes) -> Blocks:
        try:
            rounds = iterations(raw)
        except NotDer as error:
            raise StoreRefused("malformed", f"no PKCS#12: {error}") from error
        for passphrase in (*self._passphrases, None):
            self._spend(rounds)
            try:
                store = load_pkcs12(raw, passphrase)
            except (ValueError, TypeError, UnsupportedAlgorithm, InvalidVersion):
                continue
            held = [one for one in (store.cert, *store.additional_certs) if one is not None]
            ders = [one.certificate.public_bytes(Encoding.DER) for one in held]
            return Blocks(tuple(ders[:MAX_CERTIFICATES]), 0, max(0, len(ders) - MAX_CERTIFICATES))
        raise StoreRefused("passphrase", f"none of {len(self._passphrases)} passphrases opens it")

    def _spend(self, rounds: int) -> None:
        if rounds > self._left:
            said = f"it asks for {rounds} more rounds, of {MAX_ROUNDS} for one object"
            raise StoreRefused("too-large", said)
        self._left -= rounds


def _jks(raw: bytes) -> Blocks:
    try:
        return _Entries(raw).read()
    except (struct.error, UnicodeDecodeError, IndexError) as error:
        raise StoreRefused("malformed", "a JKS file that is cut off") from error


class _Entries:
    """Reads a JKS file from its beginning; see keytool's sun.security.provider.JavaKeyStore."""

    def __init__(self, raw: bytes) -> None:
        self._raw = raw
        self._at = len(_MAGIC)
        self._found: list[bytes] = []
        self._skipped = 0

    def read(self) -> Blocks:
        version, count = self._number(), self._number()
        for _ in range(count):
            tag = self._number()
            self._take(self._short())  # its alias
            self._take(8)  # when it was made
            if tag == _KEY:
                self._take(self._number())  # the encrypted key
                for _ in range(self._number()):
                    self._certificate(version)
            elif tag == _TRUSTED:
                self._certificate(version)
            else:
                raise StoreRefused("malformed", f"a JKS file with an entry of kind {tag}")
        return Blocks(tuple(self._found), 0, self._skipped)

    def _certificate(self, version: int) -> None:
        if version == _SECOND:
            self._take(self._short())  # its type, X.509
        der = self._take(self._number())
        if len(self._found) < MAX_CERTIFICATES:
            self._found.append(der)
        else:
            self._skipped += 1

    def _number(self) -> int:
        return int(struct.unpack(">I", self._take(4))[0])

    def _short(self) -> int:
        return int(struct.unpack(">H", self._take(2))[0])

    def _take(self, size: int) -> bytes:
        taken = self._raw[self._at : self._at + size]
        if len(taken) < size:
            raise IndexError
        self._at += size
        return taken
