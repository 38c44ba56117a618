"""A recording of nothing is no success."""

from pathlib import Path

import pytest

from engine.app.one_mission import save_snapshot
from engine.model.errors import SnapshotError


def test_a_snapshot_without_any_cluster_read_says_why_and_fails(tmp_path: Path) -> None:
    config = tmp_path / "dogwatch.yaml"
    config.write_text("clusters: [{name: east, kubeconfig: gone}]\n")
    lines = iter(save_snapshot(tmp_path / "kept", [], str(config), progress=False))
    assert "not read: cluster: config: " in next(lines)
    with pytest.raises(SnapshotError, match="no cluster could be read"):
        next(lines)
