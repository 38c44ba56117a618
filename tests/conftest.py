"""Fixtures of all tests: real servers, started when the first test asks for one."""

from __future__ import annotations

import os
import shutil
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import hypothesis
import pytest
import structlog

from tests.ledger.nursery import Nursery
from tests.testbeds import jars
from tests.testbeds.audit import UnapprovedError
from tests.testbeds.build import BuildError, find
from tests.testbeds.certificates import Authority
from tests.testbeds.controlplane import SERVERS
from tests.testbeds.identities import install
from tests.testbeds.kafka import Cluster, Installed
from tests.testbeds.kube import Kube, start_kube
from tests.testbeds.missing import missing, tally
from tests.testbeds.postgres import Postgres, start_postgres
from tests.testbeds.prometheus import Exporter, Prometheus
from tests.testbeds.promtool import Promtool, find_promtool
from tests.testbeds.receiver import Receiver, slack
from tests.testbeds.recipes import RECIPES
from tests.testbeds.smtp import MailServer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

hypothesis.settings.register_profile("everyday", deadline=None, max_examples=60)
hypothesis.settings.register_profile("nightly", deadline=None, max_examples=10_000)
hypothesis.settings.load_profile("everyday")
# Tests start dogwatch a thousand times: compiled once, it starts in two thirds of the time.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
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
    unapproved = []
    for name, each in running.items():
        each.close()
        try:
            each.audit.check()
        except UnapprovedError as error:
            unapproved.append(error)
        if request.session.testsfailed or unapproved:
            shutil.copytree(each.plane.logs, LOGS / name, dirs_exist_ok=True)
    if unapproved:
        raise ExceptionGroup("dogwatch changed a cluster on its own", unapproved)


@pytest.fixture(autouse=True)
def _log() -> None:
    """Let the log of each test be what nobody quieted: a verb that ran before did for itself."""
    structlog.reset_defaults()


@pytest.fixture(autouse=True)
def _sweep(kube_clusters: dict[str, Kube]) -> Iterator[None]:
    """Take away what a test made in the clusters: its troubles must not go on beside the next.

    Then judge what dogwatch changed there, by the server's audit log.
    """
    before = {name: len(each.made) for name, each in kube_clusters.items()}
    yield
    for name, each in kube_clusters.items():
        each.sweep(before.get(name, 0))
    for each in kube_clusters.values():
        each.audit.check()


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
def identities(kube: Kube) -> Kube:
    """The same cluster with dogwatch's accounts, their rights and what they are held to."""
    install(kube)
    return kube


@pytest.fixture(scope="session")
def kafka_installed() -> Installed:
    """What brokers are run with."""
    try:
        java = jars.java()
    except BuildError as error:
        missing("kafka", str(error))
    libs = jars.find()
    if libs is None:
        missing("kafka", "run: make testbeds")
    return Installed(java, libs)


@pytest.fixture(scope="session")
def kafka_broker(
    request: pytest.FixtureRequest,
    kafka_installed: Installed,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Cluster]:
    """The one broker of this worker; tests ask for `kafka`."""
    with Cluster(tmp_path_factory.mktemp("kafka"), kafka_installed, brokers=1) as broker:
        yield broker
        if request.session.testsfailed:
            broker.keep_logs(LOGS / "kafka")


@pytest.fixture
def kafka(kafka_broker: Cluster) -> Iterator[Cluster]:
    """One broker that serves; what a test does to it and its topics ends with the test."""
    kafka_broker.start()
    yield kafka_broker
    kafka_broker.start()
    kafka_broker.sweep()


@pytest.fixture(scope="session")
def nursery(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nursery]:
    """Starts processes of dogwatch without the time that imports take."""
    with Nursery(tmp_path_factory.mktemp("nursery")) as nursery:
        yield nursery


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """A PostgreSQL server of this session; tests that stop it take `a_postgres`."""
    server = start_postgres()
    yield server
    server.close()


@pytest.fixture
def a_postgres() -> Iterator[Postgres]:
    """A PostgreSQL server of one test, which may stop, crash and fill it."""
    server = start_postgres()
    yield server
    server.close()


@pytest.fixture
def database(postgres: Postgres) -> Iterator[str]:
    """The URL of an empty database on the server of this session, password included."""
    name = postgres.database()
    yield postgres.url(name)
    postgres.drop(name)


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """Who signs the loopback servers; clients must be told to trust it."""
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="session")
def prometheus_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    """The Prometheus of this worker; tests ask for `prometheus`."""
    server = Prometheus(tmp_path_factory.mktemp("prometheus"))
    yield server
    server.close()


@pytest.fixture
def prometheus(prometheus_server: Prometheus) -> Prometheus:
    """A Prometheus that runs; a test may stop it."""
    prometheus_server.start()
    return prometheus_server


@pytest.fixture
def prometheus_with(
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Callable[[str], Prometheus]]:
    """Start a Prometheus of the test's own that has a history (OpenMetrics with times)."""
    with ExitStack() as running:

        def start(history: str) -> Prometheus:
            server = Prometheus(tmp_path_factory.mktemp("prometheus"), history)
            running.callback(server.close)
            server.start()
            return server

        yield start


@pytest.fixture
def exporter(prometheus: Prometheus) -> Exporter:
    """An endpoint of metrics that Prometheus scrapes every second; the test sets its `page`."""
    return prometheus.exporter()


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


@pytest.fixture(scope="session")
def kustomize() -> Path:
    """The program kustomize."""
    try:
        path = find(RECIPES["kustomize"])
    except BuildError as error:
        missing("kustomize", str(error))
    if path is None:
        missing("kustomize", "run: make testbeds")
    return path


@pytest.fixture
def promtool(tmp_path: Path) -> Promtool:
    """Prometheus' own judge of alerting rules."""
    return find_promtool(tmp_path)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Keep all tests of a heavy server in one worker, so that it is started once."""
    for item in items:
        used = getattr(item, "fixturenames", ())
        if "kube_factory" in used:
            item.add_marker(pytest.mark.xdist_group("kube"))
        elif "kafka_installed" in used:
            # The ledgers take minutes: they have a broker of their own, beside all others.
            long = item.path.parent.name in {"ledger", "failpoints"}
            item.add_marker(pytest.mark.xdist_group("ledger" if long else "kafka"))
        elif "prometheus_server" in used:
            item.add_marker(pytest.mark.xdist_group("prometheus"))


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
