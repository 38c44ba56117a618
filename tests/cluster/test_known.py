"""Lists, events and gaps: what is told is what happened, each deletion once."""

import random
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.cluster.known import Known, OlderList, older
from engine.model.watch import Change, ChangeType

ADDED, MODIFIED = ChangeType.ADDED, ChangeType.MODIFIED
DELETED, SYNCED = ChangeType.DELETED, ChangeType.SYNCED


def an_object(uid: str, version: int, **parts: Any) -> dict[str, Any]:
    return {"metadata": {"uid": uid, "name": uid, "resourceVersion": str(version)}, **parts}


def listed(known: Known, version: int, *objects: dict[str, Any]) -> list[Change]:
    known.begin()
    return [*known.page(list(objects), str(version)), *known.end(str(version))]


def told(changes: list[Change]) -> list[tuple[ChangeType, str]]:
    return [(c.type, c.object["metadata"]["uid"]) for c in changes]


def test_the_first_list_is_synced_and_a_later_one_tells_the_difference() -> None:
    known = Known()
    assert told(listed(known, 5, an_object("a", 1), an_object("b", 2))) == [
        (SYNCED, "a"),
        (SYNCED, "b"),
    ]
    changes = listed(known, 9, an_object("b", 7, x=1), an_object("c", 8))
    assert told(changes) == [(MODIFIED, "b"), (ADDED, "c"), (DELETED, "a")]
    assert changes[0].old == an_object("b", 2)
    assert changes[2].unseen
    assert changes[2].object == an_object("a", 1)


def test_an_older_list_is_refused_whole() -> None:
    known = Known()
    listed(known, 9, an_object("a", 8))
    known.begin()
    with pytest.raises(OlderList, match="list of 7, known is 9"):
        known.page([an_object("a", 7)], "7")
    assert len(known) == 1


def test_a_list_that_was_given_up_counts_for_what_is_older_but_not_for_what_is_there() -> None:
    known = Known()
    listed(known, 5, an_object("a", 1))
    known.begin()
    assert told(known.page([an_object("a", 1), an_object("b", 6)], "9")) == [(ADDED, "b")]
    known.begin()
    with pytest.raises(OlderList, match="list of 7, known is 9"):
        known.page([], "7")
    assert told(listed(known, 12)) == [(DELETED, "a"), (DELETED, "b")]


def test_events_that_come_again_are_no_news() -> None:
    known = Known()
    listed(known, 1)
    stream = [
        ("ADDED", an_object("a", 2)),
        ("MODIFIED", an_object("a", 3)),
        ("DELETED", an_object("a", 4)),
    ]
    changes = [c for kind, obj in stream * 2 if (c := known.event(kind, obj))]
    assert told(changes) == [(ADDED, "a"), (MODIFIED, "a"), (DELETED, "a")]


def test_an_event_that_is_known_already_changes_nothing() -> None:
    known = Known()
    listed(known, 9, an_object("a", 8))
    assert known.event("MODIFIED", an_object("a", 8)) is None
    assert known.event("ADDED", an_object("a", 8)) is None
    assert known.event("DELETED", an_object("b", 10)) is None
    assert known.version == "10"


def test_a_bookmark_only_moves_the_version() -> None:
    known = Known()
    listed(known, 9)
    assert known.event("BOOKMARK", {"metadata": {"resourceVersion": "42"}}) is None
    assert known.version == "42"


def test_versions_that_are_no_numbers_are_never_older() -> None:
    assert older("9", "10")
    assert not older("10", "9")
    assert not older("abc", "10")
    assert not older("", "10")


@dataclass
class Server:
    """A cluster of one resource: its objects, and its history as watch events."""

    version: int = 1
    objects: dict[str, dict[str, Any]] = field(default_factory=dict)
    history: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    born: int = 0
    past: list[tuple[int, dict[str, dict[str, Any]]]] = field(default_factory=list)

    def act(self, action: str, chance: random.Random) -> None:
        self.past.append((self.version, dict(self.objects)))
        self.version += 1
        if action == "add" or not self.objects:
            self.born += 1
            uid = f"u{self.born}"
            self.objects[uid] = an_object(uid, self.version)
            self.history.append(("ADDED", self.objects[uid]))
            return
        uid = chance.choice(sorted(self.objects))
        if action == "modify":
            self.objects[uid] = an_object(uid, self.version)
            self.history.append(("MODIFIED", self.objects[uid]))
        else:
            del self.objects[uid]
            self.history.append(("DELETED", an_object(uid, self.version)))

    def since(self, version: str) -> list[tuple[str, dict[str, Any]]]:
        return [e for e in self.history if int(e[1]["metadata"]["resourceVersion"]) > int(version)]


@dataclass
class Follower:
    """Plays the reflector over `Known`, and keeps what it was told."""

    known: Known = field(default_factory=Known)
    objects: dict[str, dict[str, Any]] = field(default_factory=dict)
    deleted: list[str] = field(default_factory=list)
    listing: bool = False

    def take(self, changes: list[Change]) -> None:
        for c in changes:
            uid = c.object["metadata"]["uid"]
            if c.type is DELETED:
                assert uid in self.objects, "deleted twice, or never told of"
                del self.objects[uid]
                self.deleted.append(uid)
            elif c.type is MODIFIED:
                assert c.old == self.objects[uid], "old is not what was told before"
                self.objects[uid] = c.object
            else:
                assert uid not in self.objects, "added twice"
                self.objects[uid] = c.object

    def relist(self, server: Server, page: int, give_up_after: int | None, stale: int = 0) -> None:
        """List in pages; giving up after some of them is a 410 between two pages.

        A stale list is what the server had so many changes ago.
        """
        past = [*server.past, (server.version, server.objects)]
        version, shown = past[max(0, len(past) - 1 - stale)]
        objects = list(shown.values())
        self.known.begin()
        self.listing = True
        pages = [objects[i : i + page] for i in range(0, max(1, len(objects)), page)]
        for number, part in enumerate(pages):
            if number == give_up_after:
                return
            try:
                self.take(self.known.page(part, str(version)))
            except OlderList:
                return
        self.take(self.known.end(str(version)))
        self.listing = False

    def watch(self, server: Server, limit: int, repeat: int, chance: random.Random) -> None:
        """Receive up to `limit` events, out of order, the last `repeat` of which come twice."""
        events = server.since(self.known.version)[:limit]
        received = [*events, *events[len(events) - repeat :]]
        chance.shuffle(received)
        for kind, obj in received:
            change = self.known.event(kind, obj)
            self.take([change] if change else [])


ACTIONS = st.sampled_from(["add", "modify", "delete"])
MOVES = st.one_of(
    st.tuples(st.just("act"), ACTIONS),
    st.tuples(st.just("act"), ACTIONS),
    st.tuples(
        st.just("relist"),
        st.integers(1, 4),
        st.one_of(st.none(), st.integers(0, 3)),
        st.one_of(st.just(0), st.integers(0, 5)),
    ),
    st.tuples(st.just("watch"), st.integers(0, 6), st.integers(0, 4)),
)


@settings(max_examples=200, deadline=None)
@given(actions=st.lists(ACTIONS, max_size=20), chance=st.randoms(use_true_random=False))
def test_events_in_any_order_lead_to_what_is_there(
    actions: list[str], chance: random.Random
) -> None:
    server, follower = Server(), Follower()
    follower.relist(server, 2, None)
    for action in actions:
        server.act(action, chance)
    follower.watch(server, len(actions), 3, chance)
    assert follower.objects == server.objects


@settings(max_examples=200, deadline=None)
@given(moves=st.lists(MOVES, min_size=8, max_size=40), chance=st.randoms(use_true_random=False))
def test_any_mixture_of_lists_events_and_gaps_tells_what_happened(
    moves: list[Any], chance: random.Random
) -> None:
    server, follower = Server(), Follower()
    follower.relist(server, 2, None)
    for move in moves:
        if move[0] == "act":
            server.act(move[1], chance)
        elif move[0] == "relist":
            follower.relist(server, move[1], move[2], move[3])
        elif not follower.listing:  # as a reflector: no watch before a list has ended
            follower.watch(server, move[1], move[2], chance)
    follower.relist(server, 3, None)
    assert follower.objects == server.objects
    assert len(follower.deleted) == len(set(follower.deleted))
    told_of = set(follower.objects) | set(follower.deleted)
    assert told_of <= {f"u{n}" for n in range(1, server.born + 1)}
