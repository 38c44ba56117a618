"""Snapshots on disk: what is read, what is told, and that save and load agree."""

import json
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from engine.cluster.recorded import load, save
from engine.model.errors import SnapshotError
from engine.model.snapshot import ClusterSnapshot, Snapshot

POD = "apiVersion: v1\nkind: Pod\nmetadata: {name: web, namespace: shop}\n"


def write(root: Path, files: dict[str, str | bytes]) -> Path:
    for name, text in files.items():
        file = root / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(text if isinstance(text, bytes) else text.encode())
    return root


def only(snapshot: Snapshot) -> ClusterSnapshot:
    (cluster,) = snapshot.clusters.values()
    return cluster


def names(cluster: ClusterSnapshot) -> list[str]:
    return [o["metadata"]["name"] for o in cluster.objects]


def an_object(kind: str, name: str, **more: Any) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": kind, "metadata": {"name": name}, **more}


def test_any_folder_of_manifests_is_a_snapshot_of_the_cluster_default(tmp_path: Path) -> None:
    two = POD + "---\n" + POD.replace("web", "db")
    typed = {"apiVersion": "v1", "kind": "PodList", "items": [{"metadata": {"name": "listed"}}]}
    listed = {"apiVersion": "v1", "kind": "List", "items": [an_object("Node", "n1")]}
    files = {"a/b/two.yaml": two, "nodes.json": json.dumps(listed), "pods.yml": json.dumps(typed)}
    cluster = only(load(write(tmp_path, {**files, "README.md": "hello"})))
    assert (cluster.name, cluster.read, dict(cluster.unread)) == ("default", None, {})
    assert names(cluster) == ["n1", "listed", "db", "web"]
    assert [o["kind"] for o in cluster.of_kind("Pod")] == ["Pod"] * 3


def test_one_file_is_a_snapshot_too(tmp_path: Path) -> None:
    write(tmp_path, {"pod.yaml": POD, "other.yaml": POD.replace("web", "other")})
    assert names(only(load(tmp_path / "pod.yaml"))) == ["web"]


def test_clusters_lie_in_folders_of_their_name_and_one_that_was_down_is_there(
    tmp_path: Path,
) -> None:
    down = "unread: {cluster: 'unreachable: connection refused'}\nread: []\n"
    files: dict[str, str | bytes] = {
        "clusters/west/a.yaml": POD,
        "clusters/east/snapshot.yaml": down,
        "snapshot.yaml": "name: hub\nversion: v1.36.3\ntaken_at: 2026-01-31T12:00:00Z\n",
        "hub.yaml": POD,
    }
    clusters = load(write(tmp_path, files)).clusters
    assert list(clusters) == ["east", "hub", "west"]
    assert clusters["east"].unread == {"cluster": "unreachable: connection refused"}
    assert clusters["east"].read == frozenset()
    assert clusters["hub"].taken_at == datetime(2026, 1, 31, 12, tzinfo=UTC)
    assert clusters["hub"].version == "v1.36.3"


def test_log_tails_are_found_by_namespace_pod_and_container(tmp_path: Path) -> None:
    files: dict[str, str | bytes] = {
        "pod.yaml": POD,
        "logs/shop/web/app.log": "now\n",
        "logs/shop/web/app.previous.log": b"before \xff\n",
        "logs/stray.log": "nobody's",
        "logs/shop/web/big.log": "x" * (1 << 20) + "end",
    }
    logs = only(load(write(tmp_path, files))).logs
    assert logs["shop", "web", "app", False] == "now\n"
    assert logs["shop", "web", "app", True] == "before \ufffd\n"
    assert len(logs["shop", "web", "big", False]) == 1 << 20
    assert logs["shop", "web", "big", False].endswith("end")
    assert len(logs) == 3


@pytest.mark.parametrize(
    ("name", "text", "reason"),
    [
        ("helm.yaml", "a: {{ .Values.x }}\n", "Helm template"),
        ("bad.yaml", "a: [1\nb: 2\n", "not YAML at 2:2"),
        ("bad.json", '{"a": ', "not JSON: Input data was truncated"),
        ("values.yaml", "replicas: 3\n", "no Kubernetes object: it has no apiVersion"),
        ("kustomization.yaml", "apiVersion: k/v1\nkind: Kustomization\n", "without metadata.name"),
        ("text.yaml", "hello\n", "a str where an object is expected"),
        ("kind.yaml", "apiVersion: v1\nkind: 3\n", "it has no kind"),
        ("bytes.yaml", b"\xff\xfe\x00", "not YAML"),
        ("tag.yaml", "!!python/object:os.system x\n", "not YAML at 1:1"),
        ("deep.json", b"[" * 100_000, "nested too deeply"),
        ("levels.json", b'{"a":1,"b":[' * 60 + b"]}" * 60, "more than 100 levels"),
        ("deep.yaml", b"[" * 100_000, "exceeded maximum nesting depth"),
        ("loop.yaml", "&a [*a]\n", "aliases counted"),
        ("snapshot.yaml", "nmae: x\n", "unknown field 'nmae'"),
        ("snapshot.yaml", "taken_at: 2026-01-31T12:00:00\n", "expected an instant with a zone"),
        ("snapshot.yaml", "- 1\n", "does not hold one mapping"),
    ],
)
def test_a_file_that_holds_no_object_is_told_of_and_the_rest_is_read(
    tmp_path: Path, name: str, text: str | bytes, reason: str
) -> None:
    cluster = only(load(write(tmp_path, {"good.yaml": POD, name: text})))
    assert names(cluster) == ["web"]
    assert list(cluster.unread) == [name]
    assert reason in cluster.unread[name]


def test_documents_before_a_fault_count_and_many_faults_are_summed_up(tmp_path: Path) -> None:
    files = {"a.yaml": POD + "---\n{{ bad }}\n", "b.yaml": "---\n".join(["x: 1\n"] * 9)}
    cluster = only(load(write(tmp_path, dict(files))))
    assert names(cluster) == ["web"]
    assert cluster.unread["b.yaml"].endswith("; and 4 more")


def test_of_an_object_that_occurs_twice_the_later_counts_and_both_are_told_of(
    tmp_path: Path,
) -> None:
    files = {"a.yaml": POD + "spec: {n: 1}\n", "b.yaml": POD + "spec: {n: 2}\n"}
    cluster = only(load(write(tmp_path, dict(files))))
    assert [o["spec"]["n"] for o in cluster.objects] == [2]
    assert cluster.unread == {"b.yaml": "Pod shop/web is also in a.yaml; this one counts"}


def test_aliases_and_merges_that_would_grow_without_bound_are_refused(tmp_path: Path) -> None:
    aliases = "a0: &a0 [x]\n" + "".join(
        f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 40)}]\n" for n in range(1, 12)
    )
    merges = "a0: &a0 {k: v}\n" + "".join(
        f"a{n}: &a{n} {{<<: [{', '.join([f'*a{n - 1}'] * 40)}]}}\n" for n in range(1, 12)
    )
    files = {"aliases.yaml": aliases, "merges.yaml": merges, "good.yaml": POD}
    cluster = only(load(write(tmp_path, dict(files))))
    assert "aliases counted" in cluster.unread["aliases.yaml"]
    assert "merges.yaml" in cluster.unread


def test_links_are_followed_within_the_snapshot_only(tmp_path: Path) -> None:
    root = write(tmp_path / "in", {"..data/pod.yaml": POD, "x/y.yaml": POD.replace("web", "y")})
    write(tmp_path / "out", {"secret.yaml": POD.replace("web", "secret")})
    (root / "pod.yaml").symlink_to("..data/pod.yaml")
    (root / "leak.yaml").symlink_to(tmp_path / "out" / "secret.yaml")
    (root / "folder").symlink_to(tmp_path / "out")
    (root / "gone.yaml").symlink_to("nowhere.yaml")
    os.mkfifo(root / "pipe.yaml")
    cluster = only(load(root))
    assert sorted(names(cluster)) == ["web", "y"]
    assert dict(cluster.unread) == {
        "folder": "a link to a folder, not followed",
        "gone.yaml": "no regular file",
        "leak.yaml": "a link that leads outside of the snapshot",
        "pipe.yaml": "no regular file",
    }


@pytest.mark.parametrize("files", [{}, {"a.yaml": "x: 1\n"}, {"readme.txt": "x"}])
def test_what_holds_no_object_is_no_snapshot(tmp_path: Path, files: dict[str, Any]) -> None:
    with pytest.raises(SnapshotError, match="no snapshot, it holds no Kubernetes object"):
        load(write(tmp_path, files))


def test_a_missing_path_is_said_to_be_missing(tmp_path: Path) -> None:
    with pytest.raises(SnapshotError, match="no such file or folder"):
        load(tmp_path / "nowhere")


def test_secret_values_and_bookkeeping_never_get_in(tmp_path: Path) -> None:
    secret = an_object("Secret", "s", data={"key": "aHVudGVyMg=="}, stringData={"b": "hunter2"})
    secret["metadata"]["managedFields"] = [{"manager": "hunter2"}]
    secret["metadata"]["annotations"] = {
        "kubectl.kubernetes.io/last-applied-configuration": "hunter2",
        "kept": "yes",
    }
    root = write(tmp_path, {"s.json": json.dumps({**secret, "x": None})})
    (found,) = only(load(root)).objects
    assert "hunter2" not in json.dumps(found)
    assert "aHVudGVyMg" not in json.dumps(found)
    assert found["metadata"] == {"name": "s", "annotations": {"kept": "yes"}}
    assert set(found["data"]) == {"key"}
    assert found["data"]["key"].startswith("salted-sha256:")


def test_credentials_in_the_clear_are_not_written_and_that_they_differ_is(tmp_path: Path) -> None:
    def a_pod(name: str, password: str) -> dict[str, Any]:
        env = [{"name": "DB_PASSWORD", "value": password}]
        return an_object("Pod", name, spec={"containers": [{"name": "main", "env": env}]})

    pods = (a_pod("a", "hunter-2-hunter"), a_pod("b", "hunter-2-hunter"), a_pod("c", "another-1"))
    logs = {("shop", "a", "main", False): "start\npassword=hunter-2-hunter\n"}
    snapshot = Snapshot({"west": ClusterSnapshot("west", objects=pods, logs=logs)})
    save(snapshot, tmp_path / "kept")
    files = [file for file in (tmp_path / "kept").rglob("*") if file.is_file()]
    assert not any(b"hunter-2" in file.read_bytes() for file in files)
    cluster = only(load(tmp_path / "kept"))
    first, same, other = (str(one["spec"]) for one in cluster.objects)
    assert first == same != other
    assert [log.splitlines()[0] for log in cluster.logs.values()] == ["start"]
    assert snapshot.clusters["west"].objects == pods


def test_scalars_are_what_kubectl_makes_of_them(tmp_path: Path) -> None:
    text = POD.replace("web", "7").replace("}", ", labels: {a: on, b: 1.5, c: 2026-01-01}}")
    values = "[yes, 0644, 12:30, 2026-01-01T00:00:00Z, 1e3, '1', =, ~, .nan]"
    (pod,) = only(load(write(tmp_path, {"a.yaml": f"{text}on: {values}\n"}))).objects
    assert pod["metadata"]["name"] == "7"
    assert pod["metadata"]["labels"] == {"a": "true", "b": "1.5", "c": "2026-01-01"}
    assert pod["true"] == [True, 420, "12:30", "2026-01-01T00:00:00Z", 1000, "1", "=", None, ".nan"]


def a_cluster(name: str) -> ClusterSnapshot:
    web = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"}}
    return ClusterSnapshot(
        name,
        identity="uid-of-kube-system",
        version="v1.36.3",
        taken_at=datetime(2026, 1, 31, 12, 0, 0, 5, tzinfo=UTC),
        objects=(
            web,
            an_object("Node", "n1"),
            an_object("Pod", "p", spec={"t": "1e3", "é": "\u2028"}),
        ),
        logs={("shop", "web", "app", True): "was\n", ("shop", "web", "a.b", False): ""},
        unread={"jobs.batch": "forbidden: no", "1e3": "on"},
        capabilities={"prometheus": False},
        read=frozenset({"pods", "nodes"}),
    )


@pytest.mark.parametrize("clusters", [("one",), ("west/:1", "..", "a%2Fb")])
def test_what_was_saved_is_loaded_again(tmp_path: Path, clusters: tuple[str, ...]) -> None:
    snapshot = Snapshot({name: a_cluster(name) for name in sorted(clusters)})
    save(snapshot, tmp_path / "s")
    assert load(tmp_path / "s") == snapshot


def test_equal_snapshots_give_equal_bytes_whatever_the_order(tmp_path: Path) -> None:
    first = a_cluster("one")
    second = ClusterSnapshot(**{**first.__dict__, "objects": first.objects[::-1]})
    for folder, cluster in (("a", first), ("b", second)):
        save(Snapshot({"one": cluster}), tmp_path / folder)
    files = sorted(p.relative_to(tmp_path / "a") for p in (tmp_path / "a").rglob("*.*"))
    assert len(files) == 6
    assert Path("objects/apps/v1/Deployment.json") in files
    for file in files:
        assert (tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes()


def test_many_objects_of_a_kind_go_to_several_files(tmp_path: Path) -> None:
    pods = tuple(an_object("Pod", f"p{n:05}") for n in range(5001))
    snapshot = Snapshot({"default": ClusterSnapshot("default", objects=pods)})
    save(snapshot, tmp_path / "s")
    assert len(list((tmp_path / "s" / "objects" / "v1").iterdir())) == 2
    assert load(tmp_path / "s") == snapshot


def test_saving_never_mixes_with_what_is_there_nor_leaves_a_half(tmp_path: Path) -> None:
    snapshot = Snapshot({"default": ClusterSnapshot("default")})
    write(tmp_path / "full", {"mine.txt": "x"})
    with pytest.raises(SnapshotError, match="exists and is not an empty folder"):
        save(snapshot, tmp_path / "full")
    with pytest.raises(SnapshotError, match="can not be written"):
        save(snapshot, tmp_path / "full" / "mine.txt" / "below")
    with pytest.raises(SnapshotError, match="without a cluster"):
        save(Snapshot({}), tmp_path / "new")
    assert [p.name for p in tmp_path.iterdir()] == ["full"]
