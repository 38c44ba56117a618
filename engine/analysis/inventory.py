"""Inventory: how many devices a node has, how many it should have, and which are gone. Pure.

What a node should have is learned from what it had. A device that comes counts at once, and
raises the baseline once it stayed; one that goes counts as gone once it was missed for a while,
so that a driver that is loaded anew, or a drive that is seated anew, is no news. One that was
replaced is not missed. The baseline falls when the devices were missing for days, or by `reset`.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import msgspec

DAY_S = 86400


@dataclass(frozen=True)
class Limits:
    """When something counts.

    Attributes:
        looks, absent_s: a device is gone when it was missed in that many looks, over so long.
        settle_s: how long a new device must stay until it belongs to the baseline.
        baseline_s: how long devices must be missing until the node is taken to have fewer.
    """

    looks: int = 3
    absent_s: int = 90
    settle_s: int = 600
    baseline_s: int = 7 * DAY_S

    def gone(self, looks: int, since: int, at: int) -> bool:
        """Say whether what was missed in `looks` looks from `since` on is gone at `at`."""
        return looks >= self.looks and at - since >= self.absent_s


@dataclass(frozen=True, slots=True)
class Tally:
    """Devices of one kind now and as it should be; `missing` names those gone, where known."""

    count: int
    baseline: int
    missing: tuple[str, ...] = ()


class Known(msgspec.Struct, array_like=True, frozen=True):
    """One device. `since`: when its presence, or its absence, began, in seconds since 1970.

    `settled`: it belongs to what the node should have. `looks`: how many missed it by now.
    """

    name: str
    since: int
    settled: bool = False
    looks: int = 0


class Holding(msgspec.Struct, array_like=True, frozen=True):
    """The devices of one kind, each known by an identity; `short`: since when some are missing."""

    devices: dict[str, Known] = {}
    baseline: int = 0
    short: int | None = None


class Count(msgspec.Struct, array_like=True, frozen=True):
    """Devices of one kind of which only the number is known.

    `latest` is what was seen last, `shown` what counts. `rising`, `falling`: since when more, or
    fewer, than the baseline are seen; `looks` of them fewer. `short`: since when fewer count.
    """

    baseline: int
    latest: int
    shown: int
    rising: int | None = None
    falling: int | None = None
    looks: int = 0
    short: int | None = None


def look(
    before: Holding | None, present: Mapping[str, str], at: int, limits: Limits
) -> tuple[Holding, Tally]:
    """Return what is known after a look that found `present`, names by identity.

    Args:
        before: what was known; None: nothing, so what is there now is what should be there.
        present: all devices of the kind that the node has.
        at: seconds since 1970.
        limits: when something counts.
    """
    if before is None:
        devices = {key: Known(name, at, settled=True) for key, name in present.items()}
        return Holding(devices, len(devices)), Tally(len(devices), len(devices))
    devices = {
        key: _seen(before.devices.get(key), name, at, limits) for key, name in present.items()
    }
    settled = sum(known.settled for known in devices.values())
    missed = _missed(before, present, at)
    lost = {k: one for k, one in missed.items() if limits.gone(one.looks, one.since, at)}
    baseline = max(before.baseline, settled)
    count = max(len(present), min(len(present) + len(missed) - len(lost), baseline))
    if settled >= baseline:  # those that are gone were replaced
        missed = {key: one for key, one in missed.items() if key not in lost}
    short = None if count >= baseline else before.short or at
    if short is not None and at - short >= limits.baseline_s:
        kept = {key: one for key, one in missed.items() if key not in lost}
        return Holding(devices | kept, count), Tally(count, count)
    tally = Tally(count, baseline, _names(lost, baseline - count))
    return Holding(devices | missed, baseline, short), tally


def _seen(known: Known | None, name: str, at: int, limits: Limits) -> Known:
    if known is None:
        return Known(name, at)
    if known.looks:
        return Known(name, at, known.settled)
    settled = known.settled or at - known.since >= limits.settle_s
    return Known(name, known.since, settled)


def _missed(before: Holding, present: Mapping[str, str], at: int) -> dict[str, Known]:
    """Return the devices that should be there and are not; one that never settled is no loss."""
    return {
        key: Known(
            known.name, known.since if known.looks else at, settled=True, looks=known.looks + 1
        )
        for key, known in before.devices.items()
        if key not in present and known.settled
    }


def _names(lost: Mapping[str, Known], few: int) -> tuple[str, ...]:
    """Return the names of the `few` that went last: earlier ones were replaced."""
    latest = sorted(lost.values(), key=lambda known: (-known.since, known.name))[: max(0, few)]
    return tuple(sorted(known.name for known in latest))


def look_at_count(
    before: Count | None, number: int, at: int, limits: Limits
) -> tuple[Count, Tally]:
    """Return what is known after a look that found `number` devices; see `look`."""
    if before is None:
        return Count(number, number, number), Tally(number, number)
    if number >= before.baseline:
        after = _risen(before, number, at, limits)
        return after, Tally(after.shown, after.baseline)
    falling = at if before.falling is None else before.falling
    looks = before.looks + 1
    gone = before.short is not None or limits.gone(looks, falling, at)
    shown = number if gone else before.baseline
    short = (before.short or at) if gone else None
    baseline = before.baseline
    if short is not None and at - short >= limits.baseline_s:
        return Count(number, number, number), Tally(number, number)
    after = Count(baseline, number, shown, None, falling, looks, short)
    return after, Tally(shown, baseline)


def _risen(before: Count, number: int, at: int, limits: Limits) -> Count:
    if number == before.baseline:
        return Count(number, number, number)
    rising = at if before.rising is None else before.rising
    if at - rising >= limits.settle_s:
        # What was seen for all of that time, as far as two looks tell.
        baseline = max(before.baseline, min(number, before.latest))
        return Count(baseline, number, number, None if baseline == number else at)
    return Count(before.baseline, number, number, rising)


def reset(before: Holding) -> Holding:
    """Return `before` with what is there now as what should be there."""
    here = {
        key: Known(known.name, known.since, settled=True)
        for key, known in before.devices.items()
        if not known.looks
    }
    return Holding(here, len(here))


def reset_count(before: Count) -> Count:
    """Return `before` with what is there now as what should be there."""
    return Count(before.latest, before.latest, before.latest)
