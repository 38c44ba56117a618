"""The rules in force and the routes: what all folds of a process share."""

from typing import TYPE_CHECKING

from engine import meters
from engine.app.config import AppConfig
from engine.missions.notices import Route
from engine.rules.rule import Rule, RuleSet

if TYPE_CHECKING:
    from collections.abc import Mapping

    from engine.store.store import Store


class InForce:
    """`rules` are in force, `routes` tell who hears of firings whose rule names nobody."""

    def __init__(self, rules: RuleSet, routes: tuple[Route, ...], store: "Store") -> None:
        self.routes = routes
        self._store = store
        self._known: dict[str, Rule] = {}
        self.swap(rules)

    def swap(self, rules: RuleSet) -> None:
        """Put `rules` in force; those before stay known, for what they left open."""
        self.rules = rules
        self._known.update((rule.name, rule) for rule in rules.rules)
        meters.in_force(len(rules.rules), rules.digest)

    def rule_of(self, name: str, firing: str) -> Rule | None:
        """Return the rule that `firing` came of, to know whom to tell; None for no rule.

        That is the one in force, or the last of this name; after a restart without it, one
        made of the labels kept with the firing, so that routes still find who waits.
        """
        if name in self._known or not name:
            return self._known.get(name)
        row = self._store.firing(firing)
        labels: Mapping[str, str] = row.labels if row else {}
        return Rule(name, (), (), "", labels=labels)


def routes_of(settings: AppConfig) -> tuple[Route, ...]:
    """Return the routes of the configuration as the notices take them."""
    return tuple(
        Route(
            tuple(one.sinks),
            {name: tuple(globs) for name, globs in one.match.items()},
            tuple(one.on),
        )
        for one in settings.routes
    )
