"""What may be asked of incident-response: nothing, or where to look first."""

from pydantic import Field

from engine.analysis.cluster_view import key_of_ref
from engine.model.config import Config
from engine.model.report import ObjectRef


class IncidentParams(Config):
    """Where to look first; without any, all clusters are examined alike."""

    symptom: str = Field("", max_length=500, description="what was noticed, in words")
    cluster: str = Field("", description="name of a cluster")
    namespace: str = Field("", description="a namespace")
    workload: str = Field("", description="name of a Deployment, StatefulSet, DaemonSet or Job")
    node: str = Field("", description="name of a node")
    kind: str = Field("", description="kind of the object concerned")
    name: str = Field("", description="name of the object concerned")

    @property
    def is_focused(self) -> bool:
        """Whether a place was named."""
        return any((self.cluster, self.namespace, self.workload, self.node, self.kind, self.name))

    def fits(self, ref: ObjectRef) -> bool:
        """Whether `ref` lies where the params point: every one that is given must fit."""
        kind, namespace, name = key_of_ref(ref)
        if self.cluster not in {"", ref.cluster}:
            return False
        if self.node:
            return kind == "Node" and name == self.node
        return (
            self.namespace in {"", namespace}
            and self.workload in {"", name}
            and self.kind in {"", kind}
            and self.name in {"", name}
        )


PARAMS = IncidentParams
