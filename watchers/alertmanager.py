"""The receiver of Alertmanager: one signal for each alert of a notification."""

from collections.abc import Mapping
from typing import Any, Final, Literal

import msgspec
from pydantic import Field

from engine.model.ids import digest
from engine.model.signal import Signal
from watchers.alert_subject import subject
from watchers.posted import VERSION, parts, whole
from watchers.receiving import Hall, Post, Received, ReceiverOptions, Refusal, receiver

NAME: Final = "alertmanager"
_VERSION: Final = "4"
_NEVER: Final = "0001-"
"""How an instant begins that is not set."""


class AlertmanagerConfig(ReceiverOptions):
    """The options of every receiver.

    Attributes:
        cluster_label: label that names the cluster; `cluster` is that of alerts without it.
    """

    cluster_label: str = Field(default="cluster", max_length=200)


class _Alert(msgspec.Struct, rename="camel"):
    status: Literal["firing", "resolved"]
    labels: dict[str, str]
    annotations: dict[str, str] = {}
    starts_at: str = ""
    ends_at: str = ""
    generator_url: str = msgspec.field(default="", name="generatorURL")
    fingerprint: str = ""


class _Notification(msgspec.Struct, rename="camel"):
    version: str
    alerts: list[msgspec.Raw]
    receiver: str = ""
    group_key: str = ""
    truncated_alerts: int = 0


@receiver(NAME, config=AlertmanagerConfig)
async def receive_alertmanager(config: AlertmanagerConfig, post: Post, hall: Hall) -> Received:
    """Alerts of an Alertmanager, by its webhook of version 4.

    `alert` per alert; its time is that of the post, since when it fires is data.startsAt. The id
    is made of fingerprint, status, startsAt, and endsAt of what is resolved: the same state sent
    again within two hours counts once, and so do the posts of a pair of Alertmanagers.

    Source: https://prometheus.io/docs/alerting/latest/configuration/#webhook_config.
    """
    read = whole(post.body, _Notification)
    if isinstance(read, Refusal):
        return Received(refused=[read])
    if read.version != _VERSION:
        why = f"version {read.version[:20]!r}; allowed is '{_VERSION}'"
        return Received(refused=[Refusal(VERSION, why, post.body)])
    alerts, refused = await parts(read.alerts, _Alert)
    if read.truncated_alerts > 0:
        why = f"the sender left out {read.truncated_alerts} alerts of a group: see its max_alerts"
        refused.append(Refusal("left-out", why, b""))
    return Received([_signal(config, read, alert, hall) for alert, _ in alerts], refused)


def _signal(
    config: AlertmanagerConfig, notification: _Notification, alert: _Alert, hall: Hall
) -> Signal:
    cluster = alert.labels.get(config.cluster_label) or config.cluster
    identity = alert.fingerprint or digest(sorted(alert.labels.items()))[:16]
    state = [alert.status, alert.starts_at]
    if alert.status == "resolved":
        state.append(alert.ends_at)
    return Signal(
        id=f"alert/{digest([identity, *state])[:32]}",
        source=f"watchers/{NAME}/{cluster}",
        type="alert",
        subject=alert.labels.get("alertname") or identity,
        time=hall.now,
        cluster=cluster,
        data=_data(notification, alert, identity),
    )


def _data(notification: _Notification, alert: _Alert, identity: str) -> dict[str, Any]:
    labels, notes = alert.labels, alert.annotations
    texts = {
        "alert": labels.get("alertname", ""),
        "severity": labels.get("severity", ""),
        "startsAt": _instant(alert.starts_at),
        "endsAt": _instant(alert.ends_at),
        "message": _message(notes),
        "url": alert.generator_url,
        "receiver": notification.receiver,
    }
    return {
        **subject(labels),
        **{name: text for name, text in texts.items() if text},
        "status": alert.status,
        "labels": labels,
        "annotations": notes,
        "fingerprint": identity,
    }


def _instant(text: str) -> str:
    return "" if text.startswith(_NEVER) else text


def _message(notes: Mapping[str, str]) -> str:
    named = (notes.get(name, "") for name in ("summary", "message", "description"))
    return next((text for text in named if text), "")
