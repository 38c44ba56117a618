"""`dogwatch doctor`: which sources work, what is missing, and which rules hear nothing for it."""

import textwrap
from collections.abc import Callable, Iterator, Sequence
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
WIDTH = 120
"""Columns of a line, as far as what must stay in one piece allows it."""
_AS_SIGNALS = " as signals"
_OWN = "dogwatch_"
"""How the metrics of dogwatch itself begin: no cluster gives them, each process does."""
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
                yield watcher, more, State.OK, str(seen), _given(well)
            for one in own:
                if one not in well or len(well) <= _FEW:
                    yield _row(one)

    def advice(self) -> Iterator[str]:
        """Yield what would give what is missing, or why it cannot be read, and the deaf rules."""
        for one in self.sources:
            if one.state is State.FAULT and not one.fix:
                yield from _wrapped(f"  {_place(one)}: {clean(one.why, SHOWN)}", "    ")
            if one.fix and one.state in {State.FAULT, State.OFF}:
                line = f"  for {_place(one)}: {one.fix}"
                yield from (
                    [line] if len(line) <= WIDTH else [f"  for {_place(one)}:", f"    {one.fix}"]
                )
        if self.deaf:
            yield f"  nothing here for {len(self.deaf)} of the rules to judge:"
            for what in sorted(set(self.deaf.values())):
                names = sorted(name for name, lacks in self.deaf.items() if lacks == what)
                yield from _wrapped(f"    no {what}: {', '.join(names)}", "      ")


def _place(one: Checked) -> str:
    return f"{one.watcher} {one.source}" if one.source else one.watcher


def _wrapped(line: str, indent: str) -> list[str]:
    return textwrap.wrap(line, WIDTH, subsequent_indent=indent, break_on_hyphens=False)


def _given(well: Sequence[Checked]) -> str:
    """Return what several sources give together."""
    gives = list(dict.fromkeys(one.gives for one in well))
    if all(one.endswith(_AS_SIGNALS) for one in gives):
        return f"objects{_AS_SIGNALS}"
    return ", ".join(gives)


def _row(one: Checked) -> tuple[str, str, str, str, str]:
    """Return the cells of one source: short ones, as `advice` has all of its name and fault."""
    seen = str(one.seen) if one.state is State.OK else ""
    why = one.why.partition(":")[0] if one.state is State.FAULT else one.why
    name = one.source if one.source.startswith("/") else one.source.partition(".")[0]
    absent = one.state is State.ABSENT
    return one.watcher, name, one.state, seen, one.gives if absent else why or one.gives


async def examined(
    config: str, named: Sequence[str], tell: Callable[[str], None]
) -> list[Examined]:
    """Return what is to be said of each cluster of `named`, or of all; `tell` hears how far it is.

    Raises:
        ConfigError, RuleError: configuration or rules are refused.
        DogwatchError: there is no such cluster.
    """
    settings = load_config(config)
    rules = load_paths(settings.rules).rules
    return [_examined(one, rules) for one in await look(config, named, tell=tell)]


def _examined(found: Looked, rules: Sequence[Rule]) -> Examined:
    deaf = {} if found.fault else dict(_deaf(rules, found.signals, found.cluster))
    return Examined(found.cluster, found.version, found.identity, found.fault, found.sources, deaf)


def _deaf(
    rules: Sequence[Rule], signals: Sequence[Signal], cluster: str
) -> Iterator[tuple[str, str]]:
    """Yield each rule for which there is nothing to judge, and what it wants."""
    for rule in rules:
        wanted = [one for one in rule.on if _lasting(one) and _here(one, cluster)]
        if not wanted or len(wanted) < len(rule.on):
            continue
        selections = [Selection(one) for one in wanted]
        if not any(one.takes(signal) for signal in signals for one in selections):
            yield rule.name, " or ".join(dict.fromkeys(map(_named, wanted)))


def _lasting(selector: Selector) -> bool:
    own = selector.metrics and all(one.startswith(_OWN) for one in selector.metrics)
    return selector.type in _LASTING and not own


def _here(selector: Selector, cluster: str) -> bool:
    return not selector.clusters or any(fnmatchcase(cluster, glob) for glob in selector.clusters)


def _named(selector: Selector) -> str:
    return " ".join([selector.type, *selector.metrics, *selector.kinds])
