"""A token of the issuer says who somebody is; whatever else looks like one does not."""

import asyncio
import base64
import json
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import httpx
import jwt
import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given
from hypothesis import strategies as st

from engine.app.sign_in import MOST_BYTES, SignIn, read_keys
from engine.changes.policy import load_policy
from engine.model.errors import ConfigError
from tests.app.issuer import (
    ALONE,
    AT,
    CURVE,
    NOW,
    PEOPLE,
    RSA,
    STRANGER,
    Issuer,
    Noon,
    a_policy,
    a_token,
    curve,
    public,
    serving,
    signed_in,
)
from tests.testbeds.process import eventually


@pytest.fixture
def issuer() -> Iterator[Issuer]:
    with serving() as found:
        yield found


def name(found: SignIn, token: str) -> str:
    user = found.user_of_token(token)
    return "" if user is None else user.name


async def test_a_user_is_known_by_subject_or_verified_address(issuer: Issuer) -> None:
    found = await signed_in(a_policy(issuer.url))
    assert name(found, a_token()) == "bo"
    assert name(found, a_token(sub="x", email="ADA@example.com", email_verified=True)) == "ada"
    assert name(found, a_token(CURVE, "ES256", {"kid": "k2"})) == "bo"
    assert name(found, a_token(aud=["other", "dogwatch"])) == "bo"


@pytest.mark.parametrize(("exp", "seconds"), [(AT + 60, 60), (1e300, 366 * 86400), (AT - 5, -5)])
async def test_a_user_is_known_until_the_token_ends(
    exp: float, seconds: int, issuer: Issuer
) -> None:
    found = await signed_in(a_policy(issuer.url))
    user = found.user_of_token(a_token(exp=exp))
    assert user is not None
    assert user.ends == NOW + timedelta(seconds=seconds)


async def test_an_address_counts_where_it_is_verified_or_the_policy_trusts_it(
    issuer: Issuer,
) -> None:
    token = a_token(sub="x", email="ada@example.com")
    assert name(await signed_in(a_policy(issuer.url)), token) == ""
    for verified in (False, "true", 1, None):
        doubtful = a_token(sub="x", email="ada@example.com", email_verified=verified)
        assert name(await signed_in(a_policy(issuer.url)), doubtful) == ""
    trusting = await signed_in(a_policy(issuer.url, ", unverified_email: true"))
    assert name(trusting, token) == "ada"


@pytest.mark.parametrize(
    ("claims", "why"),
    [
        ({"iss": "https://evil"}, "another issuer"),
        ({"iss": None}, "no issuer"),
        ({"aud": "other"}, "for somebody else"),
        ({"aud": None}, "for nobody"),
        ({"aud": []}, "for nobody"),
        ({"exp": AT - 31}, "expired"),
        ({"exp": None}, "never expires"),
        ({"exp": "later"}, "ends at no time"),
        ({"exp": True}, "ends at no time"),
        ({"exp": float("nan")}, "ends at no time"),
        ({"iat": AT + 60}, "issued in the future"),
        ({"iat": None}, "issued at no time"),
        ({"nbf": AT + 60}, "not yet"),
        ({"nbf": "soon"}, "not at any time"),
        ({"sub": None}, "about nobody"),
        ({"sub": "idp|eve"}, "about a stranger"),
        ({"sub": 7}, "about a number"),
        ({"sub": "x", "email": "eve@example.com", "email_verified": True}, "about a stranger"),
        ({"sub": "x", "email": ["ada@example.com"], "email_verified": True}, "about a list"),
    ],
)
async def test_a_token_that_says_something_else_does_not_count(
    issuer: Issuer, claims: dict[str, Any], why: str
) -> None:
    found = await signed_in(a_policy(issuer.url))
    payload = {"iss": "https://idp", "aud": "dogwatch", "sub": "idp|bo", "iat": AT, "exp": AT + 300}
    payload = {key: value for key, value in {**payload, **claims}.items() if value is not None}
    token = jwt.PyJWS().encode(json.dumps(payload).encode(), RSA, "RS256", {"kid": "k1"})
    assert name(found, token) == "", why


def part(value: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


def with_header(**header: Any) -> str:
    """Return a good token under another header, with the old signature."""
    _, payload, signature = a_token().split(".")
    return f"{part({'typ': 'JWT', 'kid': 'k1', **header})}.{payload}.{signature}"


PEM = RSA.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def forged_by_public_key() -> str:
    """Return a token whose HMAC has the public key as its secret."""
    secret = jwt.algorithms.HMACAlgorithm(jwt.algorithms.HMACAlgorithm.SHA256)
    head = part({"alg": "HS256", "kid": "k1", "typ": "JWT"})
    _, payload, _ = a_token().split(".")
    mac = secret.sign(f"{head}.{payload}".encode(), PEM)
    return f"{head}.{payload}." + base64.urlsafe_b64encode(mac).rstrip(b"=").decode()


def tampered() -> str:
    head, _, signature = a_token(sub="idp|eve").split(".")
    return f"{head}.{a_token().split('.')[1]}.{signature}"


def deep() -> str:
    return base64.urlsafe_b64encode(b"[" * 5000).rstrip(b"=").decode()


FORGED: dict[str, Callable[[], str]] = {
    "signed by a stranger": lambda: a_token(STRANGER),
    "no algorithm": lambda: with_header(alg="none"),
    "no algorithm and no signature": lambda: with_header(alg="none").rsplit(".", 1)[0] + ".",
    "an algorithm of odd case": lambda: with_header(alg="nOnE"),
    "hmac with the public key": forged_by_public_key,
    "an algorithm that is not allowed": lambda: a_token(RSA, "RS512"),
    "another kind of key": lambda: a_token(CURVE, "ES256", {"kid": "k1"}),
    "the algorithm of another key": lambda: with_header(alg="ES256"),
    "an unknown key": lambda: a_token(RSA, header={"kid": "k9"}),
    "no key": lambda: a_token(RSA, header={}),
    "a key that is a list": lambda: with_header(alg="RS256", kid=["k1"]),
    "its own key": lambda: a_token(STRANGER, header={"kid": "x", "jwk": public(STRANGER, "x")}),
    "a url of keys": lambda: a_token(STRANGER, header={"kid": "x", "jku": "http://127.0.0.1/"}),
    "an extension that has to be understood": lambda: a_token(
        header={"kid": "k1", "crit": ["exp"], "exp": AT}
    ),
    "another payload": tampered,
    "another signature": lambda: a_token()[:-8] + "AAAAAAAA",
    "no signature": lambda: a_token().rsplit(".", 1)[0] + ".",
    "two parts": lambda: a_token().rsplit(".", 1)[0],
    "four parts": lambda: a_token() + ".x",
    "nothing": lambda: "",
    "dots": lambda: "..",
    "no JSON": lambda: "eA.eA.eA",
    "a list for a header": lambda: f"{part([1])}.{part({})}.eA",
    "no text": lambda: "\udcff.\udcff.\udcff",
    "a header of many levels": lambda: f"{deep()}.{part({})}.eA",
    "claims of many levels": lambda: a_token().split(".")[0] + f".{deep()}.eA",
    "far too long": lambda: a_token(x="y" * 9000),
}


@pytest.mark.parametrize("forged", FORGED.values(), ids=FORGED.keys())
async def test_a_forged_token_does_not_count(issuer: Issuer, forged: Callable[[], str]) -> None:
    found = await signed_in(a_policy(issuer.url))
    assert name(found, forged()) == ""
    assert name(found, a_token()) == "bo"


@pytest.mark.parametrize(
    ("change", "good"),
    [
        ({"status": 500}, False),
        ({"status": 204, "body": b""}, False),
        ({"body": b"<html>"}, False),
        ({"body": b"[]"}, False),
        ({"body": b'{"keys": 7}'}, False),
        ({"body": b'{"keys": [7, {"kty": "RSA", "kid": "k1"}]}'}, False),
        ({"body": b" " * (MOST_BYTES + 1)}, False),
        ({"body": b"[" * 100_000}, False),
        ({"keys": []}, False),
        ({"keys": [{"kty": "oct", "kid": "k1", "k": "c2VjcmV0"}]}, False),
        ({"keys": [public(RSA, "k1", use="enc")]}, False),
        ({"keys": [public(RSA, "")]}, False),
        ({"keys": [public(RSA, "k1", alg="RS512")]}, False),
        ({"keys": [7, public(RSA, "k1")]}, True),
    ],
)
async def test_keys_that_are_none_are_not_taken(
    issuer: Issuer, change: dict[str, Any], good: bool
) -> None:
    for attribute, value in change.items():
        setattr(issuer, attribute, value)
    found = await signed_in(a_policy(issuer.url))
    assert issuer.asked == 1
    assert name(found, a_token()) == ("bo" if good else "")


HOSTILE: st.SearchStrategy[Any] = st.one_of(
    st.none(), st.booleans(), st.integers(), st.text(max_size=5), st.just([])
)
FIELDS = ("kty", "n", "e", "crv", "x", "y", "kid", "alg", "use", "k")


@given(
    st.lists(
        st.tuples(
            st.sampled_from([public(RSA, "k1"), curve("k2"), {"kty": "OKP", "crv": "Ed25519"}]),
            st.dictionaries(st.sampled_from(FIELDS), HOSTILE, max_size=3),
        ),
        max_size=3,
    )
)
def test_keys_of_any_shape_are_keys_or_none(found: list[tuple[dict[str, Any], Any]]) -> None:
    data = json.dumps({"keys": [{**key, **changed} for key, changed in found]}).encode()
    config = a_policy("https://idp/keys").file.oidc
    assert config is not None
    try:
        usable = read_keys(data, config)
    except ValueError:
        return
    assert all(key.algorithm_name in config.algorithms for key in usable.values())


async def test_a_redirect_is_not_followed(issuer: Issuer) -> None:
    issuer.status, issuer.location = 302, issuer.url
    found = await signed_in(a_policy(issuer.url))
    assert (issuer.asked, name(found, a_token())) == (1, "")


async def test_known_keys_stay_while_the_issuer_is_away(issuer: Issuer) -> None:
    found = await signed_in(a_policy(issuer.url))
    issuer.status = 503
    async with httpx.AsyncClient(trust_env=False) as http:
        await found.refresh(http)
    assert (issuer.asked, name(found, a_token())) == (2, "bo")


async def test_keys_of_an_earlier_issuer_do_not_count_for_another(issuer: Issuer) -> None:
    policies = [a_policy(issuer.url)]
    found = SignIn(lambda: policies[-1], Noon())
    async with httpx.AsyncClient(trust_env=False) as http:
        await found.refresh(http)
        assert name(found, a_token()) == "bo"
        policies.append(a_policy("http://127.0.0.1:1/keys"))
        assert name(found, a_token()) == ""
        policies.append(load_policy("p.yaml", ALONE))
        await found.refresh(http)
        policies.append(policies[0])
        assert name(found, a_token()) == ""


async def test_without_a_policy_or_an_issuer_nobody_is_known(issuer: Issuer) -> None:
    for policy in (None, load_policy("p.yaml", ALONE)):
        assert name(await signed_in(policy), a_token()) == ""
    assert issuer.asked == 0


async def test_a_key_that_is_not_known_yet_is_asked_for_in_the_background(issuer: Issuer) -> None:
    policy = a_policy(issuer.url)
    found = SignIn(lambda: policy, Noon(), retry_s=0.05)
    running = asyncio.create_task(found.run())
    assert await asyncio.to_thread(eventually, lambda: name(found, a_token()) or None) == "bo"
    issuer.keys = [public(STRANGER, "k3")]
    token = a_token(STRANGER, header={"kid": "k3"})
    assert await asyncio.to_thread(eventually, lambda: name(found, token) or None) == "bo"
    assert name(found, a_token()) == ""  # the old key is gone
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running


async def test_another_thread_that_wants_a_key_wakes_who_reads_them(issuer: Issuer) -> None:
    policy = a_policy(issuer.url)
    found = SignIn(lambda: policy, Noon(), retry_s=0.0)
    running = asyncio.create_task(found.run())
    assert await asyncio.to_thread(eventually, lambda: name(found, a_token()) or None) == "bo"
    for _ in range(10):
        await asyncio.sleep(0)  # it waits by now, and so does the loop from here on
    asked = issuer.asked

    def wants() -> bool:
        name(found, a_token(STRANGER, header={"kid": "k3"}))
        return bool(eventually(lambda: issuer.asked > asked or None))

    assert await asyncio.to_thread(wants)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running


async def test_an_issuer_that_was_away_is_asked_again_soon(issuer: Issuer) -> None:
    issuer.status = 503
    policy = a_policy(issuer.url)
    found = SignIn(lambda: policy, Noon(), retry_s=0.05)
    running = asyncio.create_task(found.run())
    assert await asyncio.to_thread(eventually, lambda: issuer.asked > 2 or None)
    issuer.status = 200
    asked = issuer.asked
    assert await asyncio.to_thread(eventually, lambda: issuer.asked > asked or None)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running


async def test_strangers_cannot_make_the_issuer_be_asked_at_will(issuer: Issuer) -> None:
    policy = a_policy(issuer.url)
    found = SignIn(lambda: policy, Noon())
    running = asyncio.create_task(found.run())
    assert await asyncio.to_thread(eventually, lambda: issuer.asked or None)
    for n in range(500):
        assert name(found, a_token(STRANGER, header={"kid": f"x{n}"})) == ""
        await asyncio.sleep(0)
    assert issuer.asked == 1
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running


@pytest.mark.parametrize(
    "url",
    [
        "http://idp.example.com/keys",
        "http://127.0.0.1.example.com/keys",
        "http://localhost@idp.example.com/keys",
        "https://user:secret@idp.example.com/keys",
        "https:///keys",
        "file:///etc/passwd",
        "ftp://127.0.0.1/keys",
        "keys",
        "",
    ],
)
def test_keys_come_by_https_only(url: str) -> None:
    with pytest.raises(ConfigError, match="jwks_url") as refused:
        a_policy(url)
    assert "secret" not in str(refused.value)


def test_http_of_this_machine_has_to_be_allowed(issuer: Issuer) -> None:
    text = f"{PEOPLE}oidc: {{issuer: i, audience: a, jwks_url: {issuer.url!r}}}\n"
    with pytest.raises(ConfigError, match="https://"):
        load_policy("p.yaml", text)


@pytest.mark.parametrize("algorithm", ["none", "HS256", "HS512", "rs256"])
def test_only_pairs_of_keys_sign(algorithm: str) -> None:
    with pytest.raises(ConfigError, match="unknown value"):
        a_policy("https://idp/keys", f", algorithms: [{algorithm}]")
