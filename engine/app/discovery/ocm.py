"""Open Cluster Management: ManagedClusters of a hub. Their credentials are elsewhere."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from engine.app.discovery.found import Seen, Sighting, texts
from engine.app.discovery.hub import fault, name_in, part
from engine.app.discovery.settings import OcmConfig
from engine.cluster.login import address
from engine.model.errors import ClusterError
from engine.model.ports import Watch

RESOURCE = "managedclusters.cluster.open-cluster-management.io"
_AVAILABLE = "ManagedClusterConditionAvailable"
_ACCEPTED = "HubAcceptedManagedCluster"


class ManagedClusters:
    """Looks at the ManagedClusters of a hub."""

    def __init__(self, config: OcmConfig, hub: Watch) -> None:
        self._config = config
        self._hub = hub

    async def look(self) -> Sighting:
        """Return the ManagedClusters that the hub accepted and that are not being detached.

        Source: ManagedCluster of cluster.open-cluster-management.io/v1.
        """
        try:
            found = await self._hub.list(RESOURCE)
        except ClusterError as error:
            return Sighting(faults={"": fault(error)})
        return Sighting([seen for obj in found if (seen := self._seen(obj)) is not None])

    def _seen(self, obj: Mapping[str, Any]) -> Seen | None:
        metadata, name = part(obj, "metadata"), name_in(obj)
        if metadata.get("deletionTimestamp") or not name or "/" in name:
            return None
        if _condition(obj, _ACCEPTED) == "False":
            return None
        available = _condition(obj, _AVAILABLE)
        problem = "" if available == "True" else f"the hub says: available is {available}"
        kubeconfig, context = self._config.kubeconfig, name
        if self._config.kubeconfig_path is not None:
            kubeconfig, context = self._config.kubeconfig_path.replace("{name}", name), ""
            if not Path(kubeconfig).is_file():
                why = f"there is no file '{kubeconfig}'"
                return Seen({"name": name}, name, _labels(metadata), problem=why, ready=False)
        return Seen(
            {"name": name},
            name,
            _labels(metadata),
            kubeconfig,
            context or None,
            server=_server(obj),
            problem=problem,
        )


def _labels(metadata: Mapping[str, Any]) -> dict[str, str]:
    return texts(metadata.get("labels"))


def _condition(obj: Mapping[str, Any], kind: str) -> str:
    conditions = part(obj, "status").get("conditions")
    for one in conditions if isinstance(conditions, list) else ():
        if isinstance(one, dict) and one.get("type") == kind:
            return str(one.get("status"))
    return "Unknown"


def _server(obj: Mapping[str, Any]) -> str:
    clients = part(obj, "spec").get("managedClusterClientConfigs")
    first = clients[0] if isinstance(clients, list) and clients else None
    return address(first.get("url")) if isinstance(first, dict) else ""
