"""Certified objects: what of an object may leave the reader, its certificates and their place.

Each view is the `view` of a Part: it gets an object as the server sent it, and returns instead of
it what is public. Nothing of a private key, a passphrase or an annotation is in it. Pure.
"""

import binascii
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any, Final

from engine.model.instant import parse_rfc3339, rfc3339
from engine.model.watch import Object
from watchers import x509
from watchers.issuance import CERTIFICATE_NAME, issuer_of, items, mapping
from watchers.keystores import Keystores, StoreRefused
from watchers.pem import Blocks, blocks

Data = dict[str, Any]
MAX_BYTES: Final = 2 << 20
"""How large one file may be; Kubernetes takes 1 MiB for all of a Secret."""
MAX_FILES: Final = 50
MAX_PASSPHRASES: Final = 3
MAX_LABELS: Final = 50
TLS: Final = "kubernetes.io/tls"
_LEFT_OUT: Final = ("spec", "status", "data", "stringData", "webhooks", "madeBy")
_STORES: Final = ("*.p12", "*.pfx", "*.jks")
_TRUSTED: Final = re.compile(r"(?i)(?:^|[._-])(?:cas?|roots?|bundle|trust|truststore)(?:[._-]|$)")
"""Names of files of authorities to trust, rather than of a chain: ca.crt, ca-bundle.crt."""


@dataclass(frozen=True)
class Files:
    """Which values of Secrets hold certificates.

    `names` and `passphrases` are names of keys; `names` may be globs.
    """

    names: tuple[str, ...] = ()
    passphrases: tuple[str, ...] = ()


def secret_view(files: Files) -> Callable[[Object], Data]:
    """Return the view of Secrets: those of the type kubernetes.io/tls, and `files` of others."""

    def view(obj: Object) -> Data:
        data = mapping(obj.get("data"))
        found = [("", _tls(data))] if obj.get("type") == TLS else list(_opaque(data, files))
        annotations = mapping(mapping(obj.get("metadata")).get("annotations"))
        owner = annotations.get(CERTIFICATE_NAME, "")
        return {**_public(obj, found), "certificate": str(owner)[: x509.MAX_TEXT]}

    return view


def webhooks_view(obj: Object) -> Data:
    """View of a webhook configuration: one entry for each different bundle of authorities."""
    hooks = [mapping(one) for one in items(obj.get("webhooks"))]
    return _public(obj, _different((_text(one, "name"), _client(one)) for one in hooks))


def api_service_view(obj: Object) -> Data:
    """View of an APIService."""
    return _public(obj, _different([("", mapping(obj.get("spec")))]))


def definition_view(obj: Object) -> Data:
    """View of a CustomResourceDefinition: the webhook that converts between its versions."""
    conversion = mapping(mapping(obj.get("spec")).get("conversion"))
    return _public(obj, _different([("", _client(mapping(conversion.get("webhook"))))]))


def certificate_view(obj: Object) -> Data:
    """View of a cert-manager Certificate: what its status says."""
    spec, status = mapping(obj.get("spec")), mapping(obj.get("status"))
    states = (mapping(one) for one in items(status.get("conditions")))
    ready = [one.get("status") == "True" for one in states if one.get("type") == "Ready"]
    dates = {
        name: at for name in ("notBefore", "notAfter", "renewalTime") if (at := _date(status, name))
    }
    names = [*items(spec.get("dnsNames")), *items(spec.get("ipAddresses"))]
    told: Data = {
        **({"subject": _text(spec, "commonName")} if spec.get("commonName") else {}),
        "names": [str(one)[: x509.MAX_TEXT] for one in names[: x509.MAX_NAMES]],
        **dates,
        **({"ready": ready[0]} if ready else {}),
    }
    revision = status.get("revision")
    if isinstance(revision, int):
        told["revision"] = revision
    return {**_public(obj, [("", told)]), "secretName": _text(spec, "secretName")}


def authorities(raw: bytes) -> Data:
    """Return what is told of a bundle of authorities in PEM or DER."""
    return _or_empty(x509.trusted(x509.read(blocks(raw))), raw)


def shown(raw: bytes, trusted: bytes = b"") -> Data:
    """Return what is told of a chain in PEM or DER; `trusted` may hold who issued its last."""
    return _or_empty(x509.chain(x509.read(blocks(raw)), _certificates(trusted)), raw)


def _certificates(raw: bytes) -> tuple[Any, ...]:
    return x509.read(blocks(raw)).certificates if raw else ()


def _or_empty(told: Data, raw: bytes) -> Data:
    if "notAfter" in told or "error" in told:
        return told
    return {**told, "error": "malformed: there is no certificate" if raw else "empty: no value"}


def _tls(data: Mapping[str, Any]) -> Data:
    try:
        trusted = _bytes(data, "ca.crt")
    except ValueError:
        trusted = b""
    try:
        return shown(_bytes(data, "tls.crt"), trusted)
    except ValueError as error:
        return {"error": str(error)}


def _opaque(data: Mapping[str, Any], files: Files) -> Iterator[tuple[str, Data]]:
    """Yield the values that are certificates by the names of their keys, and by what they hold."""
    wanted = [key for key in sorted(data) if any(fnmatchcase(key, one) for one in files.names)]
    told_once, stores = "tls.crt" in data, Keystores(_passphrases(data, files))
    for key in wanted[:MAX_FILES]:
        store = any(fnmatchcase(key, one) for one in _STORES)
        if store and told_once:
            continue  # cert-manager writes the same certificate in several forms
        try:
            raw = _bytes(data, key)
            told = _store(key, raw, stores) if store else _file(key, raw)
        except ValueError as error:
            told = {"error": str(error)}
        if told:
            yield key, told


def _file(key: str, raw: bytes) -> Data:
    """Return what a PEM file holds; nothing where there is no certificate in it, as in a key."""
    found = blocks(raw)
    return _told(key, found) if found.found or found.broken else {}


def _store(key: str, raw: bytes, stores: Keystores) -> Data:
    try:
        found = stores.open(raw)
    except StoreRefused as error:
        return {"error": f"{error.reason}: {error}"}
    return _told(key, found) if found.found else {}


def _told(key: str, found: Blocks) -> Data:
    bundle = x509.read(found)
    return x509.trusted(bundle) if _TRUSTED.search(key) else x509.chain(bundle)


def _passphrases(data: Mapping[str, Any], files: Files) -> list[bytes]:
    found: list[bytes] = []
    for key in files.passphrases:
        try:
            value = _bytes(data, key)
        except ValueError:
            continue
        if value:
            found += dict.fromkeys([value, value.rstrip(b"\r\n")])
    return found[:MAX_PASSPHRASES]


def _bytes(values: Mapping[str, Any], key: str) -> bytes:
    """Return a value that is written in base64, empty where there is none.

    Raises:
        ValueError: it is none, or too large; the text begins with a word for it.
    """
    value = values.get(key) or ""
    if not isinstance(value, str):
        raise ValueError("malformed: no base64")  # noqa: TRY004 - bad data, not a bad call
    if len(value) > MAX_BYTES * 4 // 3:
        raise ValueError(f"too-large: more than {MAX_BYTES >> 20} MiB")
    try:
        return binascii.a2b_base64(value)
    except ValueError:  # binascii.Error, or what is not ASCII
        raise ValueError("malformed: no base64") from None


def _different(places: Iterable[tuple[str, Mapping[str, Any]]]) -> list[tuple[str, Data]]:
    """Return each bundle once, by the name of the first place but for the first of all."""
    seen: dict[Any, tuple[str, Data]] = {}
    for name, client in places:
        value = client.get("caBundle")
        if not value or (value if isinstance(value, str) else "") in seen:
            continue
        try:
            told = authorities(_bytes(client, "caBundle"))
        except ValueError as error:
            told = {"error": str(error)}
        if len(seen) < MAX_FILES:
            seen[value if isinstance(value, str) else ""] = (name if seen else "", told)
    return list(seen.values())


def _client(hook: Mapping[str, Any]) -> Mapping[str, Any]:
    return mapping(hook.get("clientConfig"))


def _public(obj: Object, found: Iterable[tuple[str, Data]]) -> Data:
    """Return what stands in for `obj`: who it is, and the certificates found, by entry."""
    metadata = mapping(obj.get("metadata"))
    names = ("name", "namespace", "uid", "resourceVersion")
    labels = [
        (str(key), str(value)[: x509.MAX_TEXT])
        for key, value in mapping(metadata.get("labels")).items()
    ]
    return {
        **{name: None for name in _LEFT_OUT if name in obj},
        "metadata": {
            **{name: metadata[name] for name in names if name in metadata},
            "labels": dict(labels[:MAX_LABELS]),
        },
        "manager": issuer_of(obj),
        "found": [list(one) for one in found],
    }


def _date(of: Mapping[str, Any], name: str) -> str:
    try:
        return rfc3339(parse_rfc3339(_text(of, name)))
    except (ValueError, OverflowError):
        return ""


def _text(of: Mapping[str, Any], name: str) -> str:
    return str(of.get(name, ""))[: x509.MAX_TEXT]
