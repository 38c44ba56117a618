"""`dogwatch doctor`: which sources work, what is missing, and which rules hear nothing for it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from engine.app.configured import load_config
from engine.app.rule_files import load_paths
from engine.app.sources import Checked, Looked, State, look
from engine.model.signal import LEVEL_TYPES, Signal
from engine.report.clean import clean
from engine.rules.rule import Rule, Selector
from engine.stream.selection import Selection

_LASTING = LEVEL_TYPES - {"condition", "watcher"}
"""Types of which something is there on any day: that no Event or alert comes is no lack."""
_FEW = 4
_CELL = 90
SHOWN = 300
"""Characters of a sentence that are shown."""


@dataclass(frozen=True)
class Examined:
    """What doctor says of one cluster; `deaf` are the rules for which nothing came, and of what."""

    cluster: str
    version: str
    identity: str
    fault: str
    sources: tuple[Checked, ...]
    deaf: dict[str, str]

    @property
    def sick(self) -> bool:
        """Whether something that should be read cannot be."""
        return bool(self.fault) or any(one.state is State.FAULT for one in self.sources)

    @property
    def title(self) -> str:
        """The cluster and whether it answers."""
        if self.fault:
            return f"cluster {self.cluster}: {clean(self.fault, SHOWN)}"
        return f"cluster {self.cluster}: {self.version}, uid {self.identity}"

    def rows(self) -> Iterator[tuple[str, str, str, str, str]]:
        """Yield watcher, source, state, what was seen and what that gives, or why it does not.

        Of a watcher with many sources those that work share a row.
        """
        for watcher in dict.fromkeys(one.watcher for one in self.sources):
            own = [one for one in self.sources if one.watcher == watcher]
            well = [one for one in own if one.state is State.OK]
            if len(well) > _FEW:
                seen = sum(one.seen for one in well)
                named = ", ".join(one.source.partition(".")[0] for one in well[:_FEW])
                more = f"{named} and {len(well) - _FEW} more"
                yield watcher, more, State.OK, str(seen), "objects as signals"
            for one in own:
                if one not in well or len(well) <= _FEW:
                    yield _row(one)

    def advice(self) -> Iterator[str]:
        """Yield what would give what is missing, and the rules that wait for it."""
        for one in self.sources:
            if one.fix and one.state in {State.FAULT, State.OFF}:
                yield f"  for {one.source or one.watcher}: {one.fix}"
        if self.deaf:
            yield f"  nothing here for {len(self.deaf)} of the rules to judge:"
            for what in sorted(set(self.deaf.values())):
                names = sorted(name for name, lacks in self.deaf.items() if lacks == what)
                yield f"    no {what}: {', '.join(names)}"


def _row(one: Checked) -> tuple[str, str, str, str, str]:
    seen = str(one.seen) if one.state is State.OK else ""
    why = one.why.partition(":")[0] if one.fix else one.why
    return one.watcher, one.source, one.state, seen, clean(why or one.gives, _CELL)


async def examined(config: str, named: Sequence[str]) -> list[Examined]:
    """Return what is to be said of each cluster of `named`, or of all.

    Raises:
        ConfigError, RuleError: configuration or rules are refused.
        DogwatchError: there is no such cluster.
    """
    settings = load_config(config)
    rules = load_paths(settings.rules).rules
    return [_examined(one, rules) for one in await look(config, named)]


def _examined(found: Looked, rules: Sequence[Rule]) -> Examined:
    deaf = {} if found.fault else dict(_deaf(rules, found.signals, found.cluster))
    return Examined(found.cluster, found.version, found.identity, found.fault, found.sources, deaf)


def _deaf(
    rules: Sequence[Rule], signals: Sequence[Signal], cluster: str
) -> Iterator[tuple[str, str]]:
    """Yield each rule for which there is nothing to judge, and what it wants."""
    for rule in rules:
        wanted = [one for one in rule.on if one.type in _LASTING and _here(one, cluster)]
        if not wanted or len(wanted) < len(rule.on):
            continue
        selections = [Selection(one) for one in wanted]
        if not any(one.takes(signal) for signal in signals for one in selections):
            yield rule.name, " or ".join(dict.fromkeys(map(_named, wanted)))


def _here(selector: Selector, cluster: str) -> bool:
    return not selector.clusters or any(fnmatchcase(cluster, glob) for glob in selector.clusters)


def _named(selector: Selector) -> str:
    return " ".join([selector.type, *selector.metrics, *selector.kinds])
