"""Rule files on disk: read, checked, and loaded as a whole."""

from collections.abc import Iterable, Mapping
from pathlib import Path

from engine.missions.registry import params
from engine.model.config import Config
from engine.model.errors import DogwatchError, RuleError
from engine.model.mission_kinds import MISSION_KINDS
from engine.rules.load import Loaded, load
from engine.rules.parameters import KindShape
from engine.rules.rule import RuleSet

ENDINGS = (".yaml", ".yml")


def read_rule_files(paths: Iterable[Path | str]) -> dict[str, bytes]:
    """Return path -> bytes of every rule file named, or below a folder named.

    Hidden files and folders are passed over (so a mounted ConfigMap is read once).

    Raises:
        DogwatchError: a path is not there, cannot be read, or is a folder without any.
    """
    texts: dict[str, bytes] = {}
    for path in map(Path, paths):
        try:
            files = [path] if path.is_file() else sorted(_below(path))
            texts.update((str(file), file.read_bytes()) for file in files)
        except OSError as error:
            raise DogwatchError(f"rules {path}: {error.strerror or error}") from error
        if not files:
            raise DogwatchError(f"rules {path}: no rule file in it ({', '.join(ENDINGS)})")
    return texts


def check_texts(texts: Mapping[str, bytes], sinks: set[str] | None = None) -> Loaded:
    """Return the rules and faults of `texts`, checked against the mission kinds and `sinks`."""
    return load(texts, known_kinds=_known_kinds(), known_sinks=sinks)


def _known_kinds() -> Mapping[str, KindShape]:
    """Return the parameters of every kind of the language; those not registered come later."""
    later = {
        name: KindShape({param: {} for param in kind.params}, later=True)
        for name, kind in MISSION_KINDS.items()
    }
    return later | {name: _shape(model) for name, model in params().items()}


def _shape(model: type[Config]) -> KindShape:
    schema = model.model_json_schema()
    return KindShape(schema.get("properties", {}), frozenset(schema.get("required", ())))


def check_paths(paths: Iterable[Path | str], sinks: set[str] | None = None) -> Loaded:
    """Return the rules and faults of the files at `paths`."""
    return check_texts(read_rule_files(paths), sinks)


def load_paths(paths: Iterable[Path | str]) -> RuleSet:
    """Return the rules at `paths`.

    Raises:
        RuleError: at least one error; holds every fault.
    """
    return good(check_paths(paths))


def write_text(path: Path, text: str) -> None:
    """Write `text` to the file at `path`. Raises DogwatchError when that can not be done."""
    try:
        path.write_text(text)
    except OSError as error:
        raise DogwatchError(f"{path}: {error.strerror or error}") from error


def good(loaded: Loaded) -> RuleSet:
    """Return the rules of `loaded`. Raises RuleError when it holds an error."""
    errors = [fault for fault in loaded.faults if fault.severity == "error"]
    if errors:
        raise RuleError(errors)
    return loaded.rules


def _below(folder: Path) -> Iterable[Path]:
    if not folder.is_dir():
        raise FileNotFoundError(2, "no such file or folder")
    for entry in folder.iterdir():
        if entry.name.startswith("."):
            continue
        if entry.is_dir():
            yield from _below(entry)
        elif entry.suffix in ENDINGS:
            yield entry
