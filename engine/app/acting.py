"""What users of the policy order beside decisions: missions, freezes; blocks."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import timedelta

from engine.app.config import AppConfig, ClusterConfig
from engine.app.pages import mission_line
from engine.app.policy_file import places_in
from engine.changes.policy import Policy, User, may_order
from engine.missions.run import prepare
from engine.missions.targets import resolve
from engine.model.change_row import Freeze
from engine.model.errors import DogwatchError, Refused, StoreError, nearest
from engine.model.ids import mission_id
from engine.model.instant import rfc3339, to_us
from engine.model.mission import MissionRow
from engine.model.moved import Tell, nobody
from engine.model.ports import Clock
from engine.store.store import Store
from engine.web.ports import ALL, CLUSTER, Order, Targets
from engine.web.views import MissionLine


@dataclass(frozen=True)
class StoredOrders:
    """Fulfils the web's port `Orders`.

    `tell` says who hears of a change that is taken back, `in_force` gives the policy, `configs`
    the clusters that there are (None: those of `settings`).
    """

    store: Store
    settings: AppConfig
    clock: Clock
    tell: Tell = nobody
    in_force: Callable[[], Policy | None] = lambda: None
    configs: Callable[[], Sequence[ClusterConfig]] | None = None

    def run(self, user: User, order: Order) -> MissionLine:
        """Queue a mission of `user`; the same order a second time finds the one that exists.

        Raises:
            Refused: it may change something, and `user` approves nothing in one of its clusters.
            DogwatchError: no such kind or cluster, params that do not fit, or a mode for which
                the kind knows no change.
            StoreError: the store did not answer.
        """
        kind, _ = prepare(order.kind, order.params)
        if order.mode != "report" and not kind.changes:
            raise DogwatchError(f"{kind.name} proposes no changes: its only mode is report")
        clusters = self._chosen(order.targets)
        if order.mode != "report":
            self._allow(user, clusters)
        now = self.clock.now()
        trigger = order.trigger or rfc3339(to_us(now))
        named = f"{user.name}:{trigger}:{order.mode}:{','.join(clusters)}"
        row = MissionRow(
            id=mission_id(named, order.kind, order.params),
            kind=order.kind,
            params=order.params,
            created=now,
            clusters=clusters,
            mode=order.mode,
            requester=user.name,
        )
        self.store.add_mission(row)
        return self._line(row.id)

    def cancel(self, user: User, mission: str) -> MissionLine:
        """End a mission, and withdraw its changes. Raises Refused."""
        self._allow(user, self._clusters(mission))
        cancel = self.store.cancel_mission
        return mission_line(cancel(mission, user.name, self.clock.now(), self.tell))

    def resume(self, user: User, mission: str) -> MissionLine:
        """Queue a failed mission again. Raises Refused."""
        self._allow(user, self._clusters(mission))
        return mission_line(self.store.resume_mission(mission, user.name, self.clock.now()))

    def freeze(self, user: User, scope: str, reason: str, for_s: float | None) -> Freeze:
        """Stop new changes of `scope`; every user may.

        Raises:
            DogwatchError: there is no such cluster, or no reason.
            Refused: the same user froze it for longer.
        """
        self._check(scope)
        if not reason.strip():
            raise DogwatchError("say why: others will ask")
        now = self.clock.now()
        until = None if for_s is None else now + timedelta(seconds=for_s)
        for one in self.store.freezes(now):
            own = (one.scope, one.who) == (scope, user.name)
            if own and until is not None and (one.until is None or one.until > until):
                ends = rfc3339(to_us(one.until)) if one.until else "somebody thaws it"
                raise Refused(f"{scope} is frozen by you until {ends}: to make it shorter, thaw it")
        freeze = Freeze(scope, user.name, reason, now, until)
        self.store.freeze(freeze)
        return freeze

    def thaw(self, user: User, scope: str) -> bool:
        """End the freezes of `scope`; return whether there was one. Raises Refused."""
        self._allow(user, None if scope == ALL else [scope.removeprefix(CLUSTER)])
        return self.store.thaw(scope, user.name, self.clock.now())

    def _allow(self, user: User, clusters: Collection[str] | None) -> None:
        """Raise Refused unless `user` approves changes in all of `clusters`; None: in every one."""
        policy = self.in_force()
        if policy is None:
            raise Refused("no policy is in force: nobody may do this")
        if why := may_order(policy, user, clusters):
            raise Refused(why)

    def _clusters(self, mission: str) -> Collection[str] | None:
        """Return the clusters of `mission`, None for all. Raises Refused: there is no such one."""
        row = self.store.mission(mission)
        if row is None:
            raise Refused(f"there is no mission '{mission}'")
        return row.clusters or None

    def _chosen(self, targets: Targets) -> tuple[str, ...]:
        try:
            return resolve(targets.model_dump(exclude_none=True), places_in(self._configs()))
        except ValueError as error:
            raise DogwatchError(f"targets: {error}") from error

    def _check(self, scope: str) -> None:
        name = scope.removeprefix(CLUSTER)
        known = [one.name for one in self._configs()]
        if scope != ALL and (name == scope or name not in known):
            raise DogwatchError(
                f"no cluster '{name}'; known: {', '.join(known) or 'none'}{nearest(name, known)}"
            )

    def _configs(self) -> Sequence[ClusterConfig]:
        return self.configs() if self.configs else self.settings.clusters

    def _line(self, mission: str) -> MissionLine:
        row = self.store.mission(mission)
        if row is None:
            raise StoreError(f"mission {mission} is not there although it was queued")
        return mission_line(row)
