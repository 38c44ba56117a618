"""What the pages show, from the store, the configuration and what is in force; blocks."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from engine.app.config import AppConfig, ClusterConfig
from engine.app.explaining import explained
from engine.app.look import levels, said, station
from engine.app.pages_changes import change_line, change_view
from engine.app.pages_rules import firing_line, gates, keys, rule_line
from engine.app.rule_files import check_texts
from engine.changes.policy import Policy, User
from engine.model.change_row import Freeze
from engine.model.change_state import ChangeState
from engine.model.errors import DogwatchError, StoreError
from engine.model.firing import State
from engine.model.instant import from_us, parse_rfc3339
from engine.model.mission import MissionRow, MissionState
from engine.model.ports import Clock
from engine.rules.rule import Rule, RuleSet
from engine.store.firings import FiringRow
from engine.store.store import Store
from engine.stream.explain import Explanation, shown
from engine.web.views import (
    AuditView,
    ChangeLine,
    ChangeView,
    ClusterView,
    MissionLine,
    MissionView,
    RuleLine,
    RuleView,
    SinkView,
    Station,
)

if TYPE_CHECKING:
    from engine.store.audit import AuditState

MANY = 1000
"""Open firings, missions or changes that are counted."""
LATEST = 20
"""Firings shown of one rule."""
CHECKED = timedelta(seconds=30)
_OPEN = (MissionState.QUEUED, MissionState.RUNNING, MissionState.WAITING)


@dataclass
class StoredPages:
    """Fulfils the web's port `Pages`.

    Attributes:
        policy: the policy in force, None where none is.
        in_force: the rules of this process; None where it has none: those of the store then.
        problems: cluster -> why it is out of reach, empty where it answers; those not watched
            by this process are not in it.
        configs: the clusters that there are; None: those of `settings`.
    """

    store: Store
    settings: AppConfig
    clock: Clock
    policy: Callable[[], Policy | None] = lambda: None
    in_force: Callable[[], RuleSet | None] = lambda: None
    problems: Callable[[], Mapping[str, str]] = dict
    configs: Callable[[], Sequence[ClusterConfig]] | None = None

    def __post_init__(self) -> None:
        self._audited: tuple[datetime, AuditState] | None = None
        self._stored: tuple[Mapping[str, bytes], RuleSet] = ({}, RuleSet())

    def missions(self, states: Sequence[MissionState], kind: str, limit: int) -> list[MissionLine]:
        """Return the newest missions, those in `states` and of `kind` where given."""
        found = self.store.missions(states=states, kind=kind, limit=limit)
        asked = self.store.changes(states=[ChangeState.AWAITING], limit=MANY)
        open_ = Counter(one.mission for one in asked)
        return [mission_line(row, open_[row.id]) for row in found]

    def mission(self, mission: str) -> MissionView | None:
        """Return one mission whole."""
        row = self.store.mission(mission)
        if row is None:
            return None
        changes = self.changes((), mission, MANY)
        open_ = sum(one.state == ChangeState.AWAITING for one in changes)
        path = [station(one) for one in self.store.trace(mission)]
        return MissionView(
            **mission_line(row, open_).model_dump(),
            params=dict(row.params),
            key=dict(row.key),
            firing=row.firing,
            requester=row.requester,
            approval=row.approval,
            crashes=row.crashes,
            started=row.started,
            wake_at=row.wake_at,
            report=row.report,
            changes=changes,
            path=[
                Station(
                    noun=one["noun"],
                    id=one["id"],
                    at=from_us(parse_rfc3339(one["at"])),
                    depth=level,
                    text=said(one),
                )
                for level, one in levels(path)
            ],
        )

    def changes(self, states: Sequence[ChangeState], mission: str, limit: int) -> list[ChangeLine]:
        """Return the newest changes, those in `states` and of `mission` where given."""
        found = self.store.changes(states=states, mission=mission, limit=limit)
        return [change_line(row) for row in found]

    def change(self, change: str, user: User | None) -> ChangeView | None:
        """Return one change whole, with whether `user` may decide it."""
        row = self.store.change(change)
        if row is None:
            return None
        mission = self.store.mission(row.mission)
        audit = self.store.audit(change=change)
        report = mission.report if mission else None
        return change_view(row, report, audit, policy=self.policy(), user=user)

    def rules(self) -> list[RuleLine]:
        """Return the rules in force, in order of name."""
        fired = self.store.firings(states=[State.FIRING], limit=MANY)
        open_ = Counter(one.rule for one in fired)
        return [rule_line(one, open_[one.name]) for one in self._rules().rules]

    def rule(self, name: str, key: str) -> RuleView | None:
        """Return one rule, and why the group key that has `key` (a=b,c=d) is in its state."""
        rules = self._rules()
        rule = next((one for one in rules.rules if one.name == name), None)
        if rule is None:
            return None
        firings = self.store.firings(rule=name, limit=LATEST)
        started = self._started_by(firings, rule)
        why, unexplained = self._explained(rules, name, key)
        return RuleView(
            **rule_line(rule, sum(one.resolved is None for one in firings)).model_dump(),
            by=list(rule.by),
            sinks=[one.sink for one in rule.notify],
            labels=dict(rule.labels),
            annotations=dict(rule.annotations),
            firings=[firing_line(one, started.get(one.id, "")) for one in firings],
            key=shown(why.key) if why else "",
            since=why.since if why else "",
            key_state=why.state if why else "",
            gates=gates(why),
            keys=keys(why),
            unexplained=unexplained,
        )

    def sinks(self) -> list[SinkView]:
        """Return the sinks of the configuration."""
        dead = self.store.dead_letters(MANY)
        views = []
        for name, sink in self.settings.sinks.items():
            lost = [one for one in dead if one.delivery.sink == name]
            backlog = self.store.pending(name)
            views.append(
                SinkView(
                    name=name,
                    type=sink.type,
                    waiting=backlog.waiting,
                    since=backlog.oldest,
                    given_up=len(lost),
                    error=lost[0].error if lost else "",
                )
            )
        return views

    def clusters(self) -> list[ClusterView]:
        """Return the clusters of the configuration, and those that are found."""
        problems = self.problems()
        fired = self.store.firings(states=[State.FIRING], limit=MANY)
        firing = Counter(one.key.get("cluster", "") for one in fired)
        running = self.store.missions(states=_OPEN, limit=MANY)
        missions = Counter(name for one in running for name in one.clusters)
        frozen = {one.scope for one in self.freezes()}
        return [
            ClusterView(
                name=one.name,
                groups=list(one.groups),
                labels=one.labels,
                writable=one.writer is not None,
                problem=problems.get(one.name),
                open=firing[one.name],
                missions=missions[one.name],
                frozen=bool(frozen & {"all", f"cluster/{one.name}"}),
            )
            for one in (self.configs() if self.configs else self.settings.clusters)
        ]

    def freezes(self) -> list[Freeze]:
        """Return the freezes in force."""
        return self.store.freezes(self.clock.now())

    def audit(self, mission: str, change: str, limit: int) -> AuditView:
        """Return the newest entries, newest first, and whether the chain of all was whole.

        All of it is read for that, so that it is looked at again after CHECKED only.
        """
        now = self.clock.now()
        if self._audited is None or now - self._audited[0] >= CHECKED:
            self._audited = (now, self.store.verify_audit())
        at, checked = self._audited
        found = self.store.audit(mission=mission, change=change, limit=limit)
        return AuditView(count=checked.count, fault=checked.fault, checked=at, entries=found[::-1])

    def _rules(self) -> RuleSet:
        """Return the rules in force: of this process, or the last good ones of the others."""
        own = self.in_force()
        if own is not None:
            return own
        texts = self.store.last_rules() or {}
        if texts != self._stored[0]:
            self._stored = (texts, check_texts(texts).rules)
        return self._stored[1]

    def _explained(self, rules: RuleSet, rule: str, key: str) -> tuple[Explanation | None, str]:
        try:
            return explained(self.store, rules, rule, key), ""
        except StoreError:
            raise
        except DogwatchError as error:
            return None, str(error)

    def _started_by(self, firings: Sequence[FiringRow], rule: Rule) -> dict[str, str]:
        """Return firing -> mission of those that started one lately."""
        if rule.mission is None or not firings:
            return {}
        return {
            one.firing: one.id for one in self.store.missions(kind=rule.mission.kind, limit=MANY)
        }


def mission_line(row: MissionRow, open_: int = 0) -> MissionLine:
    """Return one mission in a list; `open_` of its changes wait for a person."""
    return MissionLine(
        id=row.id,
        kind=row.kind,
        state=row.state.value,
        outcome=row.outcome,
        reason=row.reason,
        summary=row.report.summary if row.report else "",
        rule=row.rule,
        clusters=list(row.clusters or (row.report.clusters if row.report else ())),
        created=row.created,
        finished=row.finished,
        phase=row.phase,
        total_phases=row.total_phases,
        mode=row.mode,
        open=open_,
    )
