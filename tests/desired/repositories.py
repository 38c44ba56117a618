"""Repositories of the tests: real ones, written by the real git, hostile ones too."""

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path

from engine.desired.repository import Repository

_WHO = {
    "GIT_AUTHOR_NAME": "t",
    "GIT_AUTHOR_EMAIL": "t@example.test",
    "GIT_COMMITTER_NAME": "t",
    "GIT_COMMITTER_EMAIL": "t@example.test",
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_CONFIG_NOSYSTEM": "1",
}


class Origin:
    """A repository that somebody else keeps; `put` is a commit."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.folder.mkdir()
        self.git("init", "--quiet", "--initial-branch=main")

    @property
    def repository(self) -> Repository:
        return Repository(f"file://{self.folder}", "main")

    def git(self, *arguments: str, given: bytes = b"") -> str:
        ran = subprocess.run(
            ["git", *arguments],
            cwd=self.folder,
            env={"PATH": os.environ["PATH"], "HOME": str(self.folder), **_WHO},
            input=given,
            capture_output=True,
            check=True,
        )
        return ran.stdout.decode().strip()

    def put(self, files: Mapping[str, str | bytes | None], message: str = "change") -> str:
        """Write files, None: delete; return the commit."""
        for name, content in files.items():
            file = self.folder / name
            if content is None:
                file.unlink()
                continue
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(content if isinstance(content, bytes) else content.encode())
        self.git("add", "--all")
        return self.commit(message)

    def commit(self, message: str = "change") -> str:
        self.git("commit", "--quiet", "--allow-empty", "--no-verify", "-m", message)
        return self.git("rev-parse", "HEAD")

    def blob(self, content: bytes) -> str:
        return self.git("hash-object", "-w", "--stdin", given=content)

    def tree(self, *entries: tuple[str, str, str]) -> str:
        """Write a tree that git itself would refuse: (mode, name, object)."""
        raw = b"".join(
            f"{mode} {name}".encode() + b"\0" + bytes.fromhex(object_)
            for mode, name, object_ in entries
        )
        return self.git("hash-object", "-w", "-t", "tree", "--literally", "--stdin", given=raw)

    def commit_tree(self, tree: str) -> None:
        made = self.git("commit-tree", tree, "-m", "hostile")
        self.git("update-ref", "refs/heads/main", made)
