"""The servers that are built from source: what to build, and the name a build is kept under."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

KUBERNETES_VERSION = "1.36.3"
FOLDER = Path(__file__).parent / "recipes"


@dataclass(frozen=True, slots=True)
class Recipe:
    """One server: a Go main package of a module that is pinned by go.mod and go.sum."""

    server: str
    version: str
    module: str
    package: str
    stamps: tuple[str, ...] = ()

    @property
    def folder(self) -> Path:
        return FOLDER / self.module

    @property
    def ldflags(self) -> str:
        return " ".join(["-s", "-w", *(f"-X {stamp}" for stamp in self.stamps)])


def _kubernetes_stamps() -> tuple[str, ...]:
    """Return the linker's variables without which `/version` answers v0.0.0."""
    major, minor, _patch = KUBERNETES_VERSION.split(".")
    values = {
        "gitVersion": f"v{KUBERNETES_VERSION}",
        "gitMajor": major,
        "gitMinor": minor,
        "gitTreeState": "clean",
    }
    packages = ("k8s.io/component-base/version", "k8s.io/client-go/pkg/version")
    return tuple(
        f"{package}.{name}={value}" for package in packages for name, value in values.items()
    )


def _kubernetes(server: str) -> Recipe:
    return Recipe(
        server=server,
        version=KUBERNETES_VERSION,
        module="kubernetes",
        package=f"k8s.io/kubernetes/cmd/{server}",
        stamps=_kubernetes_stamps(),
    )


RECIPES = {
    recipe.server: recipe
    for recipe in (
        Recipe("etcd", "3.6.8", "etcd", "go.etcd.io/etcd/server/v3"),
        _kubernetes("kube-apiserver"),
        _kubernetes("kube-controller-manager"),
        _kubernetes("kube-scheduler"),
        Recipe("kwok", "0.8.0", "kwok", "sigs.k8s.io/kwok/cmd/kwok"),
        Recipe("kustomize", "5.8.1", "kustomize", "sigs.k8s.io/kustomize/kustomize/v5"),
    )
}


def key(recipe: Recipe, toolchain: str) -> str:
    """Return `<server>-<version>-<hash>`; the hash covers all that decides the binary.

    Args:
        recipe: what to build.
        toolchain: compiler release and target, as `build.toolchain` reports it.
    """
    digest = hashlib.sha256()
    parts = [(recipe.folder / name).read_bytes() for name in ("go.mod", "go.sum")]
    parts += [text.encode() for text in (recipe.package, recipe.ldflags, toolchain)]
    for part in parts:
        digest.update(len(part).to_bytes(8, "big") + part)
    return f"{recipe.server}-{recipe.version}-{digest.hexdigest()[:12]}"
