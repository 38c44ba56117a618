"""Rule files as nobody should write them: good ones, changed where the grammar allows and not."""

import json
from collections.abc import Callable, Iterator
from copy import deepcopy
from pathlib import Path
from random import Random
from typing import Any

import yaml

from engine.rules.grammar import GROUP, TESTS
from engine.rules.shapes import Either, Items, Record, Shape, Table
from engine.rules.yaml import read

HERE = Path(__file__).parent
SOURCES = (HERE / "all_fields.yaml", *sorted((HERE.parents[1] / "rules").glob("*.yaml")))


def _seeds() -> list[dict[str, Any]]:
    """Return each rule of the good files as a file of its own."""
    found = []
    for path in SOURCES:
        (document,) = read(str(path), path.read_bytes()).documents
        group = document.plain()
        for rule in group["spec"]["rules"]:
            tests = rule.get("tests", [])[:1]
            spec = {**group["spec"], "rules": [{**rule, "tests": tests}]}
            found.append({**group, "spec": spec})
    return found


def _fields(shape: Shape) -> Iterator[str]:
    match shape:
        case Record():
            for name, field in shape.fields.items():
                yield name
                yield from _fields(field.shape)
            yield from shape.later
        case Either():
            yield from _fields(shape.long)
        case Items() | Table():
            yield from _fields(shape.of)
        case _:
            return


SEEDS = _seeds()
FIELDS = sorted({*_fields(GROUP), *_fields(TESTS)})
VALUES: tuple[Any, ...] = (
    *(None, True, False, 0, -1, 7, 1.5, 1e308, 2**63, -(2**63), [], {}, "", " ", "\n", "\x00"),
    *("5m", "0", "0s", "1ms", "3650d", "9999999w", "-5m", "5 m", "1h30m", "m", "٣m"),
    *("sliding", "session", "seen", "inventory", "shadow", "live", "keep", "fire", "report"),
    *("* * * * *", "0 0 30 2 *", "0 0 */8 * 1#5", "*/0 * * * *", "L L L L L", "@daily", "@", "0 0"),
    *("0 0 29 2 1#5", "0 0 1-31/30 2 *", "59-0 * * * *", "1,2,3,4 * * JAN-DEC SUN", "#" * 90),
    *("UTC", "Europe/Berlin", "Europe", "../../etc/passwd", "/etc/localtime", "\u2603"),
    *("monday:friday", "1:5", "-1", "-1:1", ":", "1:", "december:1", "9" * 40, "²", "24:00", "7:5"),
    *("k8s.object", "metric", "condition", "clock", "mission", "Pod", "*", "[!a", "[", "**" * 40),
    *("cluster", "labels.a", "signal.data.x", "signal.data", "labels.", "signal.data.object.a.b"),
    *("true", "false", "m.n > 5", "m.n / 0 > 1", "signal.data.ready", "now", "old == signal"),
    *("1 > 2 || signal.value > 2.0", "[1, 2].exists(x, x > m.n)", "signal.data.x.y.z == null"),
    *("signal.name.matches('(a+)+$')", "((((((", "a" * 5000, "!" * 300, "(" * 60 + ")" * 60),
    *("[" * 60, "1 + " * 700 + "1", " && ".join(["m.n > 1"] * 300), "'\\u0000'", "b'\\xff'"),
    *("{{ m.n }}", "{{ key.namespace | upper }}", "{% for x in members %}{{ x }}{% endfor %}"),
    *("{{", "{% if", "{{ a.b.c() }}", "{% set a = 1 %}", "{{ '%s' % m }}", "{{ m['n'] ~ 1 ** 9 }}"),
    *("app=web,!canary", "a in (b, c)", "a in (", "==", ",", "x" * 300, "\U0001f600", "\u202e"),
)
TOKENS = (
    *("&&", "||", "!", "(", ")", "[", "]", "{", "}", "?", ":", ".", ",", "==", ">", "in", "'", '"'),
    *("m.", "signal.", "params.", "has(", "size(", ".all(x, ", "duration('5m')", "timestamp(", "1"),
    *("{{ ", " }}", "{% ", " %}", "|", " ", "\n", "\t", "\\", "0x", "e", "-", "*", "/", "#", "@"),
)
NOISE = (
    *(b"\n", b"\t", b"  ", b": ", b"- ", b"[", b"]", b"{", b"}", b"'", b'"', b"|", b">", b"&a "),
    *(b"*a", b"!!x ", b"---\n", b"...\n", b"#", b"%YAML 1.1\n", b"? ", b"null", b"1e999", b"\xff"),
    *(b"<<: ", b"\x00", b"\xef\xbb\xbf", b"\xc2\x85", b"\xe2\x80\xa8", b"\r", b"9" * 30, b"\x7f"),
)


def generated(seed: int) -> bytes:
    """Return the rule file number `seed`: always the same."""
    random = Random(seed)
    document = deepcopy(random.choice(SEEDS))
    for _ in range(random.randint(1, 6)):
        random.choice(MUTATIONS)(document, random)
    text = _written(document, random)
    return _damaged(text, random) if random.random() < 0.25 else text


def _written(document: dict[str, Any], random: Random) -> bytes:
    if random.random() < 0.5:
        return json.dumps(document, indent=random.choice((None, 1, 2))).encode()
    flow = random.choice((None, False))
    text = yaml.dump(document, Dumper=yaml.CSafeDumper, default_flow_style=flow, width=1000)
    return text.encode(errors="replace")


def _damaged(text: bytes, random: Random) -> bytes:
    for _ in range(random.randint(1, 4)):
        at, cut = random.randrange(len(text) + 1), random.randint(0, 12)
        text = text[:at] + random.choice(NOISE) + text[at + cut :]
    return text


Place = tuple[Any, Any]
"""A mapping or list, and the key or index of a value in it."""


def _places(value: Any) -> Iterator[Place]:
    keys = list(value) if isinstance(value, dict) else range(len(value))
    for key in keys:
        yield value, key
        if isinstance(value[key], dict | list):
            yield from _places(value[key])


def _place(document: dict[str, Any], random: Random) -> Place:
    return random.choice([*_places(document), (document, next(iter(document), "spec"))])


def _value(document: dict[str, Any], random: Random) -> Any:
    """Return a value from nowhere, or one that the file has in another place."""
    if random.random() < 0.7:
        return deepcopy(random.choice(VALUES))
    inside, key = _place(document, random)
    return deepcopy(inside.get(key) if isinstance(inside, dict) else inside[key])


def _replace(document: dict[str, Any], random: Random) -> None:
    inside, key = _place(document, random)
    inside[key] = _value(document, random)


def _remove(document: dict[str, Any], random: Random) -> None:
    inside, key = _place(document, random)
    if isinstance(inside, list) or key in inside:
        del inside[key]


def _rename(document: dict[str, Any], random: Random) -> None:
    inside, key = _place(document, random)
    if isinstance(inside, dict) and key in inside:
        inside[_name(str(key), random)] = inside.pop(key)


def _name(word: str, random: Random) -> str:
    if random.random() < 0.4 or not word:
        return random.choice(FIELDS)
    at = random.randrange(len(word))
    return random.choice(
        (word[:at] + word[at + 1 :], word[:at] + word[at:][::-1], word + word[at:])
    )


def _insert(document: dict[str, Any], random: Random) -> None:
    inside, _ = _place(document, random)
    if isinstance(inside, dict):
        inside[random.choice(FIELDS)] = _value(document, random)
    else:
        inside.insert(random.randint(0, len(inside)), _value(document, random))


def _insert_field(document: dict[str, Any], random: Random) -> None:
    """Add a field of the grammar to a rule, where it may well be allowed."""
    inside = random.choice([one for one, _ in _places(document) if isinstance(one, dict)])
    other = deepcopy(random.choice(SEEDS))
    found = [(one, key) for one, key in _places(other) if isinstance(one, dict)]
    source, key = random.choice(found)
    inside[key] = source[key]


def _wrap(document: dict[str, Any], random: Random) -> None:
    inside, key = _place(document, random)
    if isinstance(inside, dict) and key not in inside:
        return
    kept = inside[key]
    inside[key] = random.choice(([kept], {"value": kept}, {random.choice(FIELDS): kept}))


def _repeat(document: dict[str, Any], random: Random) -> None:
    inside, _ = _place(document, random)
    if isinstance(inside, list) and inside:
        inside.extend(deepcopy(inside[: random.randint(1, 3)]) * random.randint(1, 12))


def _edit(document: dict[str, Any], random: Random) -> None:
    texts = [(one, key) for one, key in _places(document) if isinstance(one[key], str)]
    if not texts:
        return
    inside, key = random.choice(texts)
    text = inside[key]
    at, cut = random.randint(0, len(text)), random.randint(0, 5)
    inside[key] = text[:at] + random.choice(TOKENS) + text[at + cut :]


MUTATIONS: tuple[Callable[[dict[str, Any], Random], None], ...] = (
    _replace,
    _remove,
    _rename,
    _insert,
    _insert_field,
    _wrap,
    _repeat,
    _edit,
    _edit,
    _edit,
)
