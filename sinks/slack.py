"""Slack: one thread per incident by a bot token, or plain messages by an incoming webhook."""

import json
import re
from collections.abc import Mapping
from typing import Any, Self

from pydantic import Field, SecretStr, model_validator

from engine.model.change_state import ChangeState
from engine.model.delivery import Delivery, Occasion, Receipt
from engine.model.errors import Rejected, Retryable
from engine.report import fallback, to_blocks
from engine.report.slack import to_line
from sinks.answers import judge, retry_after
from sinks.egress import Answer, EgressOptions, target_of
from sinks.registry import Line, Thread, sink
from sinks.secret import one_of, reveal

RETRY_WORDS = frozenset(
    {
        "accesslimited",
        "fatal_error",
        "internal_error",
        "message_limit_exceeded",
        "ratelimited",
        "rate_limited",
        "request_timeout",
        "rollup_error",
        "service_unavailable",
        "team_added_to_org",
        "team_not_found",
    }
)
"""Error words of Slack after which the same request may succeed; all others are final."""

GONE_WORDS = frozenset(
    {"cant_update_message", "edit_window_closed", "is_inactive", "message_not_found"}
)
"""Error words that say: the first message can no longer be edited."""

_WORD = re.compile(r"[a-z][a-z0-9_]{0,63}")


class SlackConfig(EgressOptions):
    """A channel, by one of two ways.

    Attributes:
        token: bot token with chat:write; needs `channel`. Or `token_file`.
        channel: id or #name of a channel the bot is in.
        webhook_url: URL of an incoming webhook, a secret. Or `webhook_url_file`. No threads.
        base_url: where the Web API is.
        signing_secret_file: holds the app's signing secret: clicks are taken, so that messages
            about changes that wait have buttons. Needs a token.
        app_token_file: holds an app-level token with connections:write: clicks are fetched by
            Socket Mode, where Slack cannot reach dogwatch. Needs a token.
    """

    token: SecretStr | None = None
    token_file: str | None = None
    channel: str = Field(default="", pattern=r"^(#?[^\s#@<>&]{1,80})?$")
    webhook_url: SecretStr | None = None
    webhook_url_file: str | None = None
    base_url: str = "https://slack.com/api"
    signing_secret_file: str | None = None
    app_token_file: str | None = None

    @property
    def has_buttons(self) -> bool:
        """Whether clicks on buttons are taken, one way or the other."""
        return self.signing_secret_file is not None or self.app_token_file is not None

    @property
    def by_webhook(self) -> bool:
        """Whether messages go by an incoming webhook."""
        return self.webhook_url is not None or self.webhook_url_file is not None

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        one_of(self, "token", needed=not self.by_webhook)
        one_of(self, "webhook_url", needed=False)
        if self.by_webhook and (self.token or self.token_file or self.channel):
            raise ValueError("a webhook_url excludes token and channel")
        if self.by_webhook and self.has_buttons:
            raise ValueError("a webhook_url excludes buttons: they need a token and a channel")
        if not self.by_webhook and not self.channel:
            raise ValueError("with a token the channel is needed")
        target_of(self.base_url, allow_http=self.allow_loopback_http)
        if self.webhook_url is not None:
            target_of(self.webhook_url.get_secret_value(), allow_http=self.allow_loopback_http)
        return self


class _Refused(Rejected):
    """Slack answered with an error word that is final."""

    def __init__(self, word: str, method: str) -> None:
        self.word = word
        super().__init__(f"Slack refused {method}: {word}")


@sink("slack", config=SlackConfig)
async def send_slack(line: Line[SlackConfig], delivery: Delivery, thread: Thread | None) -> Receipt:
    """Post to the channel; what follows an incident goes into its thread.

    A resolve edits the first message and says so in the thread, as an edit alone tells nobody.
    So does the end of a change with the messages that asked for it.

    Args:
        line: options, clock and client.
        delivery: what to tell.
        thread: `channel` and `ts` of the first message of the incident, `ask CHANGE KEY` for the
            `ts` of each message that asked for a decision.

    Raises:
        Retryable: 429 (with its wait), 5xx, no answer, or a word of RETRY_WORDS.
        Rejected: any other refusal.

    Source: Slack Web API chat.postMessage and chat.update, incoming webhooks.
    """
    if line.options.by_webhook:
        return await _send_by_webhook(line, delivery)
    blocks = to_blocks(delivery, buttons=line.options.has_buttons)
    message = {"text": fallback(delivery), "blocks": blocks}
    if thread is None or not thread.get("ts"):
        first = {"channel": line.options.channel, **message}
        posted = await _call(line, delivery, "chat.postMessage", first)
        found = _thread_of(posted)
        return Receipt(detail="posted", thread={**found, **_asked(delivery, posted)})
    edited = await _edit_all(line, delivery, thread, message)
    if edited and delivery.applied is not None and not ChangeState(delivery.applied.state).final:
        return Receipt(detail="edited", thread=dict(thread))
    rest = {"text": message["text"]} if edited else message
    reply: dict[str, Any] = {
        "channel": thread["channel"],
        "thread_ts": thread["ts"],
        **rest,
    }
    if delivery.ask is not None:
        reply["reply_broadcast"] = True  # who is asked may not follow the thread
    posted = await _call(line, delivery, "chat.postMessage", reply)
    return Receipt(detail="posted to the thread", thread={**thread, **_asked(delivery, posted)})


async def _edit_all(
    line: Line[SlackConfig], delivery: Delivery, thread: Thread, message: Mapping[str, Any]
) -> bool:
    """Edit what `delivery` makes untrue; return whether the whole of it is to be read there."""
    edited = False
    for ts in _outdated(delivery, thread):
        said = {**message, "blocks": to_line(delivery)} if edited else message
        place = {"channel": thread["channel"], "ts": ts}
        try:
            await _call(line, delivery, "chat.update", {**place, **said})
        except _Refused as refused:
            if refused.word not in GONE_WORDS:
                raise
        else:
            edited = True
    return edited


def _outdated(delivery: Delivery, thread: Thread) -> list[str]:
    """Return `ts` of the messages to edit: the first one, or those that asked, oldest first."""
    if delivery.change is Occasion.RESOLVE:
        return [thread["ts"]]
    if delivery.applied is None:
        return []
    about = f"ask {delivery.applied.id} "
    return sorted(ts for name, ts in thread.items() if name.startswith(about))


def _asked(delivery: Delivery, posted: Mapping[str, Any]) -> dict[str, str]:
    """Return what lets a later delivery find this message, where it asks for a decision."""
    ts = posted.get("ts")
    if delivery.ask is None or delivery.ask.more or not isinstance(ts, str):
        return {}
    return {f"ask {delivery.ask.change} {delivery.key}": ts}


async def _send_by_webhook(line: Line[SlackConfig], delivery: Delivery) -> Receipt:
    options = line.options
    url = reveal(options.webhook_url, options.webhook_url_file) or ""
    message = {"text": fallback(delivery), "blocks": to_blocks(delivery)}
    answer = await _post(line, url, message, {"Idempotency-Key": delivery.key})
    text = answer.body.decode(errors="replace").strip()
    _judge(line, answer, "the incoming webhook", text if _WORD.fullmatch(text) else "")
    return Receipt(detail="posted")


async def _call(
    line: Line[SlackConfig], delivery: Delivery, method: str, arguments: Mapping[str, Any]
) -> Mapping[str, Any]:
    """Call a method of the Web API and return its answer, whose `ok` is true."""
    options = line.options
    token = reveal(options.token, options.token_file) or ""
    if not (token.isascii() and token.isprintable() and " " not in token):
        raise Retryable("the Slack token is no single word of ASCII")
    message = {
        "unfurl_links": False,
        "unfurl_media": False,
        "metadata": {"event_type": "dogwatch_delivery", "event_payload": {"key": delivery.key}},
        **arguments,
    }
    headers = {"Authorization": f"Bearer {token}", "Idempotency-Key": delivery.key}
    url = f"{options.base_url.rstrip('/')}/{method}"
    answer = await _post(line, url, message, headers)
    _judge(line, answer, f"Slack's {method}", "")
    return _understood(line, answer, method)


def _understood(line: Line[SlackConfig], answer: Answer, method: str) -> Mapping[str, Any]:
    try:
        said = json.loads(answer.body)
    except ValueError:
        said = None
    if not isinstance(said, dict):
        raise Retryable(f"Slack's {method} answered what is no JSON object")
    if said.get("ok") is True:
        return said
    word = str(said.get("error"))
    word = word if _WORD.fullmatch(word) else "an unknown error"
    if word in RETRY_WORDS:
        raise Retryable(f"Slack's {method}: {word}", retry_after_s=_wait_s(line, answer))
    raise _Refused(word, method)


async def _post(
    line: Line[SlackConfig], url: str, message: Mapping[str, Any], headers: Mapping[str, str]
) -> Answer:
    body = json.dumps(message, ensure_ascii=True, separators=(",", ":")).encode()
    kind = {"Content-Type": "application/json; charset=utf-8"}
    return await line.egress.post(url, body, {**kind, **headers})


def _judge(line: Line[SlackConfig], answer: Answer, who: str, detail: str) -> None:
    judge(answer.status, who, detail=detail, retry_after_s=_wait_s(line, answer))


def _wait_s(line: Line[SlackConfig], answer: Answer) -> float | None:
    return retry_after(answer.headers.get("retry-after"), line.clock.now())


def _thread_of(posted: Mapping[str, Any]) -> dict[str, Any]:
    channel, ts = posted.get("channel"), posted.get("ts")
    if isinstance(channel, str) and isinstance(ts, str):
        return {"channel": channel, "ts": ts}
    return {}
