"""Argo CD: each cluster is a Secret of its own kind, with address and credentials."""

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from engine.app.discovery.found import Seen, Sighting, texts
from engine.app.discovery.hub import fault, name_in, part, secrets, value
from engine.app.discovery.settings import ArgoConfig
from engine.cluster.login import address, from_argocd
from engine.model.errors import ClusterError
from engine.model.ports import Watch

LABELS: Final = "argocd.argoproj.io/secret-type=cluster"
_OWN: Final = "https://kubernetes.default.svc"
"""The address of the hub itself, which is configured already."""


class ArgoClusters:
    """Looks at the Secrets of Argo CD."""

    def __init__(self, config: ArgoConfig, hub: Watch) -> None:
        self._config = config
        self._hub = hub

    async def look(self) -> Sighting:
        """Return the clusters of Argo CD; a Secret that makes no sense hinders no other.

        Source: Argo CD, declarative setup: Secrets with name, server and config.
        """
        sighting = Sighting()
        try:
            found = await secrets(self._hub, self._config.namespace, LABELS)
        except ClusterError as error:
            return Sighting(faults={"": fault(error)})
        for raw in found:
            place = name_in(raw)
            try:
                seen = _seen(raw, place)
            except ClusterError as error:
                sighting.faults[place] = f"Secret {place}: {error}"
            else:
                sighting.seen += [seen] if seen is not None else []
        return sighting


def _seen(raw: Mapping[str, Any], place: str) -> Seen | None:
    server = _text(raw, "server")
    if server == _OWN:
        return None
    try:
        config = msgspec.json.decode(value(raw, "config") or b"{}")
    except (ValueError, RecursionError) as error:
        raise ClusterError("malformed", "config is no JSON") from error
    if not isinstance(config, dict):
        raise ClusterError("malformed", "config is no mapping")
    metadata = part(raw, "metadata")
    name = _text(raw, "name") or str(metadata.get("name") or "")
    parts = {"name": name, "namespace": str(metadata.get("namespace") or "")}
    labels = {n: v for n, v in texts(metadata.get("labels")).items() if n not in _NOT_LABELS}
    login = from_argocd(server, config)
    return Seen(parts, place, labels, login=login, server=address(server))


def _text(raw: Mapping[str, Any], key: str) -> str:
    try:
        return value(raw, key).decode().strip()
    except UnicodeDecodeError as error:
        raise ClusterError("malformed", f"data.{key} is no text") from error


_NOT_LABELS: Final = {LABELS.partition("=")[0]}
