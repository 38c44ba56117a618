"""What doctor and `watch --once` say fits a terminal, misleads nobody, and names what to set."""

from datetime import UTC, datetime

from engine.app.doctor import WIDTH, Examined
from engine.app.signal_text import line_of
from engine.app.sources import Checked, Looked, State, lacks, told
from engine.cli.sources import WATCHERS
from engine.model.signal import Signal
from watchers.registry import NAMES

LONG = "validatingwebhookconfigurations.admissionregistration.k8s.io"
RIGHT = (
    '{apiGroups: ["admissionregistration.k8s.io"], resources: [validatingwebhookconfigurations], '
    "verbs: [get, list, watch]}"
)


def examined(*sources: Checked, **deaf: str) -> Examined:
    return Examined("west", "v1.36.3", "uid", "", sources, deaf)


def a_source(watcher: str, name: str, state: State, **more: str) -> Checked:
    return Checked("west", watcher, name, state, **{"gives": "what it gives", **more})  # type: ignore[arg-type]


def test_each_line_of_advice_names_its_watcher_and_fits_a_terminal() -> None:
    forbidden = a_source("certificates", LONG, State.FAULT, why="forbidden: no", fix=RIGHT)
    off = a_source("versions", "secrets", State.OFF, fix="set clusters[].watchers.versions.secrets")
    slow = a_source("metrics", "prometheus", State.FAULT, why="timeout: " + "slow " * 50)
    many = {f"rule-number-{number}": "drift" for number in range(20)}
    lines = list(examined(forbidden, off, slow, **many).advice())
    assert max(len(line) for line in lines if RIGHT not in line) <= WIDTH
    assert lines[:3] == [
        f"  for certificates {LONG}:",
        f"    {RIGHT}",
        "  for versions secrets: set clusters[].watchers.versions.secrets",
    ]
    assert lines[3].startswith("  metrics prometheus: timeout: slow")


def test_sources_that_work_share_a_row_that_says_what_they_give() -> None:
    versions = [a_source("versions", f"s{n}", State.OK, gives=f"g{n % 2}") for n in range(5)]
    objects = [a_source("objects", f"s{n}", State.OK, gives=f"s{n} as signals") for n in range(5)]
    rows = [(row[0], row[4]) for row in examined(*versions, *objects).rows()]
    assert rows == [("versions", "g0, g1"), ("objects", "objects as signals")]


def test_what_a_cluster_does_not_have_is_shown_with_what_it_would_give() -> None:
    one = a_source("drift", "applications.argoproj.io", State.ABSENT, why="it is not there")
    assert list(examined(one).rows()) == [
        ("drift", "applications", "absent", "", "what it gives"),
    ]


def test_a_watcher_that_has_nothing_to_read_says_what_to_set() -> None:
    off = a_source("audit", "audit-log", State.OFF, fix="set clusters[].watchers.audit.file_path")
    assert lacks(Looked("west", sources=(off,))) == [
        "west audit: nothing to read; set clusters[].watchers.audit.file_path"
    ]
    well = a_source("audit", "audit-log", State.OK)
    assert lacks(Looked("west", sources=(well, off))) == []


def test_what_cannot_be_read_is_told_with_what_would_give_it() -> None:
    gone = a_source("audit", "audit-log", State.FAULT, why="not-found: no file")
    hidden = a_source("events", "events", State.FAULT, why="forbidden: no", fix=RIGHT)
    assert lacks(Looked("west", sources=(gone, hidden))) == [
        "west audit-log: not-found: no file",
        f"west events: forbidden: no; give it {RIGHT}",
    ]


def test_the_help_names_the_watchers_there_are() -> None:
    assert WATCHERS == NAMES


def test_no_docstring_is_shown_as_it_is_written() -> None:
    assert told("Yield `audit` for each request.") == "audit for each request"


def test_the_labels_of_a_metric_are_shown_once() -> None:
    one = Signal(
        id="1",
        source="x",
        type="metric",
        subject="up{job=shop}",
        time=datetime(2026, 3, 1, tzinfo=UTC),
        cluster="west",
        data={"metric": "up", "labels": {"job": "shop"}, "value": 1.0},
    )
    assert line_of(one).count("shop") == 1
