"""A name server for the tests of the sinks: names lead where a test says, else nowhere."""

import socket
from collections.abc import Callable
from typing import Any

import pytest

Names = dict[str, list[list[str]]]


@pytest.fixture(autouse=True)
def names(monkeypatch: pytest.MonkeyPatch) -> Names:
    """Give a table: name -> answers, one list of addresses per question, the last for good."""
    table: Names = {}
    system = socket.getaddrinfo

    def resolve(host: Any, port: Any, *args: Any, **kwargs: Any) -> Any:
        name = host.decode() if isinstance(host, bytes) else host
        if name in table:
            answers = table[name]
            addresses = answers.pop(0) if len(answers) > 1 else answers[0]
            return [entry for each in addresses for entry in system(each, port, *args, **kwargs)]
        if name is None or name == "localhost" or not any(char.isalpha() for char in name):
            return system(host, port, *args, **kwargs)
        if _numeric(system, name):
            return system(host, port, *args, **kwargs)
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    return table


def _numeric(system: Callable[..., Any], name: str) -> bool:
    """Whether the system takes `name` for an address without asking anybody."""
    try:
        system(name, 0, flags=socket.AI_NUMERICHOST)
    except OSError:
        return False
    return True
