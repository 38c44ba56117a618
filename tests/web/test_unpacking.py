"""Packed bodies come out whole, and never more of them than is allowed."""

import gzip
import tracemalloc
import zlib
from collections.abc import Callable
from itertools import islice, pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.web.refusal import Refusal
from engine.web.unpacking import RATIO, SLICE, Unpacker

LIMIT = 1 << 20


def unpacked(encoding: str, body: bytes, limit: int = LIMIT, piece: int = 1000) -> bytes:
    unpacker = Unpacker(encoding, limit)
    parts = [body[start : start + piece] for start in range(0, len(body), piece)]
    out = [one for part in parts for one in unpacker.feed(part)]
    return b"".join([*out, *unpacker.end()])


@pytest.mark.parametrize(
    ("encoding", "pack"),
    [("", bytes), ("identity", bytes), ("gzip", gzip.compress), ("deflate", zlib.compress)],
)
@given(body=st.binary(max_size=5000), piece=st.integers(1, 700))
def test_what_was_packed_comes_out_as_it_was(
    encoding: str, pack: Callable[[bytes], bytes], body: bytes, piece: int
) -> None:
    assert unpacked(encoding, pack(body), piece=piece) == body


@pytest.mark.parametrize("encoding", ["br", "zstd", "gzip, gzip", "x" * 999])
def test_other_encodings_are_415_and_hear_what_is_allowed(encoding: str) -> None:
    with pytest.raises(Refusal) as refused:
        Unpacker(encoding, LIMIT)
    assert refused.value.status == 415
    assert refused.value.headers["Accept-Encoding"] == "gzip, deflate, identity"
    assert len(refused.value.text) < 200


@pytest.mark.parametrize(
    "body",
    [b"not packed at all", gzip.compress(b"{}")[:-4], gzip.compress(b"{}") + b"more",
     gzip.compress(b"{}") * 2],
    ids=["plain", "cut", "trailing", "two"],
)  # fmt: skip
def test_what_is_not_one_packed_body_is_400(body: bytes) -> None:
    with pytest.raises(Refusal) as refused:
        unpacked("gzip", body)
    assert refused.value.status == 400


@given(st.binary(max_size=300), st.sampled_from(["gzip", "deflate"]))
def test_garbage_is_refused_or_read_and_never_breaks(body: bytes, encoding: str) -> None:
    status = 200
    try:
        unpacked(encoding, body)
    except Refusal as refused:
        status = refused.status
    assert status in {200, 400, 413}


def bomb(size: int) -> bytes:
    """Return zeros, packed a thousand times smaller."""
    packing = zlib.compressobj(9, wbits=31)
    parts = [packing.compress(bytes(1 << 20)) for _ in range(size >> 20)]
    return b"".join([*parts, packing.flush()])


def test_a_bomb_is_413_before_it_is_unpacked_and_in_constant_memory() -> None:
    body = bomb(128 << 20)
    tracemalloc.start()
    with pytest.raises(Refusal) as refused:
        unpacked("gzip", body, limit=64 << 20, piece=65_536)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert refused.value.status == 413
    assert f"more than {RATIO} times" in refused.value.text
    assert peak < 20 << 20


def test_the_limit_holds_for_what_grows_less() -> None:
    body = gzip.compress(b"".join(b"%d," % number for number in range(400_000)))
    with pytest.raises(Refusal) as refused:
        unpacked("gzip", body)
    assert (refused.value.status, "allowed are 1048576" in refused.value.text) == (413, True)


def test_a_small_body_may_grow_as_it_likes() -> None:
    body = b"[" + b" " * (SLICE - 2) + b"]"
    assert unpacked("gzip", gzip.compress(body)) == body


def test_one_slice_after_the_other_is_unpacked() -> None:
    unpacker = Unpacker("gzip", 64 << 20)
    slices = list(islice(unpacker.feed(gzip.compress(bytes(range(256)) * 4000)), 5))
    assert [len(one) for one in slices] == [SLICE] * 5
    assert all(before == after for before, after in pairwise(slices))
