"""Where people come in: the desk, and the ways by which decisions reach it."""

import asyncio
import json
from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from engine.app.acting import StoredOrders
from engine.app.config import AppConfig, ClusterConfig
from engine.app.configured import options
from engine.app.deciding import Desk, told_of, wanted_of
from engine.app.keys import signing_key
from engine.app.pages import StoredPages
from engine.app.policies import Policies
from engine.app.sign_in import SignIn
from engine.changes.policy import Needed
from engine.model.change_row import ChangeRow
from engine.model.delivery import Ask, Delivery
from engine.model.errors import Retryable
from engine.model.ports import Clock
from engine.store.store import Store
from engine.web.links import LinkPorts, signer
from engine.web.links import routes as link_routes
from engine.web.ports import People
from engine.web.slack import SlackPorts
from engine.web.slack import routes as slack_routes
from sinks.egress import Egress
from sinks.registry import kinds
from sinks.secret import reveal

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.routing import BaseRoute

    from engine.rules.rule import RuleSet


class Front:
    """The desk of this process, with what signs and receives for it.

    `told` is called when there may be something to deliver. Raises ConfigError for a key that is
    no key.
    """

    def __init__(
        self,
        settings: AppConfig,
        store: Store,
        policies: Policies,
        clock: Clock,
        told: "Callable[[], None]",
    ) -> None:
        self._settings = settings
        self._store = store
        self.policies = policies
        self._clock = clock
        self.configs: Callable[[], Sequence[ClusterConfig]] = lambda: settings.clusters
        self._key = signing_key(settings)
        self._url = settings.changes.url or ""
        self._base = urlsplit(self._url).path.rstrip("/")
        self.sign_in = SignIn(lambda: policies.policy, clock)
        self.desk = Desk(
            store, lambda: policies.policy, self.decided, clock, told, self.sign_in.user_of_token
        )

    async def run(self) -> None:
        """Keep the policy, and the keys of who vouches for users, up to date for ever."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self.policies.run())
            group.create_task(self.sign_in.run())

    def people(
        self, rules: "Callable[[], RuleSet | None]", problems: "Callable[[], Mapping[str, str]]"
    ) -> People | None:
        """Return what pages and API work with; None where several processes share no key."""
        if self._key is None:
            return None
        return People(
            desk=self.desk,
            pages=StoredPages(
                self._store,
                self._settings,
                self._clock,
                policy=lambda: self.policies.policy,
                in_force=rules,
                problems=problems,
                configs=self.configs,
            ),
            orders=StoredOrders(
                self._store,
                self._settings,
                self._clock,
                self.decided,
                lambda: self.policies.policy,
                self.configs,
            ),
            clock=self._clock,
            key=self._key,
            base=self._base,
            secure=urlsplit(self._url).scheme == "https",
        )

    def sign(self, ask: Ask, address: str) -> str:
        """Return the link by which `address` may decide about `ask`, empty where there is none."""

        def knows(one: str) -> bool:
            return self.desk.user_of_email(one) is not None

        return signer(self._keys, self._url, knows)(ask, address)

    def decided(self, row: ChangeRow) -> Sequence[Delivery]:
        """Return who is told at once that a decision was made about `row`."""
        return told_of(row, self.policies.policy, self._clock.now(), self._url)

    def routes(self) -> "list[BaseRoute]":
        """Return the receivers of clicks in Slack and of links in mails."""
        links = LinkPorts(
            desk=self.desk,
            clock=self._clock,
            keys=self._keys,
            change=self._store.change,
            needed=self._needed,
            base=self._base,
        )
        return [*self._slack(), *link_routes(links)]

    def _keys(self) -> Sequence[bytes]:
        return [self._key] if self._key else []

    def _needed(self, row: ChangeRow) -> Needed:
        return wanted_of(row, self.policies.policy)

    def _buttons(self) -> list[Any]:
        """Return the options of the Slack sinks that have buttons."""
        config = kinds()["slack"].config
        slack = [options(one) for one in self._settings.sinks.values() if one.type == "slack"]
        return [one for one in map(config.model_validate, slack) if one.has_buttons]

    def _slack(self) -> "list[BaseRoute]":
        """Return the receiver of clicks, where a sink has buttons."""
        buttons = self._buttons()
        return [*slack_routes(self._clicks(buttons))] if buttons else []

    def _clicks(self, buttons: Sequence[Any]) -> SlackPorts:
        egress = Egress(buttons[0])

        async def reply(url: str, message: Mapping[str, Any]) -> None:
            body = json.dumps(message).encode()
            answer = await egress.post(url, body, {"Content-Type": "application/json"})
            if answer.status >= 300:  # noqa: PLR2004 - of HTTP
                raise Retryable(f"Slack answered {answer.status}")

        def secrets() -> list[str]:
            files = [one.signing_secret_file for one in buttons if one.signing_secret_file]
            told = [reveal(None, file) or "" for file in files]
            return [line.strip() for text in told for line in text.splitlines() if line.strip()]

        return SlackPorts(self.desk, self._clock, secrets, reply, buttons[0].base_url)

    async def fetch(self) -> None:
        """Fetch clicks from Slack for ever, for sinks into which nothing can come."""
        fetching = [one for one in self._buttons() if one.app_token_file]
        if not fetching:
            return
        # It takes long to import, and few need it.
        from engine.web.slack_socket import fetch  # noqa: PLC0415

        async with asyncio.TaskGroup() as group:
            for one in fetching:
                group.create_task(fetch(self._clicks([one]), partial(_token, one.app_token_file)))


def _token(path: str) -> str:
    return reveal(None, path) or ""
