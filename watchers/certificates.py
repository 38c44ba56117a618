"""The watcher of certificates: until when each is valid, and who renews it."""

import asyncio
import contextlib
import re
from collections.abc import AsyncGenerator, Callable, Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, Final

from pydantic import AfterValidator, Field, PositiveFloat, model_validator

from engine.model.config import Config
from engine.model.signal import Signal
from engine.model.watch import Object, Part
from watchers import certified
from watchers.certificate_facts import CERTIFICATES, SECRETS, facts, mounted, place_fact
from watchers.endpoints import Endpoint, Endpoints, Rhythm
from watchers.handshake import Server
from watchers.kubeconfigs import NoKubeconfig, kubeconfig
from watchers.mirror import Mirror, come, ended, mirrored
from watchers.polling import Fact, Looked, poll
from watchers.registry import Scene, Source, watcher

NAME: Final = "certificates"
API_SERVER: Final = "apiserver"
ENDPOINTS: Final = "endpoints"
KUBECONFIGS: Final = "kubeconfigs"
_VIEWS: Final[Mapping[str, Callable[[Object], Mapping[str, Any]]]] = {
    CERTIFICATES: certified.certificate_view,
    "validatingwebhookconfigurations.admissionregistration.k8s.io": certified.webhooks_view,
    "mutatingwebhookconfigurations.admissionregistration.k8s.io": certified.webhooks_view,
    "apiservices.apiregistration.k8s.io": certified.api_service_view,
    "customresourcedefinitions.apiextensions.k8s.io": certified.definition_view,
}
_OTHER_TYPES: Final = (
    "helm.sh/release.v1",
    "kubernetes.io/service-account-token",
    "kubernetes.io/dockerconfigjson",
    "kubernetes.io/dockercfg",
    "kubernetes.io/basic-auth",
    "kubernetes.io/ssh-auth",
    "bootstrap.kubernetes.io/token",
)
"""Types of Secrets that hold no certificate of their own: the API server leaves them out."""
_ADDRESS: Final = re.compile(r"(?:\[([0-9a-fA-F:.%]+)\]|([^\s:/\[\]]+)):(\d{1,5})")
_LAST_PORT: Final = 65535
_TURN: Final = "clusters[].watchers.certificates."
SOURCES: Final = (
    Source(CERTIFICATES, "certificates that cert-manager renews", optional=True),
    *(Source(name, "its bundles of authorities") for name in _VIEWS if name != CERTIFICATES),
    Source(SECRETS, "TLS certificates in Secrets, their public part", f"{_TURN}secrets"),
    Source(API_SERVER, "the certificate of the API server", verbs=()),
    Source(KUBECONFIGS, "certificates in kubeconfigs", f"{_TURN}kubeconfigs", ()),
    Source(ENDPOINTS, "certificates of TLS servers", f"{_TURN}endpoints", ()),
)


def _address(text: str) -> str:
    found = _ADDRESS.fullmatch(text)
    if found is None or not 0 < int(found[3]) <= _LAST_PORT:
        raise ValueError(f"'{text}' is no address; write host:port, or [address]:port")
    return text


class EndpointConfig(Config):
    """One TLS server, or only its `address` as a text.

    `address` is host:port. `sni` is the name that it is asked for and must prove, the host where
    it is empty. `ca_file` holds whom a client of it trusts, empty: the authorities of this
    machine. `verify` false: whether it is to be trusted is not asked.
    """

    address: Annotated[str, AfterValidator(_address)]
    sni: str = ""
    ca_file: str = ""
    verify: bool = True

    @model_validator(mode="before")
    @classmethod
    def _written(cls, given: Any) -> Any:
        return {"address": given} if isinstance(given, str) else given


class KubeconfigConfig(Config):
    """One kubeconfig: its path, and the name of its signals, that of the file where empty."""

    kubeconfig: str
    name: str = ""


class CertificatesConfig(Config):
    """What is looked at beside cert-manager's Certificates and the bundles of the API.

    `every_s`: how often what changed is told. `secrets`: look at Secrets of the type
    kubernetes.io/tls; it takes the right to read Secrets, see deploy/reader-secrets-rbac.yaml.
    `other_secrets`: at those of other types too, by `keys`, globs of the names of the values that
    hold certificates (PEM, DER, PKCS#12 or JKS), with a passphrase for PKCS#12 in one of
    `passphrase_keys`. `kubeconfigs`: files, written [{kubeconfig: PATH}]. `endpoints`: TLS
    servers, written [HOST:PORT] or as blocks, asked every `endpoints_every_s`, for `handshake_s`
    at most.
    """

    every_s: PositiveFloat = 30.0
    secrets: bool = False
    other_secrets: bool = False
    keys: tuple[str, ...] = (
        *("tls.crt", "ca.crt", "*.crt", "*.cer", "*.pem", "*-cert", "*.p12", "*.pfx", "*.jks"),
    )
    passphrase_keys: tuple[str, ...] = (
        *("password", "passphrase", "keystore-password", "keystore.password", "storepass"),
    )
    kubeconfigs: tuple[KubeconfigConfig, ...] = ()
    endpoints: tuple[EndpointConfig, ...] = Field(default=(), max_length=1000)
    endpoints_every_s: PositiveFloat = 300.0
    handshake_s: PositiveFloat = 5.0


@watcher(NAME, config=CertificatesConfig, sources=SOURCES)
async def watch_certificates(
    config: CertificatesConfig, scene: Scene
) -> AsyncGenerator[list[Signal]]:
    """Yield `certificate` for each place where one is, when it changes, and heartbeats.

    A place is a Certificate of cert-manager (its Secret is not told beside it), a Secret or a
    value of it, a bundle of a webhook configuration, APIService or CustomResourceDefinition, the
    API server, a kubeconfig's user or cluster, or an endpoint. One that holds nothing readable is
    told with an `error` and without dates.

    Source: cert-manager.io/v1 status, X.509 (RFC 5280), PKCS#12 (RFC 7292), TLS handshakes.
    """
    pods = scene.kept.of("pods", mounted)
    asked = _asked(config, scene)
    asking = asyncio.create_task(asked.follow()) if config.endpoints else None
    async with mirrored(scene, _parts(config)) as mirrors:

        async def look(_: datetime) -> Looked:
            for mirror in mirrors.values():
                await mirror.ready()
            await scene.kept.ready("pods")
            looked = Looked()
            held, workloads = _objects(looked, mirrors), _workloads(pods, scene)
            looked.facts += await asyncio.to_thread(lambda: list(facts(held, workloads)))
            looked.facts += _api_server(looked, scene)
            looked.facts += await asyncio.to_thread(_kubeconfigs, looked, config)
            if asking is not None:
                await come(asked.asked, asking)
                looked.facts += _endpoints(asked)
            return looked

        try:
            async with contextlib.aclosing(
                poll(NAME, scene, _sources(config), config.every_s, look)
            ) as batches:
                async for batch in batches:
                    yield batch
        finally:
            await ended([asking] if asking else [])


def _parts(config: CertificatesConfig) -> dict[str, Part]:
    parts = {name: Part(view=view) for name, view in _VIEWS.items()}
    if config.secrets:
        others = ",".join(f"type!={name}" for name in _OTHER_TYPES)
        files = certified.Files(config.keys, config.passphrase_keys)
        parts[SECRETS] = Part(
            fields=others if config.other_secrets else f"type={certified.TLS}",
            view=certified.secret_view(files),
        )
    return parts


def _sources(config: CertificatesConfig) -> list[str]:
    given = {KUBECONFIGS: config.kubeconfigs, ENDPOINTS: config.endpoints}
    return [*_parts(config), API_SERVER, *(name for name, value in given.items() if value)]


def _asked(config: CertificatesConfig, scene: Scene) -> Endpoints:
    named = []
    for one in config.endpoints:
        found = _ADDRESS.fullmatch(one.address)
        assert found is not None  # noqa: S101 - the configuration was checked
        host = found[1] or found[2]
        server = Server(host, int(found[3]), one.sni or host)
        name = f"{one.address}/{one.sni}" if one.sni else one.address
        named.append(Endpoint(name, server, one.ca_file, one.verify))
    rhythm = Rhythm(config.endpoints_every_s, config.handshake_s)
    return Endpoints(named, rhythm, scene.memory(f"{NAME}.{ENDPOINTS}"))


def _endpoints(asked: Endpoints) -> list[Fact]:
    return [place_fact("endpoint", name, told, ENDPOINTS) for name, told in asked.data.items()]


def _workloads(
    pods: Mapping[str, tuple[str, tuple[str, ...]]], scene: Scene
) -> dict[tuple[str, str], str]:
    found: dict[tuple[str, str], str] = {}
    for uid, (namespace, names) in pods.items():
        top = scene.owners.of(uid)
        for name in names if top else ():
            place = (namespace, name)
            found[place] = min(found.get(place, top.name), top.name) if top else ""
    return found


def _objects(looked: Looked, mirrors: Mapping[str, Mirror]) -> dict[str, dict[str, Object]]:
    """Return what the mirrors hold, and tell of those that can not be read."""
    looked.faults |= {name: one.fault for name, one in mirrors.items() if one.fault}
    held = {name: dict(one.objects) for name, one in mirrors.items()}
    if mirrors[CERTIFICATES].unknown and SECRETS in held:
        # Which Secrets are told as Certificates is not known yet.
        looked.faults[SECRETS] = mirrors[CERTIFICATES].fault
        del held[SECRETS]
    return held


def _api_server(looked: Looked, scene: Scene) -> Iterator[Fact]:
    der = scene.source.certificate()
    if der:
        told = certified.shown(der)
        yield place_fact("APIServer", "kube-apiserver", told, API_SERVER, scene.identity)
    else:
        looked.faults[API_SERVER] = "not-found: the API server showed no certificate"


def _kubeconfigs(looked: Looked, config: CertificatesConfig) -> list[Fact]:
    """Return what is told of kubeconfigs; reads files."""
    found = []
    for one in config.kubeconfigs:
        name = one.name or Path(one.kubeconfig).name
        try:
            entries = kubeconfig(one.kubeconfig)
        except NoKubeconfig as error:
            if error.missing:  # what is known of it may still be so
                looked.faults[KUBECONFIGS] = str(error)
                continue
            entries = [("", {"error": str(error)})]
        for entry, told in entries:
            place = f"{name}/{entry}" if entry else name
            found.append(place_fact("kubeconfig", place, told, KUBECONFIGS))
    return found
