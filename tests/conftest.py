"""Fixtures of all tests: real servers, started when the first test asks for one."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import hypothesis
import pytest

from tests.testbeds.build import BuildError, find
from tests.testbeds.certificates import Authority
from tests.testbeds.controlplane import SERVERS
from tests.testbeds.kube import Kube, start_kube
from tests.testbeds.missing import missing, tally
from tests.testbeds.promtool import Promtool, find_promtool
from tests.testbeds.receiver import Receiver, slack
from tests.testbeds.recipes import RECIPES
from tests.testbeds.smtp import MailServer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

hypothesis.settings.register_profile("everyday", deadline=None, max_examples=60)
hypothesis.settings.register_profile("nightly", deadline=None, max_examples=10_000)
hypothesis.settings.load_profile("everyday")
LOGS = Path(__file__).parent.parent / "build" / "testbed-logs"
SLACK_TOKEN = "xoxb-test"
MAIL_LOGIN = ("dogwatch", "correct horse")


@pytest.fixture(scope="session")
def binaries() -> dict[str, Path]:
    """Executables of the control plane by server name."""
    found = {}
    for server in SERVERS:
        try:
            path = find(RECIPES[server])
        except BuildError as error:
            missing(server, str(error))
        if path is None:
            missing(server, "run: make testbeds")
        found[server] = path
    return found


@pytest.fixture(scope="session")
def kube_clusters(request: pytest.FixtureRequest) -> Iterator[dict[str, Kube]]:
    """The clusters that run, by name; they end with the session."""
    running: dict[str, Kube] = {}
    shutil.rmtree(LOGS, ignore_errors=True)
    yield running
    for name, each in running.items():
        each.close()
        if request.session.testsfailed:
            shutil.copytree(each.plane.logs, LOGS / name, dirs_exist_ok=True)


@pytest.fixture(autouse=True)
def _sweep(kube_clusters: dict[str, Kube]) -> Iterator[None]:
    """Take away what a test made in the clusters: its troubles must not go on beside the next."""
    before = {name: len(each.made) for name, each in kube_clusters.items()}
    yield
    for name, each in kube_clusters.items():
        each.sweep(before.get(name, 0))


@pytest.fixture(scope="session")
def kube_factory(
    binaries: dict[str, Path],
    kube_clusters: dict[str, Kube],
    tmp_path_factory: pytest.TempPathFactory,
) -> Callable[[str], Kube]:
    """Give the cluster of a name, starting it the first time."""

    def cluster(name: str) -> Kube:
        if name not in kube_clusters:
            kube_clusters[name] = start_kube(name, tmp_path_factory.mktemp(name), binaries)
        return kube_clusters[name]

    return cluster


@pytest.fixture(scope="session")
def kube(kube_factory: Callable[[str], Kube]) -> Kube:
    """The cluster that most tests share; each works in a namespace of its own."""
    return kube_factory("alpha")


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """Who signs the loopback servers; clients must be told to trust it."""
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture
def smtp(authority: Authority) -> Iterator[MailServer]:
    """A mail server that wants STARTTLS and the login MAIL_LOGIN."""
    with MailServer(tls=authority.server_context("smtp"), login=MAIL_LOGIN) as server:
        yield server


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """An HTTP server that accepts everything until it is told otherwise."""
    with Receiver() as server:
        yield server


@pytest.fixture
def slack_server() -> Iterator[Receiver]:
    """An HTTP server that answers as Slack does to the token SLACK_TOKEN."""
    with Receiver(slack(SLACK_TOKEN)) as server:
        yield server


@pytest.fixture(scope="session")
def chromium() -> Path:
    """The browser's executable."""
    found = shutil.which("chromium")
    if found is None:
        missing("chromium", "install the Debian package chromium")
    return Path(found)


@pytest.fixture
def promtool(tmp_path: Path) -> Promtool:
    """Prometheus' own judge of alerting rules."""
    return find_promtool(tmp_path)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Keep all tests of the control plane in one worker: it is started once, and is heavy."""
    for item in items:
        if "kube_factory" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.xdist_group("kube"))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say what was missing, how many tests did not run for it, and where logs were kept."""
    stats = terminalreporter.stats
    reports = [*stats.get("skipped", []), *stats.get("error", [])]
    lines = tally(str(report.longrepr) for report in reports)
    if lines:
        terminalreporter.section("missing test beds", yellow=True)
        for line in lines:
            terminalreporter.write_line(line)
    if LOGS.exists() and (stats.get("failed") or stats.get("error")):
        terminalreporter.write_line(f"The servers' logs were kept in {LOGS}")
