"""Each place with a certificate is told once, as what has to be acted on, and ends when it goes."""

from __future__ import annotations

import asyncio
import contextlib
import json
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest
from pydantic import ValidationError

from engine.model.signal import HEARTBEAT, Signal
from engine.model.watch import WHOLE, Change, ChangeType, Observation, Part
from tests.watchers.signed import a_secret, b64, signed
from tests.watchers.sources import Script, an_object, saw
from tests.watchers.virtual import VirtualClock, at_once
from watchers.certificates import SOURCES, CertificatesConfig, _sources, watch_certificates
from watchers.memory import Forgetful
from watchers.registry import Scene, kinds

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Mapping
    from pathlib import Path

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
        listed: Mapping[str, list[Object] | str] | None = None,
        later: Mapping[str, list[tuple[float, Observation]]] | None = None,
    ) -> None:
        super().__init__()
        nothing: dict[str, list[Object] | str] = {name: [] for name in EMPTY}
        self.listed = {**nothing, **(listed or {})}
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


def faults(told: list[Signal]) -> dict[str, str]:
    """Return why sources can not be read, but for what the cluster does not have."""
    found = {one.data["resource"]: one.data["reason"] for one in told if one.type == "watcher"}
    return {name: reason for name, reason in found.items() if reason != "not-found"}


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


def a_certificate(**status: Any) -> Object:
    obj = an_object("Certificate", "web", spec={"secretName": "web-tls"}, status=status)
    return {**obj, "apiVersion": "cert-manager.io/v1"}


READY = {"conditions": [{"type": "Ready", "status": "True"}]}
DATES = {
    "notBefore": "2026-01-01T00:00:00Z",
    "notAfter": "2026-04-01T00:00:00Z",
    "renewalTime": "2026-03-02T00:00:00Z",
}


def test_a_certificate_is_told_by_its_status_where_its_secret_is_not_read() -> None:
    listed = {CERTIFICATES: [a_certificate(**DATES, **READY, revision=3)]}
    (data,) = certificates(run(Cluster(listed), config=CertificatesConfig())).values()
    assert {name: data[name] for name in DATES} == DATES
    assert (data["kind"], data["name"], data["uid"]) == ("Certificate", "web", "uid-web")
    assert (data["managed"], data["manager"], data["ready"]) == (True, "cert-manager", True)
    assert data["revision"] == 3


def test_a_secret_of_a_certificate_is_told_as_that_certificate_only() -> None:
    secret = a_secret(tls_crt=signed("shop", 40).pem)
    listed = {CERTIFICATES: [a_certificate(**DATES, **READY)], "secrets": [secret]}
    told = certificates(run(Cluster(listed)))
    assert set(told) == {"Certificate/shop/web"}
    data = told["Certificate/shop/web"]
    assert data["notAfter"] == "2026-03-12T12:00:00Z", "what is in the Secret counts"
    assert data["renewalTime"] == DATES["renewalTime"]
    assert (data["ready"], data["subject"], data["chainLength"]) == (True, "shop", 1)


def test_dates_of_a_status_that_are_none_are_left_out() -> None:
    dates = {"notAfter": "tomorrow", "notBefore": 7, "renewalTime": "0001-01-01T00:00:00+23:00"}
    listed = {CERTIFICATES: [a_certificate(**dates)]}
    (data,) = certificates(run(Cluster(listed))).values()
    assert not {*dates, "ready", "error"} & set(data)


def test_while_certificates_can_not_be_listed_their_secrets_are_no_places_of_their_own() -> None:
    secret = a_secret(tls_crt=signed().pem)
    cluster = Cluster({"secrets": [secret], CERTIFICATES: "timeout: too slow"})
    told = run(cluster)
    assert certificates(told) == {}
    assert faults(told) == {CERTIFICATES: "timeout", "secrets": "timeout"}


def test_a_secret_that_an_operator_renews_is_managed_and_one_that_is_copied_is_not() -> None:
    ca = "service.beta.openshift.io/originating-service-name"
    by_annotation = a_secret("a", tls_crt=signed().pem)
    by_annotation["metadata"]["annotations"] = {ca: "web"}
    owner = {"apiVersion": "kafka.strimzi.io/v1beta2", "kind": "Kafka", "controller": True}
    by_owner = a_secret("b", tls_crt=signed().pem)
    by_owner["metadata"]["ownerReferences"] = [owner]
    copied = a_secret("c", tls_crt=signed().pem)
    copied["metadata"]["ownerReferences"] = [{**owner, "apiVersion": "bitnami.com/v1alpha1"}]
    beside = a_secret("d", tls_crt=signed().pem)
    beside["metadata"]["ownerReferences"] = [{**owner, "controller": False}, None]
    told = certificates(run(Cluster({"secrets": [by_annotation, by_owner, copied, beside]})))
    found = {data["name"]: data.get("manager", "") for data in told.values()}
    assert found == {"a": "service-ca", "b": "strimzi", "c": "", "d": ""}
    assert {data["name"]: data["managed"] for data in told.values()} == {
        "a": True,
        "b": True,
        "c": False,
        "d": False,
    }


def a_webhook(name: str, *bundles: bytes, **metadata: Any) -> Object:
    hooks = [
        {"name": f"h{number}.example.com", "clientConfig": {"caBundle": b64(bundle)}}
        for number, bundle in enumerate(bundles)
    ]
    return an_object("ValidatingWebhookConfiguration", name, webhooks=hooks, metadata=metadata)


def test_each_bundle_of_a_webhook_configuration_is_told_once_by_its_newest_authority() -> None:
    old, new, other = (signed(name, days) for name, days in (("old", 5), ("new", 400), ("o", 9)))
    both = old.pem + new.pem
    cluster = Cluster({VALIDATING: [a_webhook("gate", both, both, other.pem, b"")]})
    told = {data["name"]: data for data in certificates(run(cluster)).values()}
    assert set(told) == {"gate", "gate/h2.example.com"}
    gate = told["gate"]
    assert (gate["subject"], gate["notAfter"]) == ("new", "2027-03-07T12:00:00Z")
    assert (gate["bundle"], gate["chainLength"]) == (True, 2)


def test_bundles_of_api_services_and_definitions_are_told() -> None:
    bundle = b64(signed("ca", 9).pem)
    service = an_object("APIService", "v1.metrics", spec={"caBundle": bundle})
    hook = {"strategy": "Webhook", "webhook": {"clientConfig": {"caBundle": bundle}}}
    definition = an_object("CustomResourceDefinition", "shops", spec={"conversion": hook})
    plain = an_object("CustomResourceDefinition", "plain", spec={"group": "example.com"})
    listed = {EMPTY[2]: [service], EMPTY[3]: [definition, plain]}
    told = certificates(run(Cluster(listed)))
    assert {(d["kind"], d["name"]) for d in told.values()} == {
        ("APIService", "v1.metrics"),
        ("CustomResourceDefinition", "shops"),
    }


def test_what_is_renewed_is_told_anew_and_what_is_deleted_ends_also_over_a_restart() -> None:
    old, new = a_secret(tls_crt=signed(days=3).pem), a_secret(tls_crt=signed(days=90).pem)
    kept, lost = a_secret("kept", tls_crt=signed().pem), a_secret("lost", tls_crt=signed().pem)
    later = {
        "secrets": [
            (20.0, saw(20, Change(ChangeType.MODIFIED, new))),
            (40.0, saw(40, Change(ChangeType.DELETED, new))),
        ]
    }
    memories: dict[str, Forgetful] = {}
    cluster = Cluster({"secrets": [old, kept, lost]}, later)
    told = [s for s in run(cluster, 60, memories=memories) if s.subject == "Secret/shop/web-tls"]
    assert [(s.data["notAfter"][:10], s.data.get("change")) for s in told] == [
        ("2026-02-03", None),
        ("2026-05-01", None),
        ("2026-05-01", "deleted"),
    ]
    again = run(Cluster({"secrets": [kept]}), memories=memories)
    assert {name: data.get("change") for name, data in certificates(again).items()} == {
        "Secret/shop/kept": None,
        "Secret/shop/lost": "deleted",
    }


def test_while_secrets_can_not_be_seen_nothing_of_them_is_over() -> None:
    memories: dict[str, Forgetful] = {}
    run(Cluster({"secrets": [a_secret(tls_crt=signed().pem)]}), memories=memories)
    told = run(Cluster({"secrets": "unreachable: no route"}), 60, memories=memories)
    assert certificates(told) == {}
    assert faults(told) == {"secrets": "unreachable"}


def test_the_workload_that_mounts_a_secret_is_named() -> None:
    secret = a_secret(tls_crt=signed().pem)
    volumes = [{"secret": {"secretName": "web-tls"}}, {"projected": {"sources": [{}, None]}}]
    pod = an_object("Pod", "web-1", spec={"volumes": volumes})

    async def told() -> dict[str | None, dict[str, Any]]:
        asyncio.get_running_loop().set_default_executor(Here())
        scene = Scene(Cluster({"secrets": [secret]}), "uid", VirtualClock())
        batches = watch_certificates(SECRETS, scene)
        asking = asyncio.create_task(anext(batches))
        await asyncio.sleep(0)
        scene.owners.learn(pod)
        scene.kept.take("pods", Change(ChangeType.SYNCED, pod))
        first = await asking
        await batches.aclose()
        return certificates(first)

    assert at_once(told())["Secret/shop/web-tls"]["workload"] == "web-1"


def test_the_certificate_of_the_api_server_is_told() -> None:
    cluster = Cluster()
    cluster.shown_der = signed("kube-apiserver", 200, hosts=["10.0.0.1"]).der
    (data,) = certificates(run(cluster)).values()
    assert (data["kind"], data["name"], data["uid"]) == ("APIServer", "kube-apiserver", "uid")
    assert data["notAfter"] == "2026-08-19T12:00:00Z"


def test_kubeconfigs_are_read_and_one_that_is_away_ends_nothing(tmp_path: Path) -> None:
    ca, client = signed("ca", 300), signed("ops", 10)
    file = tmp_path / "ops.yaml"
    (tmp_path / "ca.crt").write_bytes(ca.pem)
    user = {"client-certificate-data": b64(client.pem), "client-key-data": b64(client.key_pem)}
    config = {
        "users": [{"name": "ops", "user": user}, {"name": "t", "user": {"token": "x"}}, None],
        "clusters": [{"name": "west", "cluster": {"certificate-authority": "ca.crt"}}],
    }
    file.write_text(json.dumps(config))
    options = CertificatesConfig(every_s=10, kubeconfigs=[{"kubeconfig": str(file)}])
    memories: dict[str, Forgetful] = {}
    told = certificates(run(Cluster(), config=options, memories=memories))
    assert {name: data["subject"] for name, data in told.items()} == {
        "kubeconfig/ops.yaml/user/ops": "ops",
        "kubeconfig/ops.yaml/cluster/west": "ca",
    }
    file.unlink()
    assert certificates(run(Cluster(), 30, options, memories)) == {}
    file.write_text("{ no yaml")
    told = certificates(run(Cluster(), 5, options, memories))
    assert told.pop("kubeconfig/ops.yaml")["error"].startswith("malformed: ops.yaml is not YAML at")
    assert {data["change"] for data in told.values()} == {"deleted"}


class Broken(Cluster):
    """Breaks when it is watched."""

    async def watch(
        self, resource: str, status: ResourceStatus, part: Part = WHOLE
    ) -> AsyncGenerator[Observation]:
        if resource == "secrets":
            raise ZeroDivisionError
        yield saw(0)


def test_a_watch_that_breaks_breaks_the_watcher_so_that_it_is_told() -> None:
    with pytest.raises(ZeroDivisionError):
        run(Broken())


@pytest.mark.parametrize(
    ("options", "where"),
    [
        ({"endpoints": ["example.com"]}, "host:port"),
        ({"endpoints": ["example.com:0"]}, "host:port"),
        ({"endpoints": ["::1:443"]}, "host:port"),
        ({"endpoints": [{"address": "a:443", "starttls": "smtp"}]}, "starttls"),
        ({"every_s": 0}, "every_s"),
    ],
)
def test_options_that_can_not_be_meant_are_refused(options: dict[str, Any], where: str) -> None:
    with pytest.raises(ValidationError, match=where):
        CertificatesConfig.model_validate(options)


def test_the_sources_that_are_polled_are_those_that_are_declared() -> None:
    declared = {source.name for source in SOURCES}
    options = {
        "secrets": True,
        "endpoints": ["[::1]:443"],
        "kubeconfigs": [{"kubeconfig": "none"}],
    }
    assert set(_sources(CertificatesConfig.model_validate(options))) == declared
