"""One mission for a person: on a recorded snapshot or on live clusters; and saving snapshots."""

import asyncio
from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rich.console import Console

from engine.app.config import AppConfig, ClusterConfig
from engine.app.configured import load_config
from engine.app.new_folder import expect_new
from engine.app.reaching import reach
from engine.cluster import recorded
from engine.missions.collect import LogChoice, collect
from engine.missions.reach import with_reach
from engine.missions.registry import kinds
from engine.missions.run import prepare
from engine.model.delivery import Delivery, Occasion
from engine.model.errors import ConfigError, DogwatchError, SnapshotError, nearest
from engine.model.ids import mission_id
from engine.model.instant import from_us, parse_rfc3339
from engine.model.ports import SystemClock
from engine.model.report import Report
from engine.model.snapshot import Snapshot
from engine.report import to_markdown, to_text

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
PERSON = "person"


def params_of(given: Iterable[str]) -> dict[str, str]:
    """Return the parameters of `NAME=VALUE` texts. Raises DogwatchError on another form."""
    params = {}
    for text in given:
        name, equals, value = text.partition("=")
        if not equals or not name:
            raise DogwatchError(f"--param '{text}': write NAME=VALUE")
        params[name.strip()] = value
    return params


def run_recorded(kind: str, path: Path, params: dict[str, str], now: str | None) -> Report:
    """Return the report of `kind` over the snapshot at `path`; same input, same bytes.

    `now` (RFC 3339) defaults to the latest instant that the snapshot says it was taken at,
    then to the latest instant in its objects, so that the clock of this machine plays no part.

    Raises:
        DogwatchError: no such kind, or its params do not fit, or name a cluster not recorded.
    """
    made, checked = prepare(kind, params)
    snapshot = recorded.load(path)
    _refuse_unread(params, snapshot.clusters)
    return _report(kind, params, snapshot, made.run(snapshot, checked, _instant(now, snapshot)))


def run_live(
    kind: str, names: Sequence[str], params: dict[str, str], config: str, *, progress: bool
) -> Report:
    """Read the clusters `names` of the configuration now and return the report of `kind`.

    Raises:
        DogwatchError: no such kind or cluster, or params that do not fit those.
    """
    settings = load_config(config)
    made, checked = prepare(kind, params)
    wanted = _wanted(settings, names)
    _refuse_unread(params, [one.name for one in wanted])
    choose = made.choosing(checked)
    snapshot = _collected(settings, wanted, made.needs, choose, progress=progress)
    return _report(kind, params, snapshot, made.run(snapshot, checked, SystemClock().now()))


def save_snapshot(
    path: Path, names: Sequence[str], config: str, *, progress: bool
) -> Iterable[str]:
    """Read the clusters `names` (default all), write them to `path`; yield a line a cluster.

    Raises:
        SnapshotError: no cluster could be read; the lines said why.
    """
    expect_new(path)
    settings = load_config(config)
    every = tuple(dict.fromkeys(need for kind in kinds().values() for need in kind.needs))
    snapshot = _collected(settings, _wanted(settings, names), every, None, progress=progress)
    recorded.save(snapshot, path)
    for name, one in snapshot.clusters.items():
        unread = "; ".join(f"{what}: {why}" for what, why in one.unread.items())
        yield f"{name}: {len(one.objects)} objects" + (f"; not read: {unread}" if unread else "")
    if all("cluster" in one.unread for one in snapshot.clusters.values()):
        raise SnapshotError(f"{path}: holds nothing, no cluster could be read")


def rendered(report: Report, form: str, *, colour: bool = False) -> str:
    """Return `report` as `text`, `json`, `markdown` or `html`."""
    match form:
        case "json":
            return report.model_dump_json(indent=2)
        case "markdown":
            return to_markdown(report)
        case "html":
            # Its templates take long to import, and every verb that looks at missions comes here.
            from engine.report.html import to_html  # noqa: PLC0415

            return to_html(_told(report))
        case _:
            return to_text(report, colour=colour)


def _told(report: Report) -> Delivery:
    """Return the delivery that a sink would be given of `report`."""
    return Delivery(
        key=report.run_id,
        sink="file",
        change=Occasion.RESULT,
        incident=report.cause or report.run_id,
        rule=report.rule or report.kind,
        group={},
        at=report.finished,
        mission=report.run_id,
        title=report.incidents[0].title if report.incidents else report.summary,
        severity=report.incidents[0].severity.value if report.incidents else "info",
        report=report,
    )


def _wanted(settings: AppConfig, names: Sequence[str]) -> list[ClusterConfig]:
    """Return the configured clusters `names`, all for none. Raises ConfigError on another name."""
    known = [cluster.name for cluster in settings.clusters]
    unknown = [name for name in names if name not in known]
    if unknown or not known:
        raise ConfigError(
            f"unknown cluster {', '.join(map(repr, unknown)) or '(none is configured)'}; known: "
            f"{', '.join(known) or 'none'}" + "".join(nearest(name, known) for name in unknown)
        )
    return [cluster for cluster in settings.clusters if cluster.name in names or not names]


def _refuse_unread(params: Mapping[str, str], read: Collection[str]) -> None:
    """Raise DogwatchError where `params` ask about a cluster that is not among those `read`."""
    name = params.get("cluster")
    if name and name not in read:
        known = ", ".join(sorted(read)) or "none"
        raise DogwatchError(
            f"--param cluster={name}: not among the clusters to read; known: {known}"
            + nearest(name, read)
        )


def _collected(
    settings: AppConfig,
    wanted: Sequence[ClusterConfig],
    needs: Iterable[str],
    logs: LogChoice | None,
    *,
    progress: bool,
) -> Snapshot:
    async def read() -> Snapshot:
        async with AsyncExitStack() as stack:
            clusters = {one.name: await stack.enter_async_context(reach(one)) for one in wanted}
            within_s = settings.missions.collect_s
            return await collect(clusters, needs, logs, SystemClock(), within_s=within_s)

    console = Console(stderr=True, quiet=not progress)
    with console.status(f"reading {', '.join(one.name for one in wanted)}"):
        return asyncio.run(read())


def _instant(now: str | None, snapshot: Snapshot) -> datetime:
    if now is not None:
        try:
            return from_us(parse_rfc3339(now))
        except ValueError as error:
            raise DogwatchError(f"--now: {error}") from error
    taken = [one.taken_at for one in snapshot.clusters.values() if one.taken_at]
    return max(taken, default=None) or _latest(snapshot)


def _latest(snapshot: Snapshot) -> datetime:
    """Return the latest instant written in any object, or 1970 where there is none."""
    latest = EPOCH
    waiting: list[Any] = [o for one in snapshot.clusters.values() for o in one.objects]
    while waiting:
        match waiting.pop():
            case dict() as fields:
                waiting.extend(fields.values())
            case list() as items:
                waiting.extend(items)
            case str() as text if text.endswith("Z") and text[:2] == "20":
                try:
                    latest = max(latest, from_us(parse_rfc3339(text)))
                except ValueError:
                    continue
            case _:
                continue
    return latest


def _report(kind: str, params: dict[str, str], snapshot: Snapshot, found: Report) -> Report:
    report = with_reach(found, snapshot)
    run_id = mission_id(f"{PERSON}:{sorted(report.clusters.items())}@{found.started}", kind, params)
    return report.model_copy(update={"run_id": run_id})
