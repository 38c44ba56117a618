"""Accounts: what each rule did and suffered in each cluster, beside its keys.

A rule is degraded in a cluster after FAILURES errors in a row of one of its expressions (a
missing field is none), and healthy again with the first value of that expression.
"""

from collections.abc import Iterable, Mapping
from typing import Final, NamedTuple

import msgspec

from engine.rules.rule import Rule
from engine.stream.reasons import Reason

HOUR_US: Final = 3_600_000_000
FAILURES: Final = 5
Place = tuple[str, str]
"""Rule and cluster."""


class Account(msgspec.Struct, array_like=True):
    """One rule in one cluster, as it is stored.

    `launched`: instants of its latest missions; `failing`: expression -> errors in a
    row; `error`: the last one while it is degraded, else empty. `same`: dedup key -> instant at
    which the cooldown of its mission is over.
    """

    launched: list[int] = []
    failing: dict[str, int] = {}
    error: str = ""
    same: dict[str, int] = {}

    def empty(self) -> bool:
        """Whether there is nothing to remember."""
        return not (self.launched or self.failing or self.error or self.same)


class Turn(NamedTuple):
    """A rule became degraded in a cluster (`error` says why), or healthy again (no error)."""

    at: int
    rule: str
    cluster: str
    error: str


class Degraded(NamedTuple):
    """A rule that cannot judge in a cluster, and its last error."""

    rule: str
    cluster: str
    error: str


class Ledger:
    """The accounts of all rules. `cluster` and `at`: what is being folded, and how far.

    `failing` are those of which an expression failed when it was last asked; `passed` is of use
    only while there are any.
    """

    __slots__ = ("accounts", "at", "cluster", "failing", "touched", "turns")

    def __init__(self) -> None:
        self.accounts: dict[Place, Account] = {}
        self.cluster = ""
        self.at = 0
        self.turns: list[Turn] = []
        self.touched: set[Place] = set()
        self.failing: set[Place] = set()

    def place(self, rule: str, cluster: str, account: Account) -> None:
        """Take in an account of a checkpoint."""
        self.accounts[rule, cluster] = account
        if account.failing:
            self.failing.add((rule, cluster))

    def refuses(self, rule: Rule, cluster: str, same: str, at: int) -> Reason | None:
        """Return what keeps a mission with the dedup key `same` from going at `at`, if anything.

        Missions launched after `at` count too.
        """
        account = self.accounts.get((rule.name, cluster))
        if account is None:
            return None
        if at < account.same.get(same, at):
            return Reason.DUPLICATE
        launched = sum(one > at - HOUR_US for one in account.launched)
        return Reason.RATE_LIMIT if 0 < rule.max_per_hour <= launched else None

    def launch(self, rule: Rule, cluster: str, same: str, at: int) -> None:
        """Take note of a mission and its dedup key, if it has one, where the rule limits them.

        What is long before it is forgotten.
        """
        if rule.max_per_hour:
            account = self._account((rule.name, cluster))
            edge = at - 2 * HOUR_US  # instants are asked about out of order, by minutes
            account.launched = sorted([*(one for one in account.launched if one > edge), at])
        if same and rule.cooldown_us:
            account = self._account((rule.name, cluster))
            kept = {name: end for name, end in account.same.items() if end > at}
            account.same = {**kept, same: at + rule.cooldown_us}

    def failed(self, rule: str, expression: str, error: str) -> None:
        """Take note of an error of `expression` in the present cluster."""
        place = rule, self.cluster
        account = self._account(place)
        count = account.failing[expression] = account.failing.get(expression, 0) + 1
        self.failing.add(place)
        if count >= FAILURES and not account.error:
            account.error = error
            self.turns.append(Turn(self.at, rule, self.cluster, error))

    def passed(self, rule: str, expression: str) -> None:
        """Take note of a value of `expression` in the present cluster."""
        place = rule, self.cluster
        if place in self.failing and expression in self.accounts[place].failing:
            self._recover(place, {expression})

    def keep(self, expressions: Mapping[str, set[str]]) -> None:
        """Go on with the rules (name -> texts of expressions) alone."""
        for place in sorted(self.accounts):
            account = self.accounts[place]
            known = expressions.get(place[0])
            self._recover(place, set(account.failing) - (known or set()))
            if known is None:
                account.launched, account.same = [], {}
                self.touched.add(place)

    def leave(self, cluster: str) -> None:
        """Close the accounts of a cluster that left."""
        for place in sorted(place for place in self.accounts if place[1] == cluster):
            account = self.accounts[place]
            self._recover(place, set(account.failing))
            account.launched, account.same = [], {}
            self.touched.add(place)

    def degraded(self) -> list[Degraded]:
        """Return the rules that are degraded, in order of rule and cluster."""
        found = (Degraded(*place, account.error) for place, account in self.accounts.items())
        return sorted(one for one in found if one.error)

    def changes(self) -> dict[Place, Account | None]:
        """Return the accounts touched since the last call; None: nothing to remember."""
        found: dict[Place, Account | None] = {}
        for place in sorted(self.touched):
            account = self.accounts[place]
            found[place] = None if account.empty() else account
            if account.empty():
                del self.accounts[place]
        self.touched.clear()
        return found

    def _recover(self, place: Place, expressions: Iterable[str]) -> None:
        account = self.accounts[place]
        for expression in expressions:
            del account.failing[expression]
            self.touched.add(place)
        if not account.failing:
            self.failing.discard(place)
        if account.error and max(account.failing.values(), default=0) < FAILURES:
            account.error = ""
            self.turns.append(Turn(self.at, *place, ""))

    def _account(self, place: Place) -> Account:
        self.touched.add(place)
        account = self.accounts.get(place)
        if account is None:
            account = self.accounts[place] = Account()
        return account
