"""Make `.venv` from a lock file, with dogwatch in it: `python requirements/environment.py SET`.

SET is `runtime` or `dev`. Nothing happens when the environment already has what the lock file
says. This file runs before anything is installed, on whatever Python there is: it uses the
standard library only, and no syntax that an old Python would stumble over before being told.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SETS = ("runtime", "dev")  # each has all of the one before
SUPPORTED = ((3, 11), (3, 12))


class SetupError(Exception):
    """The environment cannot be made; the text says why and what to do."""


def main(arguments: list[str], root: Path = ROOT) -> int:
    """Bring the environment to the state of the lock file; return the exit code."""
    try:
        set_up(root, wanted_set(arguments))
    except SetupError as error:
        sys.stderr.write(f"dogwatch set-up: {error}\n")
        return 1
    return 0


def wanted_set(arguments: list[str]) -> str:
    """Return the set that is asked for.

    Raises:
        SetupError: a wrong call, or a Python that dogwatch does not support.
    """
    if len(arguments) != 1 or arguments[0] not in SETS:
        raise SetupError(f"usage: environment.py {'|'.join(SETS)}")
    if sys.version_info[:2] not in SUPPORTED:
        found = ".".join(map(str, sys.version_info[:3]))
        raise SetupError(
            f"this is Python {found}, dogwatch needs 3.11 or 3.12; say make PYTHON=/path/to/it"
        )
    return arguments[0]


def set_up(root: Path, wanted: str) -> None:
    """Make and fill the environment below root, unless it is as wanted.

    Raises:
        SetupError: Python cannot make environments, or pip failed.
    """
    if satisfied(root, wanted):
        return
    say(f"Setting up .venv ({wanted}); the first time takes a minute\n")
    if not usable(root):
        create(root)
    install(root, wanted)


def satisfied(root: Path, wanted: str) -> bool:
    """Return whether the environment was made here, from these locks, with at least this set."""
    try:
        stamp = json.loads(stamp_path(root).read_text())
    except (OSError, ValueError):
        return False
    enough = SETS[SETS.index(wanted) :]
    return usable(root) and stamp in [describe(root, name) for name in enough]


def describe(root: Path, name: str) -> dict[str, str]:
    """Return the stamp of a set: all that decides what is installed."""
    files = (root / "requirements" / f"{name}.txt", root / "pyproject.toml")
    digest = hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()
    return {"set": name, "hash": digest, "root": str(root)}


def stamp_path(root: Path) -> Path:
    """Return where the environment says what was installed into it."""
    return root / ".venv" / "dogwatch-stamp.json"


def python(root: Path) -> Path:
    """Return the environment's Python, there or not."""
    return root / ".venv" / "bin" / "python"


def usable(root: Path) -> bool:
    """Return whether `.venv` is an environment of this place.

    One that was copied or moved here is not: its scripts still start the Python of the old place.
    """
    ask = "import json, sys; print(json.dumps([sys.prefix, sys.version_info[:2]]))"
    try:
        told = subprocess.run(
            [str(python(root)), "-c", ask], capture_output=True, text=True, check=True
        )
        script = python(root).with_name("pip").read_text()
    except (OSError, subprocess.CalledProcessError):
        return False
    prefix, version = json.loads(told.stdout)
    here = Path(prefix) == root / ".venv" and str(root / ".venv") in script
    return here and tuple(version) in SUPPORTED


def create(root: Path) -> None:
    """Make an empty environment in place of whatever is called `.venv`.

    Raises:
        SetupError: this Python came without the means to.
    """
    folder = root / ".venv"
    if folder.exists():
        say("Replacing .venv, which is not usable here\n")
        shutil.rmtree(folder)
    made = subprocess.run([sys.executable, "-m", "venv", str(folder)], check=False)
    if made.returncode:
        shutil.rmtree(folder, ignore_errors=True)
        major, minor = sys.version_info[:2]
        raise SetupError(
            "this Python cannot make environments; "
            f"on Debian and Ubuntu install the package python{major}.{minor}-venv"
        )


def install(root: Path, name: str) -> None:
    """Install the lock file, and then dogwatch itself without asking any index.

    Raises:
        SetupError: pip failed; the text ends with its last lines.
    """
    stamp_path(root).unlink(missing_ok=True)
    lock = root / "requirements" / f"{name}.txt"
    pip(root, "--require-hashes", "--requirement", str(lock), packages=count_pins(lock))
    pip(root, "--no-build-isolation", "--no-deps", "--no-index", "--editable", str(root))
    stamp_path(root).write_text(json.dumps(describe(root, name)))


def count_pins(lock: Path) -> int:
    """Return how many packages a lock file lists."""
    return sum("==" in line and not line.startswith(" ") for line in lock.read_text().splitlines())


def pip(root: Path, *arguments: str, packages: int = 0) -> None:
    """Run `pip install`, on a terminal with one line that shows how far it is.

    Raises:
        SetupError: it failed; the text ends with its last lines.
    """
    command = [str(python(root)), "-m", "pip", "--disable-pip-version-check", "install"]
    lines = []
    with subprocess.Popen(
        [*command, *arguments], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        for line in process.stdout or ():
            lines.append(line.rstrip())
            seen = sum(each.startswith("Collecting ") for each in lines)
            if packages and sys.stdout.isatty():
                say(f"\r\x1b[K  {seen} of {packages} packages: {lines[-1][:60]}")
    if packages and sys.stdout.isatty():
        say("\r\x1b[K")
    if process.returncode:
        raise SetupError("pip failed; it said last:\n  " + "\n  ".join(lines[-15:]))


def say(text: str) -> None:
    """Write to the terminal at once."""
    sys.stdout.write(text)
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
