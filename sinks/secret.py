"""Secrets of sinks: written in the config, or in a file that is read anew at each send."""

from pathlib import Path

from pydantic import ConfigDict, SecretStr

from engine.model.config import Config
from engine.model.errors import Retryable

_MAX_BYTES = 65_536


class SinkOptions(Config):
    """The options of a sink; an error about them never repeats what was written."""

    model_config = ConfigDict(hide_input_in_errors=True)


def one_of(options: SinkOptions, name: str, *, needed: bool) -> None:
    """Check that the secret `name` is given once: as `name` or as `name_file`.

    Raises:
        ValueError: both are given, or none though one is `needed`.
    """
    given = [key for key in (name, f"{name}_file") if getattr(options, key) is not None]
    if len(given) > 1:
        raise ValueError(f"both {name} and {name}_file are given; keep one")
    if needed and not given:
        raise ValueError(f"a {name} is needed: give {name}_file (a path) or {name}")


def reveal(inline: SecretStr | None, file: str | None) -> str | None:
    """Return the secret as it is now: `inline`, or what `file` holds; None without either.

    Raises:
        Retryable: the file cannot be read or is empty; it may be in the middle of a rotation.
    """
    if file is None:
        return inline.get_secret_value() if inline is not None else None
    try:
        with Path(file).open("rb") as opened:
            text = opened.read(_MAX_BYTES).decode()
    except OSError as error:
        raise Retryable(f"secret file {file}: {error.strerror or 'cannot be read'}") from None
    except UnicodeDecodeError:
        raise Retryable(f"secret file {file}: is no UTF-8 text") from None
    if not text.strip():
        raise Retryable(f"secret file {file}: is empty")
    return text.strip()
