"""Releases of Helm: what is installed, of the Secrets in which Helm keeps that. Pure.

Source: pkg/storage/driver of Helm 3 and 4: Secrets of type helm.sh/release.v1, whose key `release`
is base64 of gzip of JSON; the label `status` is that of the revision.
"""

import binascii
import zlib
from base64 import b64decode
from collections.abc import Mapping
from typing import Any, Final

import msgspec

from engine.analysis import field
from engine.model.watch import Object, Part

KEY: Final = "helm"
"""Where a view puts what it found; an empty mapping: the Secret could not be read."""
_MOST_BYTES: Final = 64 << 20
_LONGEST: Final = 253
_GZIP: Final = 16 + zlib.MAX_WBITS


class _Metadata(msgspec.Struct):
    name: str = ""
    version: str = ""
    appVersion: str = ""  # noqa: N815 - Helm's own word


class _Chart(msgspec.Struct):
    metadata: _Metadata


class _Release(msgspec.Struct):
    """Nothing else of a release is even decoded: its values and manifest may hold secrets."""

    name: str
    chart: _Chart


_DECODER: Final = msgspec.json.Decoder(_Release)


def see_release(secret: Object) -> Mapping[str, Any]:
    """View a Secret of Helm: release, chart and versions, nothing of its values."""
    try:
        packed = b64decode(b64decode(field.text(secret, "data", "release"), validate=True))
        release = _DECODER.decode(_unpacked(packed))
    except (binascii.Error, ValueError, zlib.error, msgspec.MsgspecError, RecursionError):
        return {KEY: {}}
    chart = release.chart.metadata
    texts = {
        "release": release.name,
        "name": chart.name,
        "version": chart.version,
        "appVersion": chart.appVersion,
    }
    if not texts["name"] or any(len(text) > _LONGEST for text in texts.values()):
        return {KEY: {}}
    return {KEY: {name: text for name, text in texts.items() if text}}


DEPLOYED: Final = Part("type=helm.sh/release.v1", "owner=helm,status=deployed", see_release)
"""Of each release the revision that is in force."""


def _unpacked(packed: bytes) -> bytes:
    """Return what a gzip stream holds; Helm keeps a small one as it is. Raises ValueError."""
    if not packed.startswith(b"\x1f\x8b"):
        return packed
    stream = zlib.decompressobj(_GZIP)
    data = stream.decompress(packed, _MOST_BYTES)
    if not stream.eof:
        raise ValueError("a stream without an end, or too large")
    return data
