"""Make the lock files again from pyproject.toml: `make lock`, or `make lock UPGRADE=1`.

`runtime.txt` holds what dogwatch needs and what builds it, `full.txt` also the extra `correlate`,
which needs a C compiler, `dev.txt` all of that and what its tests need. They serve all supported
versions of Python, are pinned by hash and name no index, so that any mirror will do. Pins stay
unless pyproject.toml asks for something else or an upgrade is wanted.
"""

import subprocess
import sys
import tomllib
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TOOLS = ROOT / "build" / "lock"
UV = "uv==0.13.9"
OPTIONS = ["--quiet", "--universal", "--python-version=3.11", "--generate-hashes", "--no-header"]
LOCKS: dict[str, list[str]] = {
    "runtime.txt": [],
    "full.txt": ["--extra=correlate"],
    "dev.txt": ["--group=dev"],
}


def main(upgrade: list[str]) -> None:
    """Write the lock files; `upgrade` is empty, or `--upgrade` for the newest that fit together."""
    uv = str(install_uv())
    build = tomllib.loads((ROOT / "pyproject.toml").read_text())["build-system"]["requires"]
    for name, groups in LOCKS.items():
        output = f"--output-file=requirements/{name}"
        command = [uv, "pip", "compile", *OPTIONS, *groups, *upgrade, output, "pyproject.toml", "-"]
        subprocess.run(command, cwd=ROOT, input="\n".join(build), text=True, check=True)
        sys.stdout.write(f"requirements/{name}\n")


def install_uv() -> Path:
    """Return the resolver's executable, in an environment of its own below build/."""
    if not (TOOLS / "bin" / "python").exists():
        venv.create(TOOLS, with_pip=True)
    subprocess.run([TOOLS / "bin" / "python", "-m", "pip", "install", "--quiet", UV], check=True)
    return TOOLS / "bin" / "uv"


if __name__ == "__main__":
    main(sys.argv[1:])
