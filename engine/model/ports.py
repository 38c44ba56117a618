"""What the core asks of the outside; adapters fulfil these by shape."""

from collections.abc import AsyncGenerator, AsyncIterator, Collection, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Protocol

from engine.model.change import Operation
from engine.model.delivery import Delivery, Receipt
from engine.model.series import Series
from engine.model.signal import Signal
from engine.model.watch import WHOLE, Observation, Offered, Part, ResourceStatus


class Clock(Protocol):
    """The wall clock, for what is not stream time: retries, time-outs, displays."""

    def now(self) -> datetime:
        """Return the present instant, aware UTC."""
        ...


class SystemClock:
    """The machine's clock."""

    def now(self) -> datetime:
        """Return the present instant, aware UTC."""
        return datetime.now(UTC)


class Cluster(Protocol):
    """One cluster to read from. Raises ClusterError (unreachable, forbidden, not-found)."""

    @property
    def name(self) -> str:
        """Return the name in the configuration."""
        ...

    async def identity(self) -> str:
        """Return the uid of the namespace kube-system."""
        ...

    async def version(self) -> str:
        """Return the server's gitVersion, for example v1.36.3."""
        ...

    async def list(self, resource: str) -> list[dict[str, Any]]:
        """Return every object of `resource` (`pods`, `deployments.apps`) as raw JSON."""
        ...

    async def log(self, pod: tuple[str, str], container: str, *, previous: bool) -> str:
        """Return the tail of a container's log; `pod` is (namespace, name)."""
        ...


class Writer(Protocol):
    """One cluster to change, as one identity. Raises ClusterError.

    Reasons beside those of reading: `conflict` (409: the object moved on, or another manager owns
    a field), `invalid` (422), `refused` (403 of a webhook or quota, 4xx), `blocked` (429 of an
    eviction that a disruption budget forbids). After `timeout` or `unreachable` of a write it is
    not known whether it was done: read the object.
    """

    @property
    def name(self) -> str:
        """Return the name of the cluster in the configuration."""
        ...

    async def identity(self) -> str:
        """Return the uid of the namespace kube-system."""
        ...

    async def get(self, resource: str, namespace: str, name: str) -> dict[str, Any]:
        """Return one object whole, managedFields included; values of a Secret as digests."""
        ...

    async def allowed(self, operation: Operation) -> bool:
        """Whether the identity may do `operation`, by SelfSubjectAccessReview."""
        ...

    async def write(
        self, operation: Operation, *, version: str, dry_run: bool
    ) -> dict[str, Any] | None:
        """Do `operation` where the object has its uid and resourceVersion `version`.

        Returns:
            The object as the server would keep it, or keeps it; None where it goes away.
        """
        ...


class Watch(Protocol):
    """One cluster to watch. What reads once raises ClusterError, as `Cluster` does."""

    name: str

    async def identity(self) -> str:
        """Return the uid of the namespace kube-system."""
        ...

    async def version(self) -> str:
        """Return the server's gitVersion, for example v1.36.3."""
        ...

    def certificate(self) -> bytes:
        """Return the certificate (DER) that the server showed last; empty: none yet, or no TLS."""
        ...

    async def list(self, resource: str, part: Part = WHOLE) -> list[dict[str, Any]]:
        """Return every object of `resource` (`pods`, `deployments.apps`) as raw JSON."""
        ...

    async def offered(self, api_version: str, kind: str) -> Offered:
        """Return how the server offers `kind`; `not-found` where it does not, in that version."""
        ...

    async def text(self, path: str, params: Mapping[str, str] | None = None) -> str:
        """Return what the server answers to a GET of `path`, such as `/metrics`."""
        ...

    def watch(
        self, resource: str, status: ResourceStatus, part: Part = WHOLE
    ) -> AsyncGenerator[Observation]:
        """Yield what happens to `resource`, for ever; keeps `status` up to date.

        Never raises for a sick cluster: an observation with a fault tells of it, and one
        without tells that all is well again.
        """
        ...


class Metrics(Protocol):
    """One source of time series, such as a Prometheus. Raises MetricsError."""

    async def query(self, expression: str, at: datetime) -> list[Series]:
        """Return the value of each series of a PromQL expression at the instant `at`.

        Stale series, NaN and infinities are left out: a gap is a gap.
        """
        ...

    async def range(
        self, expression: str, start: datetime, end: datetime, step_s: float
    ) -> list[Series]:
        """Return the values of each series from `start` to `end`, every `step_s` seconds."""
        ...


class Memory(Protocol):
    """What one watcher of one cluster remembers over restarts: small values by key."""

    async def recall(self, keys: Collection[str] = ()) -> dict[str, bytes]:
        """Return what is remembered of `keys`; of all where none are named. Raises StoreError."""
        ...

    async def keep(self, changes: Mapping[str, bytes | None]) -> None:
        """Remember `changes`, None: forget that key. Durable on return. Raises StoreError."""
        ...


class Bus(Protocol):
    """The log: append batches, read them back in order."""

    async def append(self, signals: Sequence[Signal]) -> int:
        """Append one batch; return its offset once it is durable."""
        ...

    async def read(self, offset: int) -> AsyncIterator[tuple[int, bytes]]:
        """Yield (offset, batch bytes) from `offset` on, waiting for more."""
        ...


class Sink(Protocol):
    """One channel. `thread` is what an earlier delivery of the same incident returned."""

    async def send(self, delivery: Delivery, thread: Mapping[str, str] | None) -> Receipt:
        """Attempt the delivery once; raise Retryable or Rejected."""
        ...
