"""ClusterWriter: one cluster to change, as one identity; the port `Writer`."""

import secrets
from dataclasses import replace
from typing import Any

from engine.cluster.clean import whole
from engine.cluster.client import CONNECT_S, Call, Client
from engine.cluster.contexts import Context
from engine.cluster.resources import Discovery
from engine.cluster.server import identity
from engine.cluster.write_call import object_path, path_of, review, write_call
from engine.model.change import Operation, Verb
from engine.model.errors import ClusterError
from engine.model.signal import MADE_BY
from engine.model.snapshot import Object

PATIENCE_S = 30
FIELD_MANAGER = MADE_BY

_UNKNOWN = frozenset({"unavailable", "malformed"})
"""Of a write: the server may have done it before it failed."""


class ClusterWriter:
    """One cluster to change, as one identity. Use from one event loop; `aclose` when done.

    Every write names the uid and the resourceVersion of the object that it is meant for, and
    the field manager `dogwatch`; nothing is forced, and nothing is sent twice unless the
    server turned it away unread.

    Args:
        name: in the configuration.
        context: how it is reached.
        act_as: user to impersonate instead of the context's; empty: as the context says.
        salt: of the digests of Secret values; writers whose answers are compared share one.
        patience_s: seconds that the server may take for one write.
    """

    def __init__(
        self,
        name: str,
        context: Context,
        *,
        act_as: str = "",
        salt: bytes = b"",
        patience_s: int = PATIENCE_S,
    ) -> None:
        self.name = name
        self._client = Client(replace(context, act_as=act_as or context.act_as))
        self._discovery = Discovery(self._client)
        self._salt = salt or secrets.token_bytes(32)
        self._patience_s = patience_s

    async def identity(self) -> str:
        """Return the uid of the namespace kube-system. Raises ClusterError."""
        return await identity(self._client)

    async def get(self, resource: str, namespace: str, name: str) -> Object:
        """Return one object whole, managedFields included; values of a Secret as digests.

        Raises:
            ClusterError: not-found, also when the server has no such resource; as Client.get.
        """
        found = await self._discovery.resource(resource)
        return await self._read(object_path(found.api_version, resource, namespace, name))

    async def allowed(self, operation: Operation) -> bool:
        """Whether the identity may do `operation`, by SelfSubjectAccessReview.

        Raises:
            ClusterError: as Client.get.
        """
        answer = await self._client.send(review(operation))
        try:
            return answer["status"]["allowed"] is True
        except (KeyError, TypeError) as error:
            raise ClusterError("malformed", "an access review without an answer") from error

    async def write(self, operation: Operation, *, version: str, dry_run: bool) -> Object | None:
        """Do `operation` where the object has its uid and resourceVersion `version`.

        An `apply` without a uid makes an object that is not there yet.

        Returns:
            The object as the server would keep it, or keeps it; None where it goes away.

        Raises:
            ClusterError: conflict, invalid, refused, blocked, throttled, forbidden, not-found:
                it was not done. timeout, unreachable: it may have been done.
        """
        call = write_call(operation, version, self._options(dry_run))
        before = await self._as_expected(operation, version)
        answer = await self._send(call, waits=dry_run)
        if operation.verb in {Verb.EVICT, Verb.DELETE}:
            return None
        if before is not None:
            return _scaled(before, answer)
        return whole(answer, self._salt)

    async def aclose(self) -> None:
        """Close all connections."""
        await self._client.aclose()

    def _options(self, dry_run: bool) -> dict[str, str]:  # noqa: FBT001 - handed on
        options = {
            "fieldManager": FIELD_MANAGER,
            "fieldValidation": "Strict",
            "timeout": f"{self._patience_s}s",
        }
        return {**options, "dryRun": "All"} if dry_run else options

    async def _as_expected(self, operation: Operation, version: str) -> Object | None:
        """Return the object to scale: the answer to that is only its scale."""
        if operation.verb is not Verb.SCALE:
            return None
        target = operation.target
        path = path_of(target)
        found = await self._read(path)
        metadata = found["metadata"]
        if (metadata.get("uid"), metadata.get("resourceVersion")) != (target.uid, version):
            raise ClusterError("conflict", f"{path}: the object is no longer the one meant")
        return found

    async def _read(self, path: str) -> Object:
        answer = await self._client.json(path)
        if not _is_object(answer):
            raise ClusterError("malformed", f"{path}: the answer is no object")
        return whole(answer, self._salt)

    async def _send(self, call: Call, *, waits: bool) -> Object:
        try:
            head_s = CONNECT_S + self._patience_s
            answer = await self._client.send(call, head_s=head_s, waits=waits)
        except ClusterError as error:
            if error.reason in _UNKNOWN:
                raise ClusterError("unreachable", str(error)) from error
            raise
        if not _is_object(answer):
            raise ClusterError("unreachable", f"{call.path}: the answer is no object")
        return dict(answer)


def _is_object(answer: Any) -> bool:
    return isinstance(answer, dict) and isinstance(answer.get("metadata"), dict)


def _scaled(before: Object, scale: Object) -> Object:
    """Return the object with what its scale answered: it changes nothing else."""
    metadata = {**before["metadata"], "resourceVersion": scale["metadata"].get("resourceVersion")}
    spec = {**(before.get("spec") or {}), **(scale.get("spec") or {})}
    return {**before, "metadata": metadata, "spec": spec}
