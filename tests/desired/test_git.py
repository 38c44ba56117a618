"""Repositories are fetched as they are, and hostile ones reach nothing."""

import asyncio
import random
import stat
from dataclasses import replace
from pathlib import Path

import pytest

from engine.desired.git import Checkout, Limits, Tree
from engine.desired.repository import Repository
from engine.model.errors import DesiredError
from tests.desired.repositories import Origin

MIB = 1 << 20


@pytest.fixture
def origin(tmp_path: Path) -> Origin:
    return Origin(tmp_path / "origin")


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "cache"


def files_below(folder: Path) -> list[Path]:
    return [file for file in folder.rglob("*") if file.is_file()]


def open_to_others(folder: Path) -> list[Path]:
    return [one for one in folder.glob("*") if stat.S_IMODE(one.stat().st_mode) & 0o077]


async def all_of(checkout: Checkout, under: str = "") -> tuple[Tree, dict[str, bytes]]:
    tree = await checkout.tree(await checkout.fetch(), under)
    return tree, await checkout.read(tree, tree.entries)


async def test_files_of_a_branch_are_read_and_follow_it(origin: Origin, cache: Path) -> None:
    checkout = Checkout(origin.repository, cache)
    first = origin.put({"a.yaml": "a: 1\n", "deep/b.yaml": "b: 2\n", "empty": ""})
    tree, files = await all_of(checkout)
    assert tree.commit == first
    assert files == {"a.yaml": b"a: 1\n", "deep/b.yaml": b"b: 2\n", "empty": b""}
    second = origin.put({"a.yaml": None, "deep/b.yaml": "b: 3\n"})
    tree, files = await all_of(checkout, "deep")
    assert (tree.commit, files) == (second, {"deep/b.yaml": b"b: 3\n"})


async def test_tags_commits_and_the_default_branch_are_found_too(
    origin: Origin, cache: Path
) -> None:
    old = origin.put({"a": "old"})
    origin.git("tag", "-a", "v1", "-m", "v1")
    new = origin.put({"a": "new"})
    for revision, commit in (("v1", old), (old, old), ("HEAD", new), ("main", new)):
        checkout = Checkout(replace(origin.repository, revision=revision), cache)
        assert await checkout.fetch() == commit


async def test_a_branch_that_was_rewritten_is_taken_as_it_is_now(
    origin: Origin, cache: Path
) -> None:
    checkout = Checkout(origin.repository, cache)
    origin.put({"a": "1"})
    await checkout.fetch()
    origin.git("checkout", "--quiet", "--orphan", "other")
    rewritten = origin.put({"a": "2"})
    origin.git("branch", "--force", "main", "HEAD")
    assert await checkout.fetch() == rewritten


@pytest.mark.parametrize(
    ("url", "revision", "reason"),
    [
        ("file:///nonexistent/repository", "main", "not-found"),
        ("https://127.0.0.1:1/repository", "main", "unreachable"),
        ("ssh://git@127.0.0.1:1/repository", "main", "unreachable"),
    ],
)
async def test_what_can_not_be_fetched_is_told_by_reason(
    cache: Path, url: str, revision: str, reason: str
) -> None:
    with pytest.raises(DesiredError) as raised:
        await Checkout(Repository(url, revision), cache).fetch()
    assert raised.value.reason == reason
    assert url in str(raised.value)


@pytest.mark.parametrize(
    ("url", "revision"),
    [
        ("ext::sh -c true", "main"),
        ("ext://sh", "main"),
        ("/etc", "main"),
        ("--upload-pack=true", "main"),
        ("git://h/r", "main"),
        ("https://user:secret@h/r", "main"),
        ("https://h/r", "--upload-pack=true"),
        ("https://h/r", "a:b"),
        ("https://h/r", "a b"),
    ],
)
def test_what_git_would_take_for_a_command_is_no_repository(url: str, revision: str) -> None:
    with pytest.raises(ValueError, match=r"^(url|revision) "):
        Repository(url, revision)


async def test_a_revision_or_a_folder_that_is_not_there_is_told(
    origin: Origin, cache: Path
) -> None:
    commit = origin.put({"a": "1"})
    with pytest.raises(DesiredError, match="nothing") as raised:
        await Checkout(replace(origin.repository, revision="nothing"), cache).fetch()
    assert raised.value.reason == "not-found"
    checkout = Checkout(origin.repository, cache)
    await checkout.fetch()
    with pytest.raises(DesiredError, match="no files in 'deep'"):
        await checkout.tree(commit, "deep")


async def test_a_token_is_in_no_argument_and_in_no_fault(cache: Path, tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text("s3cr3t-canary\n")
    url = "https://127.0.0.1:1/repository"
    with pytest.raises(DesiredError) as raised:
        await Checkout(Repository(url, token_file=str(token)), cache).fetch()
    assert "canary" not in str(raised.value)
    kept = files_below(cache)
    assert kept
    assert not any(b"canary" in file.read_bytes() for file in kept)
    assert not open_to_others(cache)


async def test_links_and_submodules_lead_nowhere(origin: Origin, cache: Path) -> None:
    outside = cache.parent / "outside.yaml"
    outside.write_text("secret: canary\n")
    origin.put(
        {
            "good.yaml": "a: 1\n",
            ".gitmodules": f'[submodule "s"]\n\tpath = s\n\turl = file://{origin.folder}\n',
        }
    )
    (origin.folder / "link.yaml").symlink_to(outside)
    (origin.folder / "folder").symlink_to("/etc")
    origin.git("add", "--all")
    origin.git("update-index", "--add", "--cacheinfo", f"160000,{'1' * 40},s")
    origin.commit()
    tree, files = await all_of(Checkout(origin.repository, cache))
    assert tree.odd == {"link.yaml": "a link", "folder": "a link", "s": "a submodule"}
    assert set(files) == {"good.yaml", ".gitmodules"}


async def test_names_that_lead_elsewhere_are_read_by_nobody(origin: Origin, cache: Path) -> None:
    blob = origin.blob(b"a: 1\n")
    up = origin.tree(("100644", "passwd", blob))
    origin.commit_tree(
        origin.tree(
            ("40000", "..", up),
            ("40000", ".git", up),
            ("100644", "a\nb", blob),
            ("100644", "good", blob),
        )
    )
    tree, files = await all_of(Checkout(origin.repository, cache))
    assert files == {"good": b"a: 1\n"}
    assert set(tree.odd) == {"../passwd", ".git/passwd", "a\nb"}


async def test_filters_hooks_and_attributes_of_a_repository_do_not_run(
    origin: Origin, cache: Path, tmp_path: Path
) -> None:
    mark = tmp_path / "ran"
    command = f"touch {mark}"
    origin.put(
        {".gitattributes": "* filter=evil diff=evil\n*.yaml text eol=crlf\n", "a.yaml": "a\n"}
    )
    for key in ("filter.evil.smudge", "filter.evil.clean", "diff.evil.textconv", "core.fsmonitor"):
        origin.git("config", key, command)
    for name in ("post-checkout", "reference-transaction", "post-merge"):
        hook = origin.folder / ".git" / "hooks" / name
        hook.parent.mkdir(exist_ok=True)
        hook.write_text(f"#!/bin/sh\n{command}\n")
        hook.chmod(0o755)
    _, files = await all_of(Checkout(origin.repository, cache))
    assert files["a.yaml"] == b"a\n"
    assert not mark.exists()


async def test_a_tree_that_unfolds_to_a_hundred_thousand_files_is_left_alone(
    origin: Origin, cache: Path
) -> None:
    tree = origin.tree(*((("100644", f"f{n}", origin.blob(b"x"))) for n in range(10)))
    for _ in range(9):
        tree = origin.tree(*(("40000", f"d{n}", tree) for n in range(10)))
    origin.commit_tree(tree)
    with pytest.raises(DesiredError, match="more than 50000 files") as raised:
        await all_of(Checkout(origin.repository, cache))
    assert raised.value.reason == "too-large"


async def test_large_files_are_refused_before_they_are_read(origin: Origin, cache: Path) -> None:
    origin.put({"big.yaml": b"a" * (5 * MIB), "small.yaml": b"a: 1\n"})
    checkout = Checkout(origin.repository, cache)
    tree = await checkout.tree(await checkout.fetch())
    assert await checkout.read(tree, ["small.yaml"]) == {"small.yaml": b"a: 1\n"}
    with pytest.raises(DesiredError, match=r"big\.yaml has 5242880 bytes"):
        await checkout.read(tree, tree.entries)


async def test_a_pack_beyond_the_limit_is_given_up_and_leaves_nothing(
    origin: Origin, cache: Path
) -> None:
    origin.put({"noise": random.Random(1).randbytes(3 * MIB)})
    checkout = Checkout(origin.repository, cache, Limits(pack=MIB))
    with pytest.raises(DesiredError) as raised:
        await checkout.fetch()
    assert raised.value.reason == "too-large"
    assert sum(file.stat().st_size for file in files_below(cache)) < 2 * MIB
    origin.put({"noise": "quiet"})
    assert await checkout.fetch()


async def test_a_server_that_says_nothing_is_given_up(cache: Path) -> None:
    held: list[asyncio.StreamWriter] = []

    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        held.append(writer)
        await reader.read()

    server = await asyncio.start_server(silent, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        checkout = Checkout(Repository(f"https://127.0.0.1:{port}/r"), cache, Limits(wall_s=0.5))
        with pytest.raises(DesiredError) as raised:
            await checkout.fetch()
        for writer in held:
            writer.transport.abort()
        await asyncio.sleep(0)
    assert raised.value.reason == "timeout"
