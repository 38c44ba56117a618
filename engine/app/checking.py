"""Check a configuration with what it names: `dogwatch config check`."""

from engine.app.config import AppConfig
from engine.app.configured import load_config
from engine.app.keys import given_key
from engine.app.policy_file import read_policy
from engine.model.errors import ConfigError


def checked(path: str) -> AppConfig:
    """Return the configuration in the file `path`.

    Raises:
        ConfigError: it holds faults, or the policy does, or the key is no key: all of them.
    """
    settings = load_config(path)
    faults = []
    for check in (_policy, given_key):
        try:
            check(settings)
        except ConfigError as error:
            faults.append(str(error))
    if faults:
        raise ConfigError("\n".join(faults))
    return settings


def _policy(settings: AppConfig) -> None:
    if settings.changes.policy_file is not None:
        read_policy(settings.changes.policy_file, settings)
