"""The writer is killed in the middle, or stands still until another one took over: one write."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.acceptance.changing import GOOD, Changing, spoil
from tests.testbeds.audit import changes
from tests.testbeds.process import eventually

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.testbeds.kube import Kube
    from tests.testbeds.receiver import Receiver

pytestmark = [pytest.mark.real, pytest.mark.timeout(300)]


@pytest.fixture
def change(
    tmp_path: Path, identities: Kube, slack_server: Receiver
) -> Iterator[Callable[..., Changing]]:
    """Give what starts a dogwatch with a bad image that it asks about; its writer has ended."""
    running: list[Changing] = []

    def started(**settings: Any) -> Changing:
        namespace = identities.namespace("killed")
        identities.audit.approve(namespace)
        made = Changing(tmp_path, identities, namespace, slack_server, settings=settings)
        made.__enter__()
        running.append(made)
        spoil(made)
        made.asked()
        made.writer.stop()
        return made

    yield started
    for one in running:
        one.__exit__(None, None, None)


def writes(changing: Changing) -> list[str]:
    """Return what was really written to the Deployment, by the server's audit."""
    done = changes(changing.kube, changing.namespace)
    return [one for one in done if one.startswith("patch deployments/web") and one.endswith("200")]


@pytest.mark.parametrize("place", ["pre-image-stored:after", "object-applied:after"])
def test_a_writer_that_is_killed_in_the_middle_is_gone_on_with(
    place: str, change: Callable[..., Changing]
) -> None:
    changing = change()
    doomed = changing.a_writer("doomed", FAILPOINTS=f"{place}:kill")
    changing.await_writing(doomed)
    changing.click(changing.asked(), "Approve")
    assert eventually(lambda: not doomed.running or None, 60), changing.tail()
    changing.start_writer()
    assert changing.state("verified", "rolled-back", "needs-human") == "verified"
    assert changing.image() == GOOD
    assert len(writes(changing)) == 1
    assert changing.command("audit", "verify").returncode == 0


def test_a_writer_that_stood_still_writes_nothing_beside_the_next_one(
    change: Callable[..., Changing], database: str
) -> None:
    changing = change(store={"url": database})
    plan = {"FAILPOINTS": "object-applied:before:stall", "FAILPOINT_STALL_S": "30"}
    still = changing.a_writer("still", **plan)
    changing.await_writing(still)
    changing.click(changing.asked(), "Approve")
    changing.state("applying")
    changing.start_writer()  # which waits until the lease of the other one is over
    assert changing.state("verified", "rolled-back", "needs-human", within_s=120) == "verified"
    log = changing.folder / "still.log"
    assert eventually(lambda: "lease lost" in log.read_text() or None, 90)
    assert set(changing.states().values()) == {"verified"}
    assert len(writes(changing)) == 1
    still.stop()
