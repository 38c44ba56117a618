"""`discover:` of the configuration: where clusters are found, and what is given to each."""

from abc import abstractmethod
from collections.abc import Mapping
from string import Formatter
from typing import Any, Final, Literal

from pydantic import Field, PositiveFloat, PositiveInt, field_validator

from engine.metrics.settings import PrometheusConfig
from engine.model.config import Config

_FIELDS = frozenset({"name", "file", "context", "namespace"})


class SelectConfig(Config):
    """Which of the clusters found are taken.

    Those whose name `names` matches and `exclude` does not (globs), and whose labels match
    `labels` (a glob for each).
    """

    names: tuple[str, ...] = ("*",)
    exclude: tuple[str, ...] = ()
    labels: dict[str, str] = Field(default_factory=dict)


class DiscoverConfig(Config):
    """What every source has.

    `every_s`: how often it is looked at. `select` says what is taken of it, `most` how much at
    most. `name` is made of {name} (as the source has it), {namespace}, {file} and {context}, as
    far as there are any; it is put into small letters, and what no name may hold becomes `-`.
    Where two clusters get one name, those of the configuration come first, then the sources in
    their order; the other one is not watched, and that is told. `labels` and `groups` are given
    to each cluster, beside the labels that it has there. `watchers` and `prometheus` are as those
    of a configured cluster; {name} in `url` and `match` of the latter is the name of the cluster.
    `exec_commands` lists the credential plugins that may be run for clusters found here.
    """

    name: str = "{name}"
    every_s: PositiveFloat = 60.0
    most: PositiveInt = 1000
    select: SelectConfig = SelectConfig()
    labels: dict[str, str] = Field(default_factory=dict)
    groups: tuple[str, ...] = ()
    watchers: dict[str, bool | dict[str, Any]] = Field(default_factory=dict)
    prometheus: PrometheusConfig | None = None
    exec_commands: tuple[str, ...] = ()

    @property
    @abstractmethod
    def label(self) -> str:
        """Which source it is, in words."""

    @field_validator("name")
    @classmethod
    def _template(cls, name: str) -> str:
        try:
            parts = {(field, form or "", turn) for _, field, form, turn in Formatter().parse(name)}
        except ValueError:
            parts = {("", "", None)}
        if not parts <= {(None, "", None), *((field, "", None) for field in _FIELDS)}:
            known = ", ".join(f"{{{one}}}" for one in sorted(_FIELDS))
            raise ValueError(f"'{name}' is no template of a name; known: {known}")
        return name


class FolderConfig(DiscoverConfig):
    """Kubeconfigs in the folder `folder_path`, each a file: of each `contexts`, current or all.

    {name} is that of the file without its ending, and with all contexts FILE-CONTEXT.
    """

    folder_path: str
    contexts: Literal["current", "all"] = "current"

    @property
    def label(self) -> str:
        """Which source it is, in words."""
        return f"kubeconfig-folder {self.folder_path}"


class ArgoConfig(DiscoverConfig):
    """Secrets in which Argo CD of the cluster `cluster` keeps clusters.

    Needs list of Secrets in `namespace`; what they hold stays in memory.
    """

    cluster: str
    namespace: str = "argocd"

    @property
    def label(self) -> str:
        """Which source it is, in words."""
        return f"argocd {self.cluster}/{self.namespace}"


class OcmConfig(DiscoverConfig):
    """ManagedClusters of an Open Cluster Management hub, or of KubeStellar.

    `cluster` is that of the hub. They hold no credentials: those are in a file of their
    own, `kubeconfig_path` with {name} in it, or in the context of that name in `kubeconfig`.
    """

    cluster: str
    kubeconfig_path: str | None = None
    kubeconfig: str | None = None

    @property
    def label(self) -> str:
        """Which source it is, in words."""
        return f"ocm {self.cluster}"


class ClusterApiConfig(DiscoverConfig):
    """Clusters of Cluster API in the cluster `cluster`, each with its Secret NAME-kubeconfig.

    Needs list of clusters, and get of these Secrets in `namespaces` (none named: everywhere);
    what they hold stays in memory.
    """

    cluster: str
    namespaces: tuple[str, ...] = ()

    @property
    def label(self) -> str:
        """Which source it is, in words."""
        return f"cluster-api {self.cluster}"


TYPES: Final[Mapping[str, type[DiscoverConfig]]] = {
    "kubeconfig-folder": FolderConfig,
    "argocd": ArgoConfig,
    "ocm": OcmConfig,
    "cluster-api": ClusterApiConfig,
}
"""Every type of source."""


def source(type_: str, options: Mapping[str, Any]) -> DiscoverConfig:
    """Return the source of type `type_` with its `options` checked.

    Raises:
        KeyError: there is no such type.
        pydantic.ValidationError: options are refused.
    """
    return TYPES[type_].model_validate(dict(options))
