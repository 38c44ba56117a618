"""Rule files of others on disk: read and translated."""

from pathlib import Path

from engine.app.rule_files import write_text
from engine.model.errors import DogwatchError
from engine.rules.prometheus.convert import Import, convert


def imported_from_prometheus(path: Path, to: Path | None, *, nearly: bool) -> Import:
    """Return the Prometheus rule file at `path` as rules, written to the file `to` if given.

    Raises:
        RuleError: it is no rule file, or holds what is no PromQL.
        DogwatchError: it cannot be read, or `to` cannot be written.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise DogwatchError(f"{path}: {error.strerror or error}") from error
    found = convert(str(path), content, nearly=nearly)
    if to is not None and found.text:
        write_text(to, found.text)
    return found
