"""Cleaning and redaction: nothing hidden, no secret, and no false alarm."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.analysis.text import REDACTED, clean, printable


@pytest.mark.parametrize(
    ("secret", "line"),
    [
        ("hunter2x", "password=hunter2x"),
        ("hunter2x", 'config {"db_password": "hunter2x", "port": 1}'),
        ("hunter2x", "API_KEY: hunter2x"),
        ("hunter2x", "postgres://web:hunter2x@db:5432/shop"),
        ("dXNlcjpodW50ZXIyeA==", "Authorization: Basic dXNlcjpodW50ZXIyeA=="),
        ("abcdef.ghijkl", "Bearer abcdef.ghijkl"),
        ("xoxb-1234567890-abcdefgh", "slack said no to xoxb-1234567890-abcdefgh"),
        ("glpat-abcdefghijkl", "clone with glpat-abcdefghijkl"),
        ("sk-ant-api03-abcdefghijklmnop", "key sk-ant-api03-abcdefghijklmnop"),
        ("MIIEowIBAAKCAQEA", "-----BEGIN RSA PRIVATE KEY----- MIIEowIBAAKCAQEA"),
        ("9f86d081884c7d659a2feaa0c55ad015", "got 9f86d081884c7d659a2feaa0c55ad015 back"),
        ("T0k3nWithManyMixedCh4rsXyz", "sent T0k3nWithManyMixedCh4rsXyz"),
    ],
)
def test_a_secret_is_redacted(secret: str, line: str) -> None:
    assert REDACTED in clean(line)
    assert secret not in clean(line)
    assert clean(clean(line)) == clean(line)


@pytest.mark.parametrize(
    "line",
    [
        'Failed to pull image "registry.example/web:1.2.3": not found',
        "image registry.example/web@sha256:" + "ab12" * 16,
        "pod shop/web-7d9f8c6b5d-x2x4z on ip-10-0-1-23.eu-west-1.compute.internal",
        'MountVolume.SetUp failed for volume "tls-secret" : secret "web-tls" not found',
        "uid 0f9e8d7c-6b5a-4938-a7b6-c5d4e3f2a1b0",
        "0/3 nodes are available: 3 Insufficient cpu. preemption: 0/3 nodes are available",
        "kubectl set resources -n shop deployment/web -c app --limits=memory=615Mi",
        "dial tcp 10.0.0.7:5432: connect: connection refused",
        "/var/lib/kubelet/pods/volumes/kubernetes.io~projected/kube-api-access-abcde",
        "couldn't find key password in Secret shop/db-credentials",
        "horizontalpodautoscalers.autoscaling is forbidden",
    ],
)
def test_an_ordinary_line_stays_as_it_is(line: str) -> None:
    assert clean(line) == line


@given(st.text(max_size=400))
def test_a_cleaned_text_is_one_visible_line_and_cleaning_is_stable(text: str) -> None:
    line = clean(text)
    assert line.isprintable()
    assert len(line) <= 300
    assert clean(line) == line


def test_hidden_characters_are_dropped_and_lines_joined() -> None:
    assert clean("a\u202eb\u200bc\x1b[0m\n\td") == "abc[0m d"


def test_a_long_text_ends_in_an_ellipsis() -> None:
    assert clean("x" * 999, 10) == "x" * 9 + "…"


@pytest.mark.parametrize("value", [None, [], {}, b"x"])
def test_what_is_no_text_is_empty(value: object) -> None:
    assert clean(value) == ""


def test_printable_walks_plain_json() -> None:
    assert printable({"a\u200b": ["\u202eb", 1, None]}) == {"a": ["b", 1, None]}
