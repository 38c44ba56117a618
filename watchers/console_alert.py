"""The receiver of the alerts of KubeStellar Console."""

from typing import Any, Final

import msgspec

from engine.model.ids import digest
from engine.model.signal import Signal
from watchers.posted import BAD_FORM, whole
from watchers.receiving import Hall, Post, Received, ReceiverOptions, Refusal, receiver

NAME: Final = "console-alert"
_STATES: Final = {"firing": "firing", "resolved": "resolved", "active": "firing"}
_TEST: Final = "test"
"""The status of what its button for a test sends: nothing happened."""


class ConsoleAlertConfig(ReceiverOptions):
    """The options of every receiver; Console signs nothing, so it needs `secret_file`."""


class _Alert(msgspec.Struct, rename="camel"):
    alert: str
    status: str
    severity: str = ""
    cluster: str = ""
    namespace: str = ""
    resource: str = ""
    message: str = ""
    timestamp: str = ""
    rule_id: str = msgspec.field(default="", name="ruleId")
    id: str = ""


@receiver(NAME, config=ConsoleAlertConfig)
async def receive_console_alert(config: ConsoleAlertConfig, post: Post, hall: Hall) -> Received:
    """Alerts of KubeStellar Console, by its webhook.

    `alert` per post; the resource is the name of what it is about, whose kind is not told. A test
    of the connection is answered and makes no signal.

    Source: payload of the generic webhook of KubeStellar Console, 2026.
    """
    read = whole(post.body, _Alert)
    if isinstance(read, Refusal):
        return Received(refused=[read])
    if read.status == _TEST:
        return Received()
    if read.status not in _STATES:
        allowed = f"allowed are {', '.join([*_STATES, _TEST])}"
        return Received(refused=[Refusal(BAD_FORM, f"unknown status; {allowed}", post.body)])
    return Received([_signal(config, read, hall)])


def _signal(config: ConsoleAlertConfig, alert: _Alert, hall: Hall) -> Signal:
    cluster = alert.cluster or config.cluster
    about = (alert.rule_id, alert.alert, alert.namespace, alert.resource)
    identity = alert.id or digest(list(about))[:16]
    return Signal(
        id=f"console-alert/{digest([identity, alert.status, alert.timestamp])[:32]}",
        source=f"watchers/{NAME}/{cluster}",
        type="alert",
        subject=alert.alert or identity,
        time=hall.now,
        cluster=cluster,
        data=_data(alert, identity),
    )


def _data(alert: _Alert, identity: str) -> dict[str, Any]:
    texts = {
        "alert": alert.alert,
        "severity": alert.severity,
        "namespace": alert.namespace,
        "name": alert.resource,
        "workload": alert.resource,
        "message": alert.message,
        "startsAt": alert.timestamp,
    }
    return {
        **{name: text for name, text in texts.items() if text},
        "status": _STATES[alert.status],
        "labels": {"ruleId": alert.rule_id} if alert.rule_id else {},
        "fingerprint": identity,
    }
