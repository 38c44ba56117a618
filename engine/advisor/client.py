"""The one way to the model: a single message, structured output, own time-outs, no retries."""

import asyncio
import ssl
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

from engine.advisor.question import SYSTEM, Question
from engine.advisor.settings import AdvisorConfig
from engine.model.errors import DogwatchError


class ModelError(DogwatchError):
    """The model gave no answer; `reason` is a short stable word, `again` whether to ask again.

    `tokens` is what it cost all the same.
    """

    def __init__(
        self, reason: str, message: str, *, again: bool, wait_s: float = 0.0, tokens: int = 0
    ) -> None:
        self.reason = reason
        self.again = again
        self.wait_s = wait_s
        self.tokens = tokens
        super().__init__(message)


@dataclass(frozen=True)
class Reply:
    """What came back: the text, and the tokens that it cost."""

    text: str
    tokens: int


async def ask(config: AdvisorConfig, question: Question, within_s: float) -> Reply:
    """Ask once, and wait `within_s` seconds at most.

    Raises:
        ModelError: no-key, refused, cut, throttled, overloaded, timeout, unreachable, rejected.
    """
    key = _key(config)
    anthropic: Any = await asyncio.to_thread(import_module, "anthropic")  # takes a second
    http = anthropic.DefaultAsyncHttpxClient(
        verify=_trust(), trust_env=False, follow_redirects=False
    )
    client = anthropic.AsyncAnthropic(
        api_key=key, base_url=config.base_url, timeout=within_s, max_retries=0, http_client=http
    )
    try:
        async with asyncio.timeout(within_s), client:
            message = await client.messages.create(
                model=config.model,
                max_tokens=config.max_tokens,
                system=SYSTEM,
                messages=[{"role": "user", "content": question.text}],
                output_config={"format": {"type": "json_schema", "schema": question.schema}},
            )
    except TimeoutError as error:
        raise ModelError("timeout", f"no answer within {within_s:g} s", again=False) from error
    except anthropic.APIStatusError as error:
        raise _refusal(error) from error
    except anthropic.APIConnectionError as error:
        word = "timeout" if isinstance(error, anthropic.APITimeoutError) else "unreachable"
        raise ModelError(word, f"{type(error).__name__}", again=True) from error
    except (anthropic.AnthropicError, ValueError, TypeError, AttributeError) as error:
        raise ModelError(
            "rejected", f"an answer of a strange shape: {error}", again=True
        ) from error
    return _reply(message)


@cache
def _trust() -> ssl.SSLContext:
    return ssl.create_default_context()  # takes longer to make than a question


def _key(config: AdvisorConfig) -> str:
    if config.key_file is None:
        raise ModelError("no-key", "no key is configured", again=False)
    try:
        key = Path(config.key_file).read_text(encoding="ascii").partition("\n")[0].strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ModelError("no-key", f"{config.key_file}: can not be read", again=False) from error
    if not key:
        raise ModelError("no-key", f"{config.key_file}: its first line is empty", again=False)
    return key


def _refusal(error: Any) -> ModelError:
    status = int(error.status_code)
    reason = {429: "throttled", 529: "overloaded"}.get(status, "rejected")
    again = reason != "rejected" or status >= 500  # noqa: PLR2004 - of HTTP
    asked = error.response.headers.get("retry-after", "")
    wait_s = float(asked) if asked.isascii() and asked.isdigit() else 1.0
    return ModelError(reason, f"status {status}", again=again, wait_s=wait_s)


def _reply(message: Any) -> Reply:
    """Return the text of a message that ended well. Raises ModelError."""
    try:
        tokens = int(message.usage.input_tokens) + int(message.usage.output_tokens)
        text = "".join(one.text for one in message.content if one.type == "text")
        stopped = message.stop_reason
    except (AttributeError, TypeError, ValueError) as error:
        raise ModelError("rejected", "an answer of a strange shape", again=True) from error
    if stopped == "refusal":
        raise ModelError("refused", "the model refused", again=False, tokens=tokens)
    if stopped != "end_turn":
        raise ModelError("cut", f"the answer ended by {stopped}", again=True, tokens=tokens)
    return Reply(text, tokens)
