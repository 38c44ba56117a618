"""A person at the command line: who the token says, over the store of the configuration."""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from engine.app.acting import StoredOrders
from engine.app.config import AppConfig
from engine.app.deciding import Desk, told_of
from engine.app.opening import stored
from engine.app.pages import StoredPages
from engine.app.pages_changes import change_line
from engine.app.policy_file import places_of, policy_of, read_policy
from engine.changes.policy import Policy, User, user_of_token
from engine.model.change_row import ChangeRow
from engine.model.delivery import Delivery
from engine.model.errors import ConfigError, DogwatchError, Refused, StoreError
from engine.model.ports import SystemClock
from engine.store.store import Store
from engine.web.views import ChangeView

TOKEN = "DOGWATCH_TOKEN"  # noqa: S105 - the name of a variable


@dataclass(frozen=True)
class Person:
    """Who is known by a token, and what they can see and do."""

    user: User
    pages: StoredPages
    orders: StoredOrders
    desk: Desk

    def to_decide(self, wanted: str, choice: str) -> ChangeView:
        """Return the change meant by `wanted`: its id, or its mission's and the `choice` of it.

        `choice` is a number, from 1, as `mission show` counts them, or an id; empty: the only
        one that waits.

        Raises:
            DogwatchError: there is none, or more than one.
        """
        found = self.pages.change(self._chosen(wanted, choice), self.user)
        if found is None:
            raise StoreError(f"there is no change '{wanted}'")
        return found

    def _chosen(self, wanted: str, choice: str) -> str:
        if self.pages.store.change(wanted) is not None:
            return wanted
        listed = [change_line(one) for one in changes_of(self.pages, wanted)]
        if not listed:
            raise DogwatchError(f"mission {wanted} proposes no changes: there is nothing to decide")
        if not choice:
            waiting = [one.id for one in listed if one.waits]
            if len(waiting) == 1:
                return waiting[0]
            numbers = ", ".join(f"{at} ({one.state})" for at, one in enumerate(listed, 1))
            many = "more than one change waits" if waiting else "no change waits for a decision"
            raise DogwatchError(f"{many}; --change N takes one: {numbers}")
        named = {str(at): one.id for at, one in enumerate(listed, 1)}
        chosen = named.get(choice, choice)
        if chosen not in named.values():
            raise DogwatchError(f"no change '{choice}'; there are 1 to {len(listed)}")
        return chosen


@contextmanager
def identified(config: str, token_file: str | None) -> Iterator[Person]:
    """Give the person whose token is in `token_file` or in the environment.

    Raises:
        ConfigError: the configuration or the policy file is refused, or none is named.
        Refused: there is no token, or it is nobody's.
        StoreError: nothing was ever stored there.
    """
    with stored(config) as (store, settings):
        policy = _policy(settings, store)
        user = user_of_token(policy, _token(token_file))
        if user is None:
            raise Refused("this is the token of no user of the policy")
        clock = SystemClock()
        url = settings.changes.url or ""

        def tell(row: ChangeRow) -> Sequence[Delivery]:
            return told_of(row, policy, clock.now(), url)

        desk = Desk(store, lambda: policy, tell, clock)
        pages = StoredPages(store, settings, clock, lambda: policy)
        orders = StoredOrders(store, settings, clock, tell, lambda: policy)
        yield Person(user, pages, orders, desk)


@contextmanager
def looking(config: str) -> Iterator[StoredPages]:
    """Give what anybody may see who can read the store. Raises as `stored` does."""
    with stored(config) as (store, settings):
        yield StoredPages(store, settings, SystemClock())


def changes_of(pages: StoredPages, mission: str) -> list[ChangeRow]:
    """Return the changes of `mission`, the first one first. Raises StoreError: there is none."""
    if pages.store.mission(mission) is None:
        raise StoreError(f"there is no mission '{mission}'; see `dogwatch mission list`")
    return pages.store.changes(mission=mission, limit=1000)[::-1]


def _policy(settings: AppConfig, store: Store) -> Policy:
    """Return the policy in force: that of the file, or the last good one where it is bad.

    A typo in the file must not keep anybody from stopping what goes on by the one before.
    """
    path = settings.changes.policy_file
    if path is None:
        raise ConfigError("changes.policy_file is not configured: nobody is known")
    try:
        return read_policy(path, settings)
    except ConfigError:
        last = store.last_policy()
        if last is None:
            raise
        return policy_of(path, last, places_of(settings), complete=not settings.discover)


def _token(file: str | None) -> str:
    """Return the token of a file, or of the environment. Raises Refused, ConfigError."""
    if file is None:
        given = os.environ.get(TOKEN, "").strip()
    else:
        try:
            given = Path(file).read_text().partition("\n")[0].strip()
        except FileNotFoundError as error:
            raise ConfigError(f"--token-file: there is no file {file}") from error
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(f"--token-file {file}: {error}") from error
    if not given:
        raise Refused(f"who are you? Give your token in {TOKEN}, or a file by --token-file")
    return given
