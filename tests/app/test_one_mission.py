"""One mission for a person: what cannot be answered is refused, not answered by something else."""

from pathlib import Path

import pytest

from engine.app.one_mission import run_live, run_recorded, save_snapshot
from engine.model.errors import DogwatchError, SnapshotError


def test_a_snapshot_without_any_cluster_read_says_why_and_fails(tmp_path: Path) -> None:
    config = tmp_path / "dogwatch.yaml"
    config.write_text("clusters: [{name: east, kubeconfig: gone}]\n")
    lines = iter(save_snapshot(tmp_path / "kept", [], str(config), progress=False))
    assert "not read: cluster: config: " in next(lines)
    with pytest.raises(SnapshotError, match="no cluster could be read"):
        next(lines)


def recorded_in(folder: Path) -> Path:
    """Two clusters of one healthy Service each, recorded in `folder`."""
    for name in ("east", "west"):
        (folder / "clusters" / name).mkdir(parents=True)
        manifest = "apiVersion: v1\nkind: Service\nmetadata: {name: web, namespace: shop}\n"
        (folder / "clusters" / name / "web.yaml").write_text(manifest)
    return folder


def test_a_cluster_that_is_not_recorded_is_refused_with_the_nearest(tmp_path: Path) -> None:
    path = recorded_in(tmp_path)
    with pytest.raises(DogwatchError, match="cluster=eats") as error:
        run_recorded("incident-response", path, {"cluster": "eats"}, None)
    assert "known: east, west; did you mean 'east'?" in str(error.value)
    report = run_recorded("incident-response", path, {"cluster": "east"}, None)
    assert set(report.clusters) == {"east", "west"}


def test_a_cluster_that_is_not_to_be_read_is_refused_before_any_is(tmp_path: Path) -> None:
    config = tmp_path / "dogwatch.yaml"
    config.write_text(
        "clusters: [{name: east, kubeconfig: gone}, {name: west, kubeconfig: gone}]\n"
    )
    asked = {"cluster": "west"}
    with pytest.raises(DogwatchError, match=r"cluster=west: .* known: east"):
        run_live("incident-response", ["east"], asked, str(config), progress=False)
    report = run_live("incident-response", ["west"], asked, str(config), progress=False)
    assert set(report.clusters) == {"west"}
