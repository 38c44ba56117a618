"""What watchers remember: by cluster, watcher and key, until it is forgotten."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from engine.store.store import Store


def test_what_is_remembered_is_there_for_the_next_process(store: Store, other: Store) -> None:
    store.remember("west", "devices", {"a": b"1", "b": b"2"})
    assert other.memories("west", "devices") == {"a": b"1", "b": b"2"}
    other.remember("west", "devices", {"a": b"3", "b": None})
    assert store.memories("west", "devices") == {"a": b"3"}


def test_only_the_keys_that_are_asked_for_are_recalled(store: Store) -> None:
    store.remember("west", "devices", {"a": b"1", "b": b"2", "c": b"3"})
    assert store.memories("west", "devices", ("a", "c", "d")) == {"a": b"1", "c": b"3"}


def test_a_watcher_sees_neither_another_one_nor_another_cluster(store: Store) -> None:
    store.remember("west", "devices", {"a": b"1"})
    store.remember("east", "devices", {"a": b"2"})
    store.remember("west", "gpu", {"a": b"3"})
    assert store.memories("west", "devices") == {"a": b"1"}
    assert store.remembering("devices") == ["east", "west"]
    store.forget_cluster("west")
    assert (store.memories("west", "gpu"), store.memories("east", "devices")) == ({}, {"a": b"2"})
