"""A build's name follows from its recipe and compiler; a build happens once."""

from __future__ import annotations

import dataclasses
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.testbeds import build, cache, jars
from tests.testbeds.missing import tally
from tests.testbeds.recipes import RECIPES, Recipe, key

_ROOT = Path(__file__).parent.parent.parent
ETCD = RECIPES["etcd"]


def test_the_cache_is_chosen_by_its_variable_then_xdg_then_home() -> None:
    home = Path.home() / ".cache" / "dogwatch" / "testbeds"
    assert cache.root({}) == home
    assert cache.root({"XDG_CACHE_HOME": "/x"}) == Path("/x/dogwatch/testbeds")
    assert cache.root({"XDG_CACHE_HOME": "/x", "DOGWATCH_TESTBED_CACHE": "/y"}) == Path("/y")


def test_a_build_has_its_server_version_and_a_hash_in_its_name() -> None:
    assert re.fullmatch(r"etcd-3\.6\.8-[0-9a-f]{12}", key(ETCD, "go1.26.8 linux amd64"))


@pytest.mark.parametrize(
    ("recipe", "toolchain"),
    [
        (ETCD, "go1.27.0 linux amd64"),
        (dataclasses.replace(ETCD, package="example.test/other"), "go1.26.8 linux amd64"),
        (dataclasses.replace(ETCD, stamps=("a.b=c",)), "go1.26.8 linux amd64"),
        (dataclasses.replace(ETCD, module="kwok"), "go1.26.8 linux amd64"),
    ],
    ids=["compiler", "package", "flags", "module"],
)
def test_all_that_decides_the_binary_decides_its_name(recipe: Recipe, toolchain: str) -> None:
    assert key(recipe, toolchain) != key(ETCD, "go1.26.8 linux amd64")


@pytest.mark.parametrize("recipe", RECIPES.values(), ids=RECIPES)
def test_a_recipe_and_its_module_agree_on_package_and_version(recipe: Recipe) -> None:
    module = (recipe.folder / "go.mod").read_text()
    required = re.findall(r"^\s*(?:require )?(\S+) (v\S+)", module, re.MULTILINE)
    assert recipe.package in module
    assert any(recipe.package.startswith(path) and version == f"v{recipe.version}"
               for path, version in required)  # fmt: skip


def test_without_go_it_is_said_how_to_get_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(build.BuildError, match=r"install Go 1\.26 or newer, then run: make"):
        build.find(ETCD)


def _fake_go(folder: Path, monkeypatch: pytest.MonkeyPatch, body: str) -> Path:
    """Put a `go` first on the path that reports a version, counts its builds, and does `body`."""
    go = folder / "bin" / "go"
    go.parent.mkdir()
    go.write_text(
        "#!/bin/sh\n"
        'if [ "$1" = env ]; then echo go1.99 linux amd64; exit; fi\n'
        f"echo build >> {folder}/builds\n"
        'while [ "$1" != -o ]; do shift; done\n' + body
    )
    go.chmod(0o755)
    monkeypatch.setenv("PATH", f"{go.parent}:/usr/bin:/bin")
    monkeypatch.setenv("DOGWATCH_TESTBED_CACHE", str(folder / "cache"))
    return folder / "builds"


def test_a_second_build_finds_the_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    builds = _fake_go(tmp_path, monkeypatch, 'echo "a/package" >&2; echo binary > "$2"\n')
    seen: list[str] = []
    first = build.build(ETCD, seen.append)
    assert build.build(ETCD, seen.append) == first == build.find(ETCD)
    assert first.read_text() == "binary\n"
    assert seen == ["a/package"]
    assert builds.read_text() == "build\n"


def test_a_failed_build_says_why_and_leaves_nothing_that_looks_like_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _fake_go(tmp_path, monkeypatch, 'echo half > "$2"; echo "undefined: x" >&2; exit 1\n')
    with pytest.raises(build.BuildError, match="go build of etcd failed:\nundefined: x"):
        build.build(ETCD, lambda _: None)
    assert build.find(ETCD) is None
    assert [path.suffix for path in (tmp_path / "cache").iterdir()] == [".lock"]


def _fake_maven(folder: Path, monkeypatch: pytest.MonkeyPatch, body: str) -> None:
    """Put an `mvn` first on the path that does `body`; $LIBS is where the jars belong."""
    maven = folder / "bin" / "mvn"
    maven.parent.mkdir()
    maven.write_text('#!/bin/sh\nfor last; do :; done\nLIBS="${last#-DoutputDirectory=}"\n' + body)
    maven.chmod(0o755)
    monkeypatch.setenv("PATH", f"{maven.parent}:/usr/bin:/bin")
    monkeypatch.setenv("DOGWATCH_TESTBED_CACHE", str(folder / "cache"))


def test_jars_are_fetched_once_under_a_name_of_their_recipe(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _fake_maven(
        tmp_path,
        monkeypatch,
        f"echo fetch >> {tmp_path}/fetches\n"
        'mkdir -p "$LIBS"; echo jar > "$LIBS/kafka.jar"\n'
        'echo "[INFO] Downloaded from central: https://x.test/a/b/kafka.jar (1 kB at 1 kB/s)"\n',
    )
    seen: list[str] = []
    libs = jars.fetch(seen.append)
    assert jars.fetch(seen.append) == libs == jars.find()
    assert [path.name for path in libs.iterdir()] == seen == ["kafka.jar"]
    assert (tmp_path / "fetches").read_text() == "fetch\n"
    assert re.fullmatch(r"kafka-4\.1\.1-[0-9a-f]{12}", libs.parent.name)


def test_a_failed_fetch_says_why_and_leaves_nothing_that_looks_like_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _fake_maven(
        tmp_path,
        monkeypatch,
        'mkdir -p "$LIBS"; echo half > "$LIBS/a.jar"; echo "[ERROR] no route"; exit 1\n',
    )
    with pytest.raises(build.BuildError, match=r"could not fetch Kafka:\n\[ERROR\] no route"):
        jars.fetch(lambda _: None)
    assert jars.find() is None
    assert [path.suffix for path in (tmp_path / "cache").iterdir()] == [".lock"]


def test_what_has_no_tool_here_is_named_and_the_rest_is_built(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _fake_go(tmp_path, monkeypatch, 'echo binary > "$2"\n')
    only = tmp_path / "only"
    only.mkdir()
    for name in ("sh", "echo"):
        (only / name).symlink_to(f"/bin/{name}")
    made = subprocess.run(
        [sys.executable, "-m", "tests.testbeds", "build"], cwd=_ROOT, text=True, check=False,
        env={**os.environ, "PATH": f"{tmp_path / 'bin'}:{only}"}, capture_output=True,
    )  # fmt: skip
    assert made.returncode == 0, made.stderr
    assert "kafka 4.1.1: not built; Maven is not installed; install" in made.stdout
    assert "kwok 0.8.0: built" in made.stdout


def test_a_wrong_verb_is_answered_with_the_right_ones() -> None:
    made = subprocess.run(
        [sys.executable, "-m", "tests.testbeds", "biuld"],
        cwd=_ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert made.returncode == 2
    assert "build|list" in made.stderr


def test_missing_servers_are_counted_by_name() -> None:
    reasons = [
        "('conftest.py', 3, 'Skipped: TESTBED_MISSING:etcd:run: make testbeds')",
        "('conftest.py', 3, 'Skipped: TESTBED_MISSING:etcd:run: make testbeds')",
        "Failed: TESTBED_MISSING:chromium:install the Debian package chromium",
        "Skipped: only on Linux",
    ]
    assert tally(reasons) == [
        "chromium: 1 test did not run; install the Debian package chromium",
        "etcd: 2 tests did not run; run: make testbeds",
    ]


@pytest.mark.parametrize(("required", "verdict"), [("", "1 skipped"), ("1", "1 error")])
def test_a_missing_server_is_a_skip_or_where_all_are_required_a_failure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, required: str, verdict: str
) -> None:
    monkeypatch.setenv("REQUIRE_TESTBEDS", required)
    monkeypatch.setenv("DOGWATCH_TESTBED_CACHE", str(tmp_path))
    made = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider",
         "tests/testbeds/test_kube.py::test_the_server_says_its_version"],
        cwd=_ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert verdict in made.stdout.splitlines()[-1]
    assert "etcd: 1 test did not run; run: make testbeds" in made.stdout
    assert made.returncode == (1 if required else 0)
