"""Each place with a certificate is told once, as what has to be acted on, and ends when it goes."""

from __future__ import annotations

import asyncio
import contextlib
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from engine.model.signal import HEARTBEAT, Signal
from engine.model.watch import WHOLE, Change, ChangeType, Observation, Part
from tests.watchers.signed import a_secret, signed
from tests.watchers.sources import Script, saw
from tests.watchers.virtual import VirtualClock, at_once
from watchers.certificates import CertificatesConfig, watch_certificates
from watchers.memory import Forgetful
from watchers.registry import Scene, kinds

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from engine.model.watch import Object, ResourceStatus

CERTIFICATES = "certificates.cert-manager.io"
VALIDATING = "validatingwebhookconfigurations.admissionregistration.k8s.io"
EMPTY = (
    VALIDATING,
    "mutatingwebhookconfigurations.admissionregistration.k8s.io",
    "apiservices.apiregistration.k8s.io",
    "customresourcedefinitions.apiextensions.k8s.io",
)
SECRETS = CertificatesConfig(every_s=10, secrets=True)


class Here(ThreadPoolExecutor):
    """Does at once what is meant for a thread: time stands still meanwhile."""

    def submit(self, fn: Any, /, *args: Any, **kwargs: Any) -> Future[Any]:
        done: Future[Any] = Future()
        try:
            done.set_result(fn(*args, **kwargs))
        except BaseException as error:  # noqa: BLE001 - whoever waits for it gets it
            done.set_exception(error)
        return done


class Cluster(Script):
    """Shows objects by resource, through the views that are asked for; then what `later` says.

    `later` has by resource (seconds, observation); an observation without changes and fault says
    that all is well.
    """

    def __init__(
        self,
        listed: dict[str, list[Object] | str] | None = None,
        later: dict[str, list[tuple[float, Observation]]] | None = None,
    ) -> None:
        super().__init__()
        self.listed: dict[str, list[Object] | str] = dict.fromkeys(EMPTY, ())  # type: ignore[arg-type]
        self.listed |= {CERTIFICATES: "not-found: there is none", **(listed or {})}
        self.later = later or {}

    async def watch(
        self, resource: str, status: ResourceStatus, part: Part = WHOLE
    ) -> AsyncGenerator[Observation]:
        found = self.listed.get(resource, "not-found: there is none")
        if isinstance(found, str):
            yield saw(0, fault=found)
        else:
            changes = tuple(Change(ChangeType.SYNCED, viewed(one, part)) for one in found)
            yield saw(0, *changes, partial=True)
            yield saw(0)
        passed = 0.0
        for at, observation in self.later.get(resource, []):
            await asyncio.sleep(at - passed)
            passed = at
            changes = tuple(Change(c.type, viewed(c.object, part)) for c in observation.changes)
            yield saw(at, *changes, fault=observation.fault)
        await asyncio.Event().wait()


def viewed(obj: Object, part: Part) -> Object:
    return {**obj, **part.view(obj)} if part.view else obj


def run(
    cluster: Cluster,
    seconds: float = 5,
    config: CertificatesConfig = SECRETS,
    memories: dict[str, Forgetful] | None = None,
) -> list[Signal]:
    """Return what is told within the first seconds, but for heartbeats."""
    kept = memories if memories is not None else {}

    async def main() -> list[Signal]:
        asyncio.get_running_loop().set_default_executor(Here())
        clock = VirtualClock()
        scene = Scene(cluster, "uid", clock, memory=lambda name: kept.setdefault(name, Forgetful()))
        told: list[Signal] = []
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                async for signals in watch_certificates(config, scene):
                    told += signals
        return [one for one in told if one.type != HEARTBEAT]

    return at_once(main())


def certificates(told: list[Signal]) -> dict[str | None, dict[str, Any]]:
    return {one.subject: one.data for one in told if one.type == "certificate"}


def test_a_tls_secret_is_told_with_what_its_chain_says() -> None:
    root = signed("root", 900, authority=True)
    middle = signed("middle", 30, by=root, authority=True)
    leaf = signed("shop", 90, by=middle, hosts=["shop.example.com", "10.0.0.7"])
    secret = a_secret(tls_crt=leaf.pem + middle.pem, tls_key=leaf.key_pem, ca_crt=root.pem)
    told = certificates(run(Cluster({"secrets": [secret]})))
    data = told["Secret/shop/web-tls"]
    assert data["notAfter"] == "2026-03-02T12:00:00Z", "the middle one ends first"
    assert (data["chainLength"], data["lifetime"]) == (3, 91.0)
    assert (data["subject"], data["issuer"]) == ("shop", "middle")
    assert data["names"] == ["shop.example.com", "10.0.0.7"]
    assert (data["keyAlgorithm"], data["keyBits"], data["selfSigned"]) == ("ecdsa", 256, False)
    assert (data["managed"], data["uid"], data["kind"]) == (False, "uid-web-tls", "Secret")
    assert data["serial"] == f"{leaf.certificate.serial_number:x}"
    assert "error" not in data


def test_without_the_option_no_secret_is_asked_for() -> None:
    cluster = Cluster({"secrets": [a_secret(tls_crt=signed().pem)]})
    assert certificates(run(cluster, config=CertificatesConfig())) == {}
    assert kinds()["certificates"].default
