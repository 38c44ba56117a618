"""Each option is explained, in the page, in the JSON schema, and where it is mistyped."""

import json
from pathlib import Path
from typing import Any

import pytest

from engine.app.config import AppConfig
from engine.app.config_schema import schema
from engine.app.configured import load_config
from engine.app.discovery.settings import TYPES
from engine.app.option_text import intro, meanings, within
from engine.model.config import Config
from engine.model.errors import ConfigError
from sinks.registry import kinds as sink_kinds
from tests.watchers.page import PAGE, page
from watchers.receiving import kinds as receiver_kinds
from watchers.registry import kinds as watcher_kinds


def every_block() -> list[type[Config]]:
    found: list[type[Config]] = []
    registered = (watcher_kinds(), receiver_kinds(), sink_kinds())
    waiting = [kind.config for kinds in registered for kind in kinds.values()]
    waiting += [AppConfig, *TYPES.values()]
    while waiting:
        block = waiting.pop()
        if block not in found:
            found.append(block)
            waiting += [inner for _, inner in within(block)]
    return found


def test_each_option_of_each_block_is_explained() -> None:
    lacking = {
        f"{block.__module__}.{block.__name__}.{name}"
        for block in every_block()
        for name, field in block.model_fields.items()
        if not meanings(block).get(field.alias or name)
    }
    assert lacking == set()


def test_the_page_of_watchers_is_as_they_are() -> None:
    assert PAGE.read_text() == page()


def test_no_docstring_is_shown_raw() -> None:
    assert "Attributes:" not in PAGE.read_text()


class _Inner(Config):
    """Inside.

    Attributes:
        first, second: the
            one and the other.
    """

    first: int = 1
    second: int = 2
    second_file: str = ""


class _Outer(Config):
    """What it is. `plain` says so (in words; and `more`). `blocks` are inner ones; told once.

    `token_file` is special.
    """

    plain: str
    more: str = ""
    blocks: tuple[_Inner, ...] = ()
    named: dict[str, _Inner] | None = None
    token_file: str = ""
    every_s: float = 1.0


def test_meanings_are_taken_out_of_the_docstring() -> None:
    assert intro(_Outer) == "What it is."
    assert meanings(_Outer) == {
        "plain": "`plain` says so (in words; and `more`).",
        "more": "`plain` says so (in words; and `more`).",
        "blocks": "inner ones; told once.",
        "token_file": "special.",
        "every_s": "seconds between two looks.",
    }
    assert meanings(_Inner) == {
        "first": "the one and the other.",
        "second": "the one and the other.",
        "second_file": "the file that holds `second`.",
    }
    assert list(within(_Outer)) == [("blocks[]", _Inner), ("named.NAME", _Inner)]


def test_the_schema_knows_the_options_of_all_that_is_registered() -> None:
    whole = schema()
    blocks = whole["$defs"]
    watchers = blocks["ClusterConfig"]["properties"]["watchers"]
    assert set(watchers["properties"]) == set(watcher_kinds())
    assert watchers["additionalProperties"] is False
    audit = blocks["AuditConfig"]["properties"]["file_path"]
    assert (audit["default"], audit["description"]) == ("", "without `file_path` nothing runs.")
    for name, known in (
        ("SinkConfig", sink_kinds()),
        ("ReceiverConfig", receiver_kinds()),
        ("SourceConfig", TYPES),
    ):
        types = [one["properties"]["type"]["const"] for one in blocks[name]["anyOf"]]
        assert types == list(known)
    text = json.dumps(whole)
    assert all(f'"#/$defs/{name}"' in text for name in ("PrometheusConfig", "QueryConfig"))


def said(folder: Path, cluster: dict[str, Any]) -> str:
    file = folder / "dogwatch.yaml"
    file.write_text(json.dumps({"clusters": [{"name": "west", **cluster}]}))
    with pytest.raises(ConfigError) as refused:
        load_config(str(file), {})
    return str(refused.value)


@pytest.mark.parametrize(
    ("watchers", "told"),
    [
        (
            {"metrics": {"queries": [{"name": "a", "expr": "up", "exprs": "x"}]}},
            "unknown field 'exprs'; known: expr, labels, name, unit; did you mean 'expr'?",
        ),
        (
            {"drift": {"apps": [{"name": "a", "repository": "https://g/x", "ignores": []}]}},
            "unknown field 'ignores'; known: ca_file, exclude, ignore,",
        ),
        (
            {"predictions": {"toward": {"limit": {"prediction": "pod-crash", "limits": 1}}}},
            "unknown field 'limits'; known: falls, limit, prediction; did you mean 'limit'?",
        ),
        ({"metrics": {"querys": []}}, "did you mean 'queries'?"),
        ({"versions": "often"}, "watchers.versions: expected true, false, or a mapping of options"),
        ({"metrics": {"queries": [{"name": "a b", "expr": "up"}]}}, "a name of letters, digits"),
        ({"gpu": {"endpoints": ["ftp://x"]}}, "begins with http:// or https://"),
    ],
)
def test_a_mistyped_option_is_told_with_those_of_its_own_block(
    watchers: dict[str, Any], told: str, tmp_path: Path
) -> None:
    message = said(tmp_path, {"watchers": watchers})
    assert told in message
    assert "pattern" not in message
    assert "dict[" not in message


def test_what_was_found_is_said_once(tmp_path: Path) -> None:
    message = said(tmp_path, {"watchers": {"certificates": {"endpoints": ["shop.example.com"]}}})
    assert message.count("shop.example.com") == 1
