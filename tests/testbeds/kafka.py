"""Kafka brokers of the test beds: one for everyday tests, three where brokers are to fail."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
from contextlib import ExitStack, closing
from dataclasses import dataclass
from itertools import count
from typing import TYPE_CHECKING, Self

from tests.testbeds.certificates import Authority
from tests.testbeds.process import NotReadyError, Server, eventually, reserve_port
from tests.testbeds.properties import Node, properties
from tests.testbeds.recipes import FOLDER
from tests.testbeds.topics import Topics

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

_READY_S = 60.0
_CLUSTER_ID = "ZG9nd2F0Y2gtdGVzdHMtLQ"
_numbers = count(1)


@dataclass(frozen=True, slots=True)
class Installed:
    """What brokers are run with: the Java, and the folder of Kafka's jars."""

    java: Path
    libs: Path

    def command(self, heap_mb: int, main: str, *arguments: str) -> list[str]:
        """Return the command line that runs a class of Kafka."""
        logging = FOLDER / "kafka" / "log4j2.properties"
        return [
            str(self.java),
            "-Xms128m",
            f"-Xmx{heap_mb}m",
            "-XX:+UseSerialGC",
            "-XX:TieredStopAtLevel=1",
            "-Djava.awt.headless=true",
            f"-Dlog4j2.configurationFile={logging}",
            "-cp",
            f"{self.libs}/*",
            main,
            *arguments,
        ]


class Broker:
    """One broker process over its folder; it keeps its data when it is started again."""

    def __init__(self, installed: Installed, node: Node, peers: Sequence[Node]) -> None:
        self.node = node
        self._settings = node.folder / "server.properties"
        self._installed = installed
        node.folder.mkdir(parents=True)
        self._settings.write_text(properties(node, peers))
        self._settings.chmod(0o600)
        command = installed.command(512, "kafka.Kafka", str(self._settings))
        self.server = Server(f"kafka-{node.number}", command, node.folder / "log")

    def format(self) -> subprocess.Popen[bytes]:
        """Begin to make the folder for its data; the caller waits."""
        arguments = ["format", "-t", _CLUSTER_ID, "-c", str(self._settings)]
        for credential in self.node.credentials:
            arguments += ["--add-scram", credential]
        command = self._installed.command(128, "kafka.tools.StorageTool", *arguments)
        with self.server.log.open("ab") as log:
            return subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)

    def start(self) -> None:
        """Start the process; it is not ready yet."""
        self.server.start()

    def stop(self) -> None:
        """End it in good order."""
        self.resume()
        self.server.stop()

    def kill(self) -> None:
        """End it at once, as a crash would."""
        self.server.kill()

    def pause(self) -> None:
        """Let it stand still, as a machine that hangs."""
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let it go on."""
        self._signal(signal.SIGCONT)

    def listens(self) -> bool:
        """Whether something answers at its port; it may not serve yet."""
        host, port = self.node.address("plain").split(":")
        with closing(socket.socket()) as probe:
            return probe.connect_ex((host, int(port))) == 0

    def _signal(self, number: signal.Signals) -> None:
        if self.server.running and self.server.pid is not None:
            os.kill(self.server.pid, number)


class Cluster:
    """Brokers that are controllers too; use as a context manager.

    Listeners of each broker, all on loopback: `bootstrap` without any proof of who calls;
    `sasl_bootstrap` wants PLAIN or SCRAM-SHA-512; `tls_bootstrap` is encrypted and takes a
    certificate that `authority` signed, or none; `sasl_tls_bootstrap` is both. See
    tests/testbeds/properties.py for the users and what they may do.
    """

    def __init__(self, folder: Path, installed: Installed, brokers: int = 3) -> None:
        self.folder = folder
        self._held = ExitStack()
        self.authority = Authority(folder / "pki")
        serving = self.authority.sign("kafka")
        nodes = [
            Node(
                number=number,
                folder=folder / f"kafka-{number}",
                ports=tuple(reserve_port(self._held) for _ in range(5)),
                serving=serving,
                authority=self.authority.certificate,
            )
            for number in range(1, brokers + 1)
        ]
        self.brokers = {node.number: Broker(installed, node, nodes) for node in nodes}
        self.topics = Topics(self.bootstrap)
        self._prefixes: list[str] = []

    @property
    def bootstrap(self) -> str:
        return self._addresses("plain")

    @property
    def sasl_bootstrap(self) -> str:
        return self._addresses("sasl")

    @property
    def tls_bootstrap(self) -> str:
        return self._addresses("tls")

    @property
    def sasl_tls_bootstrap(self) -> str:
        return self._addresses("sasl_tls")

    def topic_prefix(self) -> str:
        """Return a prefix of topics and groups that nobody else got; `sweep` deletes its topics."""
        prefix = f"t{os.getpid()}-{next(_numbers)}."
        self._prefixes.append(prefix)
        return prefix

    def sweep(self) -> None:
        """Delete the topics of all prefixes given out so far."""
        prefixes = tuple(self._prefixes)
        self._prefixes.clear()
        if prefixes and (left := [one for one in self.topics.names() if one.startswith(prefixes)]):
            self.topics.delete(*left)

    def start(self, numbers: Iterable[int] = ()) -> None:
        """Start brokers, all of them by default, and wait until what runs serves.

        Raises:
            NotReadyError: it does not; the text has the last lines of a log.
        """
        for number in tuple(numbers) or self.brokers:
            self.brokers[number].resume()
            self.brokers[number].start()
        self.await_serving()

    def stop(self, numbers: Iterable[int] = ()) -> None:
        """End brokers in good order, all of them by default."""
        for number in tuple(numbers) or self.brokers:
            self.brokers[number].stop()

    def kill(self, numbers: Iterable[int] = ()) -> None:
        """End brokers at once, all of them by default."""
        for number in tuple(numbers) or self.brokers:
            self.brokers[number].kill()

    def pause(self, numbers: Iterable[int] = ()) -> None:
        """Let brokers stand still, all of them by default."""
        for number in tuple(numbers) or self.brokers:
            self.brokers[number].pause()

    def resume(self, numbers: Iterable[int] = ()) -> None:
        """Let brokers go on, all of them by default."""
        for number in tuple(numbers) or self.brokers:
            self.brokers[number].resume()

    def controller(self) -> int:
        """Return the node that leads the controllers; -1 while they know of none."""
        states = [
            json.loads(path.read_text())
            for one in self.brokers.values()
            if (path := one.node.data / "__cluster_metadata-0" / "quorum-state").exists()
        ]
        newest = max(((one["leaderEpoch"], one["leaderId"]) for one in states), default=(0, -1))
        return int(newest[1])

    def await_serving(self) -> None:
        """Wait until every running broker is in the cluster and each partition has a leader.

        Raises:
            NotReadyError: that does not come; the text has the last lines of a log.
        """
        running = {number for number, one in self.brokers.items() if one.server.running}
        if eventually(lambda: self._serves(running) or None, _READY_S, every_s=0.1) is None:
            logs = "\n".join(
                f"{one.server.name} ends with:\n{one.server.tail()}"
                for one in self.brokers.values()
            )
            raise NotReadyError(f"Kafka does not serve within {_READY_S:.0f} s; {logs}")

    def close(self) -> None:
        """End everything, give the ports back and remove the data, but not the logs."""
        self.kill()  # in good order is slow, and nobody wants the data
        self._held.close()
        for one in self.brokers.values():
            shutil.rmtree(one.node.data, ignore_errors=True)

    def keep_logs(self, folder: Path) -> None:
        """Copy the brokers' logs into a folder, `<server>.log`."""
        folder.mkdir(parents=True, exist_ok=True)
        for one in self.brokers.values():
            if one.server.log.exists():
                shutil.copy(one.server.log, folder / f"{one.server.name}.log")

    def __enter__(self) -> Self:
        try:
            self._format()
            self.start()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    def _format(self) -> None:
        making = [(one.server, one.format()) for one in self.brokers.values()]
        for server, made in making:
            if made.wait(_READY_S):
                raise NotReadyError(f"{server.name} cannot be made:\n{server.tail()}")

    def _serves(self, running: set[int]) -> bool:
        # A look at the ports first: the client logs each refusal.
        if not all(self.brokers[number].listens() for number in running):
            return False
        return self.topics.nodes() == running and self.topics.serve()

    def _addresses(self, listener: str) -> str:
        return ",".join(one.node.address(listener) for one in self.brokers.values())
