"""Whatever is in a policy file, it is loaded whole or refused whole, soon, with places in it."""

import re
from time import process_time
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from engine.changes.policy import Policy, load_policy
from engine.changes.policy.load import policy_faults
from engine.model.change import Risk
from engine.model.errors import ConfigError
from tests.changes.policy.cases import CLUSTERS, GOOD, TEMPLATES

NOISE = st.one_of(
    st.binary(max_size=6),
    st.sampled_from(
        [
            *(bytes([one]) for one in b"\n\t []{}'\"|#*"),
            b": ",
            b"- ",
            b"&a ",
            b"*a",
            b"!!x ",
            b"---\n",
            b"null",
            b"1e999",
        ]
    ),
    st.sampled_from([b".nan", b"\xff", b"\x00", b"9" * 30]),
)
HOSTILE = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=30),
    st.lists(st.text(max_size=3), max_size=3),
    st.dictionaries(st.text(max_size=4), st.integers(), max_size=3),
    st.sampled_from(
        ["*", "[", "safe", "a" * 5000, "1" * 400 + "h", "9999999999d", "ada", "office"]
    ),
)
OTHER_BREAKS = re.compile("[\r\x85\u2028\u2029]")


@st.composite
def mutated(draw: st.DrawFn) -> bytes:
    """Draw a good file with bytes of it replaced."""
    text = GOOD.encode()
    for _ in range(draw(st.integers(1, 6))):
        at = draw(st.integers(0, len(text)))
        text = text[:at] + draw(NOISE) + text[at + draw(st.integers(0, 20)) :]
    return text


@st.composite
def misshapen(draw: st.DrawFn) -> bytes:
    """Draw a good file with some values replaced by others."""
    root = yaml.safe_load(GOOD)
    for _ in range(draw(st.integers(1, 4))):
        _replace(root, draw)
    return yaml.safe_dump(root, allow_unicode=draw(st.booleans())).encode("utf-8", "replace")


def _replace(node: Any, draw: st.DrawFn) -> None:
    while True:
        keys = list(node) if isinstance(node, dict) else list(range(len(node)))
        if not keys:
            return
        key = draw(st.sampled_from(keys))
        if isinstance(node[key], dict | list) and node[key] and draw(st.booleans()):
            node = node[key]
        else:
            node[key] = draw(HOSTILE)
            return


def check(text: bytes) -> None:
    start = process_time()
    faults = policy_faults("p.yaml", text, CLUSTERS, TEMPLATES)
    policy = None if faults else load_policy("p.yaml", text, CLUSTERS, TEMPLATES)
    if faults:
        with pytest.raises(ConfigError):
            load_policy("p.yaml", text, CLUSTERS, TEMPLATES)
    assert process_time() - start < 2
    assert all(fault.message.isprintable() and len(fault.message) < 1100 for fault in faults)
    lines = text.decode(errors="replace").removeprefix("\ufeff").split("\n")
    if not OTHER_BREAKS.search("".join(lines)):
        places = {number: len(line) + 1 for number, line in enumerate(lines, 1)}
        assert all(1 <= one.column <= places.get(one.line, 0) for one in faults)
    if policy is not None:
        assert_whole(policy)


def assert_whole(policy: Policy) -> None:
    """What is in force refers to nothing that is not there, and keeps the least there is."""
    told = policy.file
    for entry in told.approvers:
        assert all(group in told.groups for group in entry.groups)
        strict = {Risk.DESTRUCTIVE, Risk.LOCKOUT} & set(entry.risks)
        assert not strict or entry.people is None or entry.people >= 2
    for one in told.automatic.values():
        assert one.risk in {Risk.SAFE, Risk.DISRUPTIVE}
        policy.intervals(one.within)
    for when in [one.during for one in told.windows] + [one.during for one in told.freezes]:
        assert policy.intervals(when)
    assert all(member in policy.users for members in told.groups.values() for member in members)


@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(mutated())
@example(b"")
@example(b"users: &a [*a]")
@example(b"users: {a: &x {email: a@b.de}, b: *x}")
@example(b"approvers: " + b"[" * 2000)
@example(b"\xff\xfe\x00")
@example(GOOD.encode() * 3)
def test_a_file_with_changed_bytes_is_loaded_whole_or_refused_whole(text: bytes) -> None:
    check(text)


@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(misshapen())
@example(GOOD.replace("risk: disruptive", "risk: []").encode())
def test_a_file_with_changed_values_is_loaded_whole_or_refused_whole(text: bytes) -> None:
    check(text)


@given(st.integers(0, len(GOOD)))
def test_a_file_that_was_cut_off_is_loaded_whole_or_refused_whole(length: int) -> None:
    check(GOOD[:length].encode())
