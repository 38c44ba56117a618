"""A configuration with a policy of three users, and a store in which a change waits for them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import timedelta
from hashlib import sha256
from typing import TYPE_CHECKING

from engine.app.configured import load_config
from engine.app.opening import open_store
from engine.model.change import Risk
from engine.model.ports import SystemClock
from tests.store.changes_of import Scene, a_change, a_draft, a_row, a_target

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import pytest

    from engine.app.config import AppConfig
    from engine.model.change_row import ChangeRow
    from engine.store.store import Store
    from tests.testbeds.postgres import Postgres

ANN_TOKEN = "ann-" + "a" * 40
BOB_TOKEN = "bob-" + "b" * 40
DIFF = "--- web (live)\n+++ web (proposed)\n@@ -1 +1 @@\n-replicas: 1\n+replicas: 3\n"
POLICY = f"""
users:
  ann: {{token_sha256: {sha256(ANN_TOKEN.encode()).hexdigest()}}}
  cay: {{email: cay@example.com}}
  bob: {{token_sha256: {sha256(BOB_TOKEN.encode()).hexdigest()}}}
groups:
  sre: [ann, cay]
  dev: [bob]
approvers:
  - groups: [sre]
"""


@dataclass
class Office:
    """Where a change of mission m-1 waits; `config` is the path of the configuration."""

    config: Path
    settings: AppConfig
    store: Store
    scene: Scene

    def ask(
        self,
        *names: str,
        risk: Risk = Risk.DISRUPTIVE,
        hours: float = 4,
        diff: str = DIFF,
    ) -> list[ChangeRow]:
        """Let the mission wait for a change of each object, worked out and asked for."""
        drafts = {f"c-{name}": a_draft(f"c-{name}", a_target(name).ref) for name in names}
        self.scene.waits_for(
            *(a_row(id_, draft=one, sinks=("out",)) for id_, one in drafts.items())
        )
        ends = SystemClock().now() + timedelta(hours=hours)
        return [
            self.scene.awaiting(
                id_,
                change=a_change(one, risk=risk).model_copy(
                    update={"diff": diff, "lines": ["replicas 1 -> 3"], "blast": "2 more pods"}
                ),
                expires=ends,
            )
            for id_, one in drafts.items()
        ]

    def close(self) -> None:
        self.store.close()


def offices(request: pytest.FixtureRequest, folder: Path) -> Iterator[Office]:
    """Give one on the database that the fixture's parameter names."""
    if request.param == "sqlite":
        made = an_office(folder)
        yield made
        made.close()
        return
    server: Postgres = request.getfixturevalue("postgres")
    name = server.database()
    made = an_office(folder, server.url(name))
    yield made
    made.close()
    server.drop(name)


def an_office(folder: Path, url: str | None = None, policy: str = POLICY) -> Office:
    """Return one whose store is a file of `folder`, or the database at `url`."""
    (folder / "policy.yaml").write_text(policy)
    config = folder / "dogwatch.yaml"
    settings = {
        "data_dir": "data",
        "clusters": [{"name": "east", "labels": {"env": "test"}, "groups": ["blue"]}],
        "sinks": {"out": {"type": "console"}},
        "changes": {"policy_file": "policy.yaml"},
        **({"store": {"url": url}} if url else {}),
    }
    config.write_text(json.dumps(settings))
    (folder / "data").mkdir()
    loaded = load_config(str(config), {})
    store = open_store(loaded, SystemClock())
    return Office(config, loaded, store, Scene(store))
