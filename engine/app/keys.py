"""The key that signs sessions and links: of a file, or made once beside the store."""

import os
import secrets
from pathlib import Path

from engine.app.config import AppConfig
from engine.app.opening import exclusive
from engine.model.errors import ConfigError, StoreError

FILE = "signing.key"
BYTES = 32


def signing_key(settings: AppConfig) -> bytes | None:
    """Return the key of this dogwatch; None where several processes share none.

    Raises:
        ConfigError: the key file is too short, or can not be read.
        StoreError: the folder for a new key can not be written.
    """
    given = given_key(settings)
    if given is not None:
        return given
    if not exclusive(settings):
        return None  # another process would take what this one signed for forged
    path = Path(settings.data_dir) / FILE
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with os.fdopen(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "w") as file:
            file.write(secrets.token_hex(BYTES))
    except FileExistsError:
        pass
    except OSError as error:
        raise StoreError(f"{path}: {error.strerror}") from error
    return _read(path, str(path))


def given_key(settings: AppConfig) -> bytes | None:
    """Return the key that the configuration names, None where it names none. Raises ConfigError."""
    given = settings.changes.key_file
    return None if given is None else _read(Path(given), f"changes.key_file {given}")


def _read(path: Path, name: str) -> bytes:
    try:
        key = path.read_bytes().strip()
    except OSError as error:
        raise ConfigError(f"{name}: {error.strerror}") from error
    if len(key) < BYTES:
        raise ConfigError(f"{name}: has {len(key)} bytes; at least {BYTES} are needed")
    return key
