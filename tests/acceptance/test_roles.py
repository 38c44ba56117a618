"""The roles as processes of their own, on a real cluster: what is shared, what is taken over."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import pytest

from tests.acceptance.lab import SECRET as HOOK_SECRET
from tests.acceptance.lab import a_hook
from tests.acceptance.scaled import Scaled, servers
from tests.testbeds.manifests import a_deployment, chaos
from tests.testbeds.process import eventually

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.testbeds.kafka import Cluster
    from tests.testbeds.kube import Kube
    from tests.testbeds.receiver import Receiver

pytestmark = [pytest.mark.real, pytest.mark.timeout(300)]
TAKEN_OVER_S = 30.0
RULES = """
apiVersion: dogwatch.dev/v1
kind: RuleGroup
metadata: {name: roles, owner: sre}
spec:
  defaults: {settle: 0s, cooldown: 1h}
  rules:
    - name: crash-loop
      on: [{type: k8s.object, kinds: [Pod], namespaces: ["NAMESPACE"]}]
      when: '"CrashLoopBackOff" in signal.data.waiting'
      by: [cluster, namespace, workload]
      mission: {kind: incident-response, params: {namespace: "{{ key.namespace }}"}}
      labels: {severity: critical}
"""


@pytest.fixture
def namespace(kube: Kube) -> str:
    return kube.namespace("roles")


@pytest.fixture
def start(
    tmp_path: Path, kube: Kube, kafka: Cluster, database: str, receiver: Receiver, namespace: str
) -> Iterator[Callable[[str, str], Scaled]]:
    """Start a process with a name and a role, over the same servers as the others."""
    settings: dict[str, Any] = {
        **servers(database, kafka),
        "clusters": [{"name": "alpha", "kubeconfig": str(kube.kubeconfig)}],
        "sinks": {"hook": a_hook(receiver)},
        "routes": [{"sinks": ["hook"]}],
    }
    with ExitStack() as held:

        def started(name: str, role: str) -> Scaled:
            folder = tmp_path / name
            folder.mkdir()
            (folder / "secret").write_text(HOOK_SECRET)
            rules = RULES.replace("NAMESPACE", namespace)
            one = Scaled(folder, settings, rules, [role])
            held.callback(one.close)
            one.process.start()
            return one

        yield started


def watches(one: Scaled) -> bool:
    return "cluster alpha" in one.page()


def test_a_crash_loop_goes_through_all_roles_to_its_receiver(
    start: Callable[[str, str], Scaled], kube: Kube, namespace: str, receiver: Receiver
) -> None:
    parts = [start(role, role) for role in ("watcher", "worker", "runner")]
    for one in parts:
        assert one.ready_soon(), one.page()
    kube.create(a_deployment("web", namespace, trouble=chaos("crashloop", exit_code="137")))

    def told() -> list[str]:
        return [request.json()["data"]["change"] for request in receiver.requests]

    assert eventually(lambda: "result" in told() or None, 90), (told(), parts[1].process.tail())
    assert told()[0] == "fire"
    report = receiver.requests[-1].json()["data"]["report"]
    assert report["incidents"][0]["root"]["name"] == "web"


def test_of_two_watchers_one_watches_a_cluster_and_the_other_takes_over(
    start: Callable[[str, str], Scaled],
) -> None:
    pair = [start("first", "watcher"), start("second", "watcher")]
    for one in pair:
        assert one.ready_soon(), one.page()
    assert eventually(lambda: any(map(watches, pair)) or None, 30)
    (holder,) = [one for one in pair if watches(one)]
    (heir,) = [one for one in pair if one is not holder]
    assert not watches(heir)
    holder.process.kill()
    assert eventually(lambda: watches(heir) or None, TAKEN_OVER_S), heir.process.tail()


def test_a_watcher_that_stops_in_good_order_is_replaced_at_the_next_look(
    start: Callable[[str, str], Scaled],
) -> None:
    first = start("first", "watcher")
    assert eventually(lambda: watches(first) or None, 60), first.process.tail()
    second = start("second", "watcher")
    assert second.ready_soon()
    first.process.stop()
    assert eventually(lambda: watches(second) or None, TAKEN_OVER_S / 2), second.process.tail()
