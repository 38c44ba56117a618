"""Joins: which rules have open firings for the same key; durable_rules finds out.

A fact says that a rule has at least one open firing whose labels have the values of a key. So a
join has one match for each key at most, however many firings there are. Facts are asserted and
retracted by one thread, in one state; there are no events and no timers. What durable_rules can
not bear is not done to it: no fact twice, none that no rule looks at; in a ruleset at most
MOST_IN_RULESET rules, MOST_OF_ONE of them with the same fact; and two patterns in a rule. With two
negated ones it is wrong, with five patterns it is wrong or crashes: so three rules are joined as
two, whose match is a fact, and the third, and all rules of a `none` have one fact in common.
"""

import weakref
from collections import Counter, deque
from collections.abc import Iterable, Iterator, Sequence
from itertools import count
from typing import Any, Final, NamedTuple, Protocol

from durable import engine as durable

from engine.model.ids import digest

MOST_IN_RULESET: Final = 300
MOST_OF_ONE: Final = 64
_STATE: Final = "dogwatch"
_NUMBERS: Final = count()


class Fact(NamedTuple):
    """A rule has an open firing whose `labels` (names) have the values of `key`.

    In place of these stands their hash: what a cluster may say is no food for a parser in C.
    """

    labels: str
    rule: str
    key: str


class Join(NamedTuple):
    """Rules that must have a fact for one key, or must not; the key is of `labels`."""

    name: str
    labels: str
    all: tuple[str, ...] = ()
    any: tuple[str, ...] = ()
    none: tuple[str, ...] = ()

    def ways(self) -> tuple[tuple[str, ...], ...]:
        """Return each set of rules whose facts are enough: one for each rule of `any`."""
        return tuple((*self.all, one) for one in self.any) or (self.all,)

    def blocker(self) -> str:
        """Return the name of the fact that a rule of `none` has one; empty: it names no rules."""
        return "not " + " ".join(self.none) if self.none else ""


class Turn(Protocol):
    """What is told that a join is met for a key in one of its ways, or not any more."""

    def __call__(self, name: str, way: int, key: str, *, met: bool) -> None:
        """Take note of it."""


class Joins:
    """All joins, and the facts of the present."""

    def __init__(self, joins: Sequence[Join]) -> None:
        """Compile `joins`; there are no facts yet."""
        self._met: dict[tuple[str, str], set[int]] = {}
        self._rulesets: dict[tuple[str, str], list[_Ruleset]] = {}
        self._blockers: dict[tuple[str, str], set[str]] = {}
        self._blocking: Counter[Fact] = Counter()
        for join in joins:
            for rule in join.none:
                self._blockers.setdefault((join.labels, rule), set()).add(join.blocker())
        for part in _parts(joins):
            ruleset = _Ruleset(part, self._turn)
            places = {(join.labels, rule) for join in part for rule in (*join.all, *join.any)}
            places |= {(join.labels, join.blocker()) for join in part if join.none}
            for place in places:
                self._rulesets.setdefault(place, []).append(ruleset)

    def assert_fact(self, labels: str, rule: str, key: str) -> None:
        """Let `rule` have an open firing for `key`, where it had none."""
        self._assert(Fact(labels, rule, digest(key)))

    def retract_fact(self, labels: str, rule: str, key: str) -> None:
        """Let `rule` have no open firing for `key` any more."""
        self._retract(Fact(labels, rule, digest(key)))

    def met(self, name: str, key: str) -> bool:
        """Whether the join `name` is met for `key`."""
        return (name, digest(key)) in self._met

    def _assert(self, fact: Fact) -> None:
        for ruleset in self._rulesets.get(fact[:2], ()):
            ruleset.assert_fact(fact)
        for name in sorted(self._blockers.get(fact[:2], ())):
            blocker = fact._replace(rule=name)
            self._blocking[blocker] += 1
            if self._blocking[blocker] == 1:
                self._assert(blocker)

    def _retract(self, fact: Fact) -> None:
        for ruleset in self._rulesets.get(fact[:2], ()):
            ruleset.retract_fact(fact)
        for name in sorted(self._blockers.get(fact[:2], ())):
            blocker = fact._replace(rule=name)
            self._blocking[blocker] -= 1
            if not self._blocking[blocker]:
                del self._blocking[blocker]
                self._retract(blocker)

    def _turn(self, name: str, way: int, key: str, *, met: bool) -> None:
        ways = self._met.setdefault((name, key), set())
        if met:
            ways.add(way)
        else:
            ways.discard(way)
        if not ways:
            del self._met[name, key]


class _Ruleset:
    """A ruleset of durable_rules, used without its host, which would start threads.

    Some rules make pairs of facts, which are facts again; the others say that a way of a join is
    met, or blocked. What a fact that goes takes with it is known without asking.
    """

    def __init__(self, joins: Iterable[Join], turn: Turn) -> None:
        self._turn = turn
        self._rules: dict[str, Any] = {}
        self._made: deque[Fact] = deque()
        self._pairs: set[Fact] = set()
        self._parts_of: dict[str, set[str]] = {}
        self._pairs_with: dict[str, list[str]] = {}
        self._ending: dict[str, list[tuple[str, int]]] = {}
        for join in joins:
            for way, rules in enumerate(join.ways()):
                self._add(join, way, [_name(join.labels, rule) for rule in rules])
        # A name may be taken once in a process; the native part is let go of with this object.
        self._native = durable.Ruleset(f"joins-{next(_NUMBERS)}", None, self._rules)
        handle = self._native._handle  # noqa: SLF001 (nothing else tells it)
        weakref.finalize(self, durable.durable_rules_engine.delete_ruleset, handle)

    def assert_fact(self, fact: Fact) -> None:
        """Assert a fact that is not there, and all pairs that follow."""
        self._made.append(fact._replace(rule=_name(fact.labels, fact.rule)))
        while self._made:
            self._act(self._native.assert_fact(_message(self._made.popleft())))

    def retract_fact(self, fact: Fact) -> None:
        """Retract a fact that is there, and all pairs that it is in."""
        name = _name(fact.labels, fact.rule)
        for pair in (fact._replace(rule=one) for one in self._pairs_with.get(name, ())):
            if pair in self._pairs:
                self._pairs.discard(pair)
                self._drop(pair)
        self._drop(fact._replace(rule=name))

    def _drop(self, fact: Fact) -> None:
        for join, way in self._ending.get(fact.rule, ()):
            self._turn(join, way, fact.key, met=False)
        self._act(self._native.retract_fact(_message(fact)))

    def _act(self, state: Any) -> None:
        problems: list[Any] = []
        self._native.do_actions(state, lambda error, _: problems.append(error))
        if any(problems):
            raise RuntimeError(f"durable_rules: {problems}")

    def _add(self, join: Join, way: int, names: Sequence[str]) -> None:
        """Add the rules for one way of a join."""
        last = names[0]
        self._parts_of.setdefault(last, set())
        for name in names[1:]:
            last = self._pair(join.labels, last, name)
        self._ending.setdefault(last, []).append((join.name, way))
        patterns: list[Any] = [{"one": {"rule": last}}]
        blocker = _name(join.labels, join.blocker()) if join.none else ""
        if blocker:
            self._rule([*patterns, _same_key("other", blocker)], self._told(join, way, met=False))
            patterns.append(_same_key("other$not", blocker))
        self._rule(patterns, self._told(join, way, met=True))

    def _pair(self, labels: str, left: str, right: str) -> str:
        """Add a rule that makes a fact of two, if it is not there; return the name of the fact."""
        name = f"{left} + {right}"
        if name not in self._parts_of:
            parts = self._parts_of[name] = {*(self._parts_of[left] or {left}), right}
            for part in parts:
                self._pairs_with.setdefault(part, []).insert(0, name)

            def pair(match: Any) -> None:
                fact = Fact(labels, name, match.one.key)
                self._pairs.add(fact)
                self._made.append(fact)

            self._rule([{"one": {"rule": left}}, _same_key("other", right)], pair)
        return name

    def _rule(self, patterns: list[Any], act: Any) -> None:
        self._rules[f"{len(self._rules)}"] = {"all": patterns, "run": act}

    def _told(self, join: Join, way: int, *, met: bool) -> Any:
        def act(match: Any) -> None:
            # Of one pattern alone the fact itself is what is given.
            key = match.m.key if match.one is None else match.one.key
            self._turn(join.name, way, key, met=met)

        return act


def _parts(joins: Sequence[Join]) -> Iterator[list[Join]]:
    """Yield the joins in parts that a ruleset can bear."""
    part: list[Join] = []
    uses: Counter[tuple[str, str]] = Counter()
    for join in joins:
        more = Counter((join.labels, rule) for way in join.ways() for rule in way)
        if join.none:
            more[join.labels, join.blocker()] = 2 * len(join.ways())
        both = uses + more
        if part and (both.total() > MOST_IN_RULESET or max(both.values()) > MOST_OF_ONE):
            yield part
            part, both = [], more
        part.append(join)
        uses = both
    if part:
        yield part


def _same_key(name: str, rule: str) -> dict[str, Any]:
    return {name: {"$and": [{"rule": rule}, {"key": {"one": "key"}}]}}


def _name(labels: str, rule: str) -> str:
    return f"{labels}: {rule}"


def _message(fact: Fact) -> dict[str, str]:
    """Return a fact whose rule is named whole as durable_rules takes it."""
    return {
        "id": f"{fact.rule} {fact.key}",
        "sid": _STATE,
        "rule": fact.rule,
        "key": fact.key,
    }
