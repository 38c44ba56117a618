"""What is legal and still a mistake, and what only the whole set of rules can tell."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

from engine.model.instant import MICROS, format_duration
from engine.rules.cel import Program
from engine.rules.correlations import check_correlations
from engine.rules.draft import Draft, entries, items
from engine.rules.entry import Entry
from engine.rules.inhibition import check_inhibitors
from engine.rules.overlap import overlap
from engine.rules.wording import quoted
from engine.rules.yaml import Node

SAMPLING_US: Final = 5 * MICROS
"""How often stream time moves at least: the interval of heartbeats."""
_DATED: Final = frozenset({"certificate", "version", "drift"})
"""Levels that carry dates and are sent when something changes, not every so often."""
_UNBOUNDED: Final = frozenset({"uid", "resourceVersion", "message", "time", "count", "value"})


def lint(entries_: Sequence[Entry]) -> None:
    """Write to the notes of each rule what is wrong with it alone and among the others."""
    for entry in entries_:
        _noise(entry)
        _chain(entry)
        _timing(entry)
        _care(entry)
        _clear(entry)
        _silence(entry)
        _stillness(entry)
        _idle(entry)
    _duplicates(entries_)
    check_inhibitors(entries_)
    check_correlations(entries_)


def _at(draft: Draft, name: str) -> Node:
    """Return the place of the field `name`: in the rule, in the defaults, else of the rule."""
    return draft.node.keys.get(name) or draft.fields.get(name) or draft.node


def _noise(entry: Entry) -> None:
    draft, rule = entry.draft, entry.rule
    for place in _keys(draft):
        if str(place.value).rpartition(".")[2] in _UNBOUNDED:
            message = f"group key {quoted(str(place.value))} has no bound: every value is a key"
            draft.notes.warn(place, message, "cardinality")
    if rule.mission and not (rule.cooldown_us or rule.schedule or draft.faulty("cooldown")):
        message = "mission without a cooldown: it runs at every episode"
        draft.notes.warn(_at(draft, "mission"), message, "no-cooldown")
    if rule.mission and rule.mission.dedup_key and not rule.cooldown_us:
        message = "'dedup_key' without a cooldown: no two missions are one"
        place = entries(draft.fields.get("mission"))["dedup_key"]
        draft.notes.warn(place, message, "idle")


def _chain(entry: Entry) -> None:
    """Refuse a chain, a rule over the end of missions, that would write by itself."""
    written = entries(entry.draft.fields.get("mission"))
    chained = any(selector.type == "mission" for selector in entry.rule.on)
    approval = written.get("approval")
    if chained and approval is not None and approval.value == "policy" and _applies(written):
        message = "a chain never writes by itself: a person has to approve; write person"
        entry.draft.notes.error(approval, message, "chain")


def _applies(written: Mapping[str, Node]) -> bool:
    return "mode" in written and written["mode"].value == "apply"


def _keys(draft: Draft) -> Iterator[Node]:
    """Yield every path by which signals are grouped."""
    for node in items(draft.fields.get("by")):
        yield entries(node).get("path", node)
    for step in items(entries(draft.fields.get("sequence")).get("steps")):
        yield from items(entries(step).get("by"))
    yield from items(entries(draft.fields.get("correlate")).get("on"))


def _timing(entry: Entry) -> None:
    rule = entry.rule
    within = rule.absent or rule.correlate
    lengths = {
        "for": ("for", rule.for_us),
        "over": ("over", rule.over_us),
        "gap": ("over", rule.gap_us),
        "within": ("absent" if rule.absent else "correlate", within.within_us if within else 0),
    }
    for name, (written, length) in lengths.items():
        if 0 < length < SAMPLING_US:
            shown, least = format_duration(length), format_duration(SAMPLING_US)
            message = f"'{name}' of {shown} is shorter than the sampling interval of {least}"
            entry.draft.notes.warn(_at(entry.draft, written), message, "short")


def _care(entry: Entry) -> None:
    draft, rule = entry.draft, entry.rule
    if "owner" not in rule.labels:
        message = "no owner: give metadata.owner, or the label owner"
        draft.notes.warn(draft.node, message, "no-owner")
    if "runbook_url" not in rule.annotations:
        message = "no runbook: give the annotation runbook_url"
        draft.notes.warn(draft.node, message, "no-runbook")
    fires = {_fires(test) for test in rule.tests}
    if None in fires:
        return
    for wanted, what in ((True, "fires"), (False, "stays silent")):
        if wanted not in fires:
            message = f"no test in which it {what}"
            draft.notes.warn(_at(draft, "tests"), message, "no-test")


def _fires(test: Mapping[str, Any]) -> bool | None:
    """Tell whether the test expects a firing; None where that could not be read."""
    states = [expectation.get("state") for expectation in test.get("expect", [{}])]
    return None if None in states else "firing" in states


def _clear(entry: Entry) -> None:
    rule = entry.rule
    if rule.having is None or rule.clear is None:
        return
    names = {measure.name: measure.fn for measure in rule.measures}
    if witness := overlap(rule.having, rule.clear, names, rule.params):
        shown = ", ".join(f"m.{name} is {value:g}" for name, value in witness.items())
        message = f"'clear' is true while 'having' is too, for example when {shown}"
        entry.draft.notes.warn(_at(entry.draft, "clear"), message, "clear-overlap")


def _silence(entry: Entry) -> None:
    draft, rule = entry.draft, entry.rule
    objects = any(selector.type == "k8s.object" for selector in rule.on)
    if objects and rule.on_nodata != "keep" and "on_nodata" in draft.node.keys:
        message = (
            "objects come only when they change: silence of "
            f"{format_duration(rule.stale_after_us)} is no lack of data; leave out 'on_nodata'"
        )
        draft.notes.warn(_at(draft, "on_nodata"), message, "no-data")


def _stillness(entry: Entry) -> None:
    """Warn of a condition on time over levels that come only when something changes."""
    draft, rule = entry.draft, entry.rule
    still = any(selector.type in _DATED for selector in rule.on)
    asked = rule.reevaluate_us or rule.measures or draft.faulty("reevaluate")
    if rule.when is not None and still and not asked and _looks_at_now(rule.when):
        message = "'now' moves on while nothing is sent: give 'reevaluate' to ask again"
        draft.notes.warn(_at(draft, "when"), message, "stillness")


def _looks_at_now(program: Program) -> bool:
    return any(path[0] == "now" for path in program.paths)


def _idle(entry: Entry) -> None:
    """Warn of what is written and changes nothing."""
    draft, rule = entry.draft, entry.rule
    conditions = [one for one in (rule.when, rule.having, rule.clear) if one is not None]
    if rule.reevaluate_us and conditions and not any(map(_looks_at_now, conditions)):
        message = "no condition looks at 'now': to ask again changes nothing"
        draft.notes.warn(_at(draft, "reevaluate"), message, "idle")
    steps = items(entries(draft.fields.get("sequence")).get("steps"))
    if "on" in draft.node.keys and steps and all("on" in step.keys for step in steps):
        draft.notes.warn(_at(draft, "on"), "every step has its own 'on'; leave it out", "idle")


def _duplicates(entries_: Iterable[Entry]) -> None:
    first: dict[str, Draft] = {}
    for entry in entries_:
        name, draft = entry.rule.name, entry.draft
        if not name:
            continue
        if name in first:
            other = first[name]
            where = f"{other.notes.source.path}:{other.node.line}"
            draft.notes.error(draft.fields["name"], f"the name is taken, {where}", "duplicate-name")
        first.setdefault(name, draft)
