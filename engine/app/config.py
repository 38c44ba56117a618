"""The one configuration file, `dogwatch.yaml`: what it may hold, with its defaults."""

import re
from typing import Annotated, Any, Literal, Self

from pydantic import (
    BeforeValidator,
    Field,
    PositiveFloat,
    PositiveInt,
    SecretStr,
    WithJsonSchema,
    field_validator,
    model_validator,
)

from engine.advisor.settings import AdvisorConfig
from engine.bus.settings import KafkaConfig
from engine.metrics.settings import PrometheusConfig
from engine.model.config import Config

NAME = r"^[a-z0-9]([a-z0-9.-]{0,61}[a-z0-9])?$"
Name = Annotated[str, Field(pattern=NAME)]
_PORTS = range(1 << 16)
_ADDRESS = r"^(\[[0-9a-fA-F:]+\]|[^:\s]+):\d{1,5}$"
_LOOPBACK = re.compile(r"http://(?:localhost|127(?:\.\d{1,3}){3}|\[::1\])(?::\d+)?(?:/|$)")
POSTGRESQL = "postgresql://"


def _listed(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


def _with_port(address: str) -> str:
    if int(address.rpartition(":")[2]) not in _PORTS:
        raise ValueError(f"ports go from 0 to {_PORTS.stop - 1}")
    return address


def _switched(value: Any) -> Any:
    if not isinstance(value, bool | dict):
        raise ValueError("expected true, false, or a mapping of options")  # noqa: TRY004 - told by pydantic
    return value


Switch = Annotated[bool | dict[str, Any], BeforeValidator(_switched)]
"""A watcher of a cluster: on, off, or on with these options."""
_TEXT_OR_TEXTS = {"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]}
Texts = Annotated[tuple[str, ...], BeforeValidator(_listed), WithJsonSchema(_TEXT_OR_TEXTS)]


class ReachConfig(Config):
    """How a cluster is reached.

    Either `in_cluster: true`, or a `context` of a kubeconfig (default: its current one).
    `exec_commands` lists the credential plugins that may be run; none by default.
    """

    kubeconfig: str | None = None
    context: str | None = None
    in_cluster: bool = False
    exec_commands: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if self.in_cluster and (self.kubeconfig or self.context):
            raise ValueError("in_cluster excludes kubeconfig and context")
        return self


class WriterConfig(ReachConfig):
    """How `dogwatch run --role writer` reaches a cluster: with credentials of its own.

    `impersonate` is who it acts as to change something, `{kind}` standing for the mission kind;
    `propose_as` who it acts as to try a change without doing it. Empty: as itself.
    """

    impersonate: str = "system:serviceaccount:dogwatch:dogwatch-{kind}"
    propose_as: str = "system:serviceaccount:dogwatch:dogwatch-proposer"


class ClusterConfig(ReachConfig):
    """One cluster to watch and read.

    `watchers` has for each watcher its options, true, or false for not to run it; those that are
    not named run where they need nothing to be configured. `prometheus` is where metrics of the
    cluster are asked for. Missions and policies choose clusters by `labels` and `groups`.
    Without `writer` nothing is ever changed there.
    """

    name: Name
    watchers: dict[str, Switch] = Field(default_factory=dict)
    prometheus: PrometheusConfig | None = None
    labels: dict[str, str] = Field(default_factory=dict)
    groups: Texts = ()
    writer: WriterConfig | None = None


class SinkConfig(Config, extra="allow"):
    """One sink: `type` (webhook, email, slack, console) and the options of that type."""

    type: str


class ReceiverConfig(Config, extra="allow"):
    """What posts to /v1/receive/NAME: `type` (alertmanager, audit ...) and its options."""

    type: str


class SourceConfig(Config, extra="allow"):
    """Where clusters are found: `type`, and its options (see engine.app.discovery.settings)."""

    type: str


class RouteConfig(Config):
    """Where firings go whose rule has no `notify`; every label of `match` must match.

    `sinks` are names of sinks. `on` says which messages go there.
    """

    sinks: Texts = Field(min_length=1)
    match: dict[str, Texts] = Field(default_factory=dict)
    on: tuple[Literal["fire", "resolve", "approval", "result"], ...] = (
        "fire",
        "resolve",
        "approval",
        "result",
    )


class HttpConfig(Config):
    """Health, metrics and the receiver of CloudEvents.

    `listen` is HOST:PORT. `token_file` holds the bearer token of /v1/signals and /-/reload; without
    it both refuse.
    """

    listen: str = Field(default="127.0.0.1:9095", pattern=_ADDRESS)
    token_file: str | None = None

    _port = field_validator("listen")(_with_port)


class NodeConfig(Config):
    """What `dogwatch run --role node` reads and where it reports; nothing for other roles.

    `cluster` is its name as dogwatch knows it, `name` that of the Node. `url` is that of a receiver
    of type node-report, such as https://dogwatch.example.com/v1/receive/nodes; `token_file` holds
    its bearer token. http, by which everybody on the way can read the token, only to this machine,
    or with `allow_http`. It looks and reports every `every_s` seconds. sysfs is at `root`/sys.
    """

    cluster: Name
    name: str = Field(pattern=r"^[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?$")
    url: str = Field(pattern=r"^https?://[^/\s]+(/[^\s?#]*)?$")
    allow_http: bool = False
    token_file: str
    ca_file: str | None = None
    every_s: PositiveFloat = 30.0
    root: str = Field(default="/", pattern=r"^/")

    @model_validator(mode="after")
    def _in_the_dark(self) -> Self:
        if self.url.startswith("http:") and not self.allow_http and not _LOOPBACK.match(self.url):
            raise ValueError("url: by http the token goes in the clear; https, or allow_http: true")
        return self


class StreamConfig(Config):
    """How the log is folded.

    `lateness_s`: how long a signal may lag behind. A checkpoint is written at once when
    something fires, else every `checkpoint_s` or `checkpoint_signals`. Signals that come faster
    than they are folded wait in up to `intake_bytes` of memory; once folding is `shed_after_s`
    behind, metrics are sampled (duplicates go at half of it, all but the last of levels at one
    and a half); with the memory full senders get 503 and watchers wait. What was folded is kept
    for `retain_s`, and at most `retain_bytes` of it.
    """

    lateness_s: PositiveFloat = 2.0
    checkpoint_s: PositiveFloat = 5.0
    checkpoint_signals: PositiveInt = 5000
    retain_s: PositiveFloat = 7 * 86400.0
    retain_bytes: PositiveInt = 1 << 30
    intake_bytes: int = Field(default=64 << 20, ge=8 << 20)
    shed_after_s: PositiveFloat = 5.0


class StoreConfig(Config):
    """Where firings, missions and reports are kept: a SQLite file below `data_dir`, or PostgreSQL.

    `url`, or the first line of `url_file`: postgresql://USER@HOST:PORT/DATABASE. The password
    may stand in `password_file` instead.
    """

    url: SecretStr | None = None
    url_file: str | None = None
    password_file: str | None = None

    @model_validator(mode="after")
    def _one_place(self) -> Self:
        if self.url is not None and self.url_file is not None:
            raise ValueError("url excludes url_file")
        if self.password_file is not None and not self.shared:
            raise ValueError("password_file needs url or url_file beside it")
        return self

    @field_validator("url")
    @classmethod
    def _known(cls, url: SecretStr | None) -> SecretStr | None:
        if url is not None and not url.get_secret_value().startswith(POSTGRESQL):
            raise ValueError(f"allowed is {POSTGRESQL}USER@HOST:PORT/DATABASE")
        return url

    @property
    def shared(self) -> bool:
        """Whether several processes may use it."""
        return self.url is not None or self.url_file is not None


class BusConfig(Config):
    """Where signals wait to be folded: a SQLite file below `data_dir`, or Kafka.

    `kafka` is for several processes; without it the file is used.
    """

    kafka: KafkaConfig | None = None


class MissionsConfig(Config):
    """How missions run: `workers` at once, `collect_s` for one cluster, `run_s` for thinking.

    What a mission proposed is waited for `gate_s` at most. `keep_snapshots` missions keep their
    evidence; what ended is forgotten after `retain_s`.
    """

    workers: PositiveInt = 2
    collect_s: PositiveFloat = 60.0
    run_s: PositiveFloat = 120.0
    gate_s: PositiveFloat = 7 * 86400.0
    keep_snapshots: PositiveInt = 200
    retain_s: PositiveFloat = 90 * 86400.0


class ChangesConfig(Config):
    """How changes are decided and made. Without `policy_file` nothing is ever changed.

    `key_file` signs sessions and links in mails; a file below `data_dir` is made where it is not
    given and one process runs everything. `url` is where people reach the pages, such as
    https://dogwatch.example.com; without it messages hold no link. `listen` is where the writer
    serves its health and metrics; it looks for changes every `poll_s` seconds, and sees to
    `at_once` in each cluster.
    """

    policy_file: str | None = None
    key_file: str | None = None
    url: str | None = Field(default=None, pattern=r"^https?://[^/\s]+(/[^\s?#]*)?$")
    listen: str = Field(default="127.0.0.1:9096", pattern=_ADDRESS)
    at_once: PositiveInt = 4
    poll_s: PositiveFloat = 1.0

    _port = field_validator("listen")(_with_port)


class AppConfig(Config):
    """The whole file. Relative paths are relative to the file.

    Attributes:
        clusters: the clusters to watch and read.
        discover: where further clusters are found.
        data_dir: folder of what this process keeps.
        rules: files of rules, or folders of them.
        sinks: where messages go, by name.
        routes: which messages go to which sinks.
        receivers: what other systems post, by the name in /v1/receive/NAME.
        http: the server of health, metrics, pages and receivers.
        store: where firings, missions and reports are kept.
        bus: where signals wait to be folded.
        stream: how signals are folded.
        missions: how missions run.
        changes: how changes are decided and made.
        advisor: the model that may explain what was found.
        node: the agent of a node, of --role node.
        log_format: how the log on standard error is written.
    """

    clusters: tuple[ClusterConfig, ...] = ()
    discover: tuple[SourceConfig, ...] = ()
    data_dir: str = "data"
    rules: Texts = ("rules",)
    sinks: dict[Name, SinkConfig] = Field(default_factory=dict)
    routes: tuple[RouteConfig, ...] = ()
    receivers: dict[Name, ReceiverConfig] = Field(default_factory=dict)
    http: HttpConfig = HttpConfig()
    store: StoreConfig = StoreConfig()
    bus: BusConfig = BusConfig()
    stream: StreamConfig = StreamConfig()
    missions: MissionsConfig = MissionsConfig()
    changes: ChangesConfig = ChangesConfig()
    advisor: AdvisorConfig = AdvisorConfig()
    node: NodeConfig | None = None
    log_format: Literal["json", "text"] = "json"

    @model_validator(mode="after")
    def _names(self) -> Self:
        names = [cluster.name for cluster in self.clusters]
        double = sorted({name for name in names if names.count(name) > 1})
        if double:
            raise ValueError(f"clusters: more than one is named {', '.join(double)}")
        return self
