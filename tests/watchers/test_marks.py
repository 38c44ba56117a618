"""What dogwatch made or changed is marked, and only while it was the last to write."""

from typing import Any

import pytest

from engine.cluster.clean import clean
from engine.model.watch import ChangeType
from tests.watchers.sources import Script, an_object, change, saw
from watchers.events import EventsConfig, watch_events
from watchers.marks import marks
from watchers.objects import ObjectsConfig, watch_objects
from watchers.owners import Owners
from watchers.registry import Scene

SALT = b"salt"


def written(*managers: tuple[str, str], **annotations: str) -> dict[str, Any]:
    """Return a Pod that (manager, time) wrote, as it is after cleaning."""
    pod = an_object("Pod", "web-x")
    pod["metadata"]["managedFields"] = [
        {"manager": manager, "operation": "Update", "time": f"2026-01-31T{time}Z"}
        for manager, time in managers
    ]
    pod["metadata"]["annotations"] = annotations
    return clean(pod, SALT)


def test_what_dogwatch_wrote_last_is_marked() -> None:
    pod = written(("kubectl", "11:00:00"), ("dogwatch-writer", "12:00:00"))
    assert marks(pod) == {"madeBy": "dogwatch", "depth": 1}


@pytest.mark.parametrize("time", ["12:00:01", "12:00:00"])
def test_what_somebody_wrote_after_it_or_in_the_same_second_is_not(time: str) -> None:
    assert marks(written(("dogwatch", "12:00:00"), ("kubelet", time))) == {}


def test_what_dogwatch_never_wrote_is_not() -> None:
    assert marks(written(("kubectl", "11:00:00"))) == {}
    assert marks(clean(an_object("Pod", "web-x"), SALT)) == {}


@pytest.mark.parametrize(
    ("text", "depth"), [("3", 3), ("999", 999), ("x", 1), ("-1", 1), ("9" * 9, 1), ("²", 1)]
)
def test_the_depth_is_that_of_the_annotation(text: str, depth: int) -> None:
    pod = written(("dogwatch", "12:00:00"), **{"dogwatch.dev/depth": text})
    assert marks(pod)["depth"] == depth


@pytest.mark.parametrize("fields", [None, 7, "x", [7], [{"manager": None, "time": None}], [{}]])
def test_managed_fields_of_any_form_are_borne(fields: Any) -> None:
    pod = an_object("Pod", "web-x")
    pod["metadata"]["managedFields"] = fields
    assert "madeBy" not in clean(pod, SALT)


async def test_the_signal_of_an_object_bears_the_mark_and_the_object_does_not() -> None:
    pod = written(("dogwatch", "12:00:00"))
    source = Script({"pods": [saw(1, change(ChangeType.MODIFIED, pod, old=pod))]})
    scene = Scene(source, "uid-kube-system", owners=Owners())
    config = ObjectsConfig(resources=("pods",))
    batches = [batch async for batch in watch_objects(config, scene)]
    (signal,) = (one for batch in batches for one in batch if one.type == "k8s.object")
    assert (signal.data["madeBy"], signal.data["depth"]) == ("dogwatch", 1)
    assert "madeBy" not in signal.data["object"]
    assert "madeBy" not in signal.data["old"]


@pytest.mark.parametrize("source", [{"component": "dogwatch"}, {"component": "kubelet"}])
async def test_an_event_of_dogwatch_is_marked(source: dict[str, str]) -> None:
    event = an_object("Event", "web.1", involvedObject={"kind": "Pod"}, source=source)
    script = Script({"events": [saw(1, change(ChangeType.ADDED, event))]})
    scene = Scene(script, "uid-kube-system", owners=Owners())
    batches = [batch async for batch in watch_events(EventsConfig(), scene)]
    (signal,) = (one for batch in batches for one in batch if one.type == "k8s.event")
    assert signal.data.get("madeBy") == ("dogwatch" if source["component"] == "dogwatch" else None)
