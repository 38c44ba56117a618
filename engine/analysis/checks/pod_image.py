"""Containers whose image can not be had: why, and which image, Secret or registry is to blame."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from engine.analysis.cluster_view import ClusterView
from engine.analysis.field import mapping, mappings, namespace_of, text
from engine.analysis.image import UNKNOWN, PullError, read_pull_error, registry_of
from engine.analysis.pod import Container, containers, created, is_done
from engine.analysis.symptom import Cause, Check, Found, Origin, Symptom, evidence
from engine.analysis.text import clean
from engine.model.report import Evidence, ObjectRef, Severity

WAITING: Final = frozenset(
    {
        "ImagePullBackOff",
        "ErrImagePull",
        "InvalidImageName",
        "ErrImageNeverPull",
        "ImageInspectError",
        "RegistryUnavailable",
        "SignatureValidationFailed",
    }
)
# A reason that says all by itself, whatever the message.
_BY_REASON: Final = ("InvalidImageName", "ErrImageNeverPull", "RegistryUnavailable")


@dataclass(frozen=True, slots=True)
class _Pull:
    view: ClusterView
    pod: Mapping[str, Any]
    container: Container

    @property
    def ref(self) -> ObjectRef:
        return self.view.ref(self.pod)

    @property
    def image(self) -> str:
        return self.container.image or text(self.container.status, "image")

    def without_image(self, message: str) -> str:
        """A tag such as `web:404` must not be read as the registry's answer."""
        return message.replace(self.image, "image") if self.image else message


def image_pulls(view: ClusterView) -> Iterator[Found]:
    """Yield each container that waits for an image that it can not get."""
    for pod in view.of("Pod"):
        if is_done(pod):
            continue
        for container in containers(pod):
            if container.waiting in WAITING:
                yield _symptom(_Pull(view, pod, container))


def _symptom(pull: _Pull) -> Symptom:
    container = pull.container
    error, told = _error(pull)
    cause, more = _cause(pull, error)
    seen = evidence(
        Origin.STATUS,
        pull.ref,
        f"{container.path}.state.waiting",
        f"{container.waiting}: {container.waiting_message}",
    )
    return Symptom(
        check="pod-image-pull",
        severity=Severity.HIGH,
        object=pull.ref,
        title=f"container {container.name} can not get its image",
        observed=clean(f"{container.waiting} for image {pull.image}"),
        expected="the image is pulled and the container starts",
        cause=cause,
        evidence=(seen, *told, *more),
        container=container.name,
        path=container.path,
        confidence=0.5 if error is UNKNOWN else 0.95,
        since=created(pull.pod),
    )


def _error(pull: _Pull) -> tuple[PullError, tuple[Evidence, ...]]:
    """Read the Events of this image first: the waiting message is often a mere back-off."""
    events = [
        event
        for event in pull.view.events_of(pull.pod, "Failed", "FailedToRetrieveImagePullSecret")
        if event.container in {"", pull.container.name}
    ]
    for event in reversed(events):
        error = read_pull_error(pull.without_image(event.message))
        if error:
            said = evidence(Origin.EVENT, pull.ref, event.reason, event.message, event.last)
            return error, (said,)
    waiting = pull.container.waiting
    spoken = waiting if waiting in _BY_REASON else pull.container.waiting_message
    return read_pull_error(pull.without_image(spoken)) or UNKNOWN, ()


def _cause(pull: _Pull, error: PullError) -> tuple[Cause, tuple[Evidence, ...]]:
    secret = _missing_secret(pull) if error.word in {"image-unauthorized", "image-pull"} else None
    if secret is not None:
        where = evidence(
            Origin.ABSENCE, secret, "", "named by imagePullSecrets, and not in the namespace"
        )
        cause = Cause(
            "pull-secret-missing",
            secret,
            clean(f"the pull secret {secret.name} does not exist in {secret.namespace}"),
            remedies=("fix-pull-secret", "rollback"),
        )
        return cause, (where,)
    image = clean(pull.image)
    asked = evidence(
        Origin.SPEC, pull.ref, f"spec.containers[{pull.container.name}].image", pull.image
    )
    if error.whole_registry:
        host = clean(registry_of(pull.image))
        registry = ObjectRef(cluster=pull.view.name, kind="Registry", name=host)
        cause = Cause(error.word, registry, f"{error.title}: {host}", "", error.remedies)
        return cause, (asked,)
    workload = pull.view.workload(pull.pod)
    return Cause(error.word, workload, f"{error.title}: {image}", image, error.remedies), (asked,)


def _missing_secret(pull: _Pull) -> ObjectRef | None:
    namespace = namespace_of(pull.pod)
    account = text(pull.pod, "spec", "serviceAccountName") or "default"
    found = pull.view.get("ServiceAccount", namespace, account)
    named = [
        text(entry, "name")
        for owner in (mapping(pull.pod, "spec"), mapping(found))
        for entry in mappings(owner, "imagePullSecrets")
    ]
    for name in named:
        if name and pull.view.missing("Secret", namespace, name):
            return pull.view.named("Secret", namespace, name)
    return None


CHECKS = (Check("pod-image-pull", "containers without their image", image_pulls, ("pods",), "Pod"),)
