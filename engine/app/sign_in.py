"""Sign in with OIDC: a bearer token that an issuer signed says which user of the policy it is.

The issuer's keys are read in the background, never because a request asks for them. A token that
names a key which is not known is refused, and lets the keys be read again soon.
"""

import asyncio
import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, Final

import httpx
import jwt
import structlog

from engine import meters
from engine.changes.policy import Policy, User, user_of_email, user_of_subject
from engine.changes.policy.config import OidcConfig
from engine.model.ports import Clock

LOG = structlog.get_logger()
REFRESH_S: Final = 600.0
RETRY_S: Final = 30.0
"""The least time between two reads of the keys, whatever is asked for."""
FETCH_S: Final = 10.0
MOST_BYTES: Final = 1 << 18
MOST_TOKEN: Final = 1 << 13
LEEWAY_S: Final = 30.0
"""How much the issuer's clock may differ."""
_YEAR_S: Final = 366 * 86400.0
_DOTS: Final = 2
# What reading JSON and base64 of a stranger raises; deep nesting is a RecursionError.
_MALFORMED: Final = (ValueError, TypeError, RecursionError)
_REQUIRED: Final = ["exp", "iat", "iss", "aud", "sub"]
# Times are judged by our own clock below.
_OPTIONS: Final[Any] = {
    "require": _REQUIRED,
    "verify_exp": False,
    "verify_nbf": False,
    "verify_iat": False,
}


class SignIn:
    """Knows users by the tokens of the issuer that the policy in force names."""

    def __init__(
        self,
        in_force: Callable[[], Policy | None],
        clock: Clock,
        *,
        transport: httpx.AsyncBaseTransport | None = None,
        retry_s: float = RETRY_S,
    ) -> None:
        self._in_force = in_force
        self._clock = clock
        self._transport = transport
        self._retry_s = retry_s
        self._url = ""
        self._keys: Mapping[str, jwt.PyJWK] = {}
        self._wanted = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None

    def user_of_token(self, token: str) -> User | None:
        """Return the user that the signed `token` names, with when it ends; None: it is no token.

        May be asked from any thread.
        """
        policy = self._in_force()
        config = policy.file.oidc if policy is not None else None
        if policy is None or config is None or token.count(".") != _DOTS:
            return None
        if len(token) > MOST_TOKEN:
            return None
        claims = self._claims(token, config)
        user = None if claims is None else _user(policy, config, claims)
        if claims is None or user is None:
            return None
        return replace(user, ends=_end(claims, self._clock.now()))

    async def run(self) -> None:
        """Keep the keys of the issuer fresh, for ever."""
        self._loop = asyncio.get_running_loop()
        async with httpx.AsyncClient(
            transport=self._transport, trust_env=False, follow_redirects=False, timeout=FETCH_S
        ) as http:
            while True:
                await self.refresh(http)
                await self._pause()

    async def refresh(self, http: httpx.AsyncClient) -> None:
        """Read the keys of the issuer once; those known stay where that fails."""
        policy = self._in_force()
        config = policy.file.oidc if policy is not None else None
        if config is None:
            self._url, self._keys = "", {}
            return
        self._wanted.clear()
        try:
            keys = read_keys(await _fetched(http, config.jwks_url), config)
        except (httpx.HTTPError, httpx.InvalidURL, TimeoutError, *_MALFORMED) as error:
            self._wanted.set()
            meters.OIDC_OK.set(0)
            LOG.warning("keys of the issuer not read", url=config.jwks_url, error=str(error))
            return
        self._url, self._keys = config.jwks_url, keys
        meters.OIDC_OK.set(1)

    async def _pause(self) -> None:
        """Wait until the keys are due again, or somebody wants others, but not at once."""
        await asyncio.sleep(self._retry_s)
        try:
            async with asyncio.timeout(REFRESH_S - RETRY_S):
                await self._wanted.wait()
        except TimeoutError:
            return

    def _want(self) -> None:
        """Let the keys be read again soon: the loop that waits may be that of another thread."""
        if self._loop is None:
            self._wanted.set()
        else:
            self._loop.call_soon_threadsafe(self._wanted.set)

    def _claims(self, token: str, config: OidcConfig) -> Mapping[str, Any] | None:
        try:
            key = self._key(jwt.get_unverified_header(token), config)
            if key is None:
                return None
            claims = jwt.decode(
                token,
                key,
                algorithms=[key.algorithm_name],
                audience=config.audience,
                issuer=config.issuer,
                options=_OPTIONS,
            )
        except (jwt.PyJWTError, *_MALFORMED) as error:
            LOG.info("token refused", why=type(error).__name__)
            return None
        return claims if _is_timely(claims, self._clock.now().timestamp()) else None

    def _key(self, header: Mapping[str, Any], config: OidcConfig) -> jwt.PyJWK | None:
        """Return the key that `header` names; it has to be of the issuer in force."""
        kid = header.get("kid")
        known = self._keys if self._url == config.jwks_url else {}
        key = known.get(kid) if isinstance(kid, str) else None
        if key is None:
            self._want()
            return None
        sound = header.get("alg") == key.algorithm_name and "crit" not in header
        return key if sound and key.algorithm_name in config.algorithms else None


async def _fetched(http: httpx.AsyncClient, url: str) -> bytes:
    """Return what is at `url`. Raises httpx.HTTPError; ValueError: it is too long."""
    data = b""
    async with asyncio.timeout(FETCH_S), http.stream("GET", url) as response:
        response.raise_for_status()
        if response.status_code != httpx.codes.OK:
            raise ValueError(f"it answered {response.status_code}")
        async for part in response.aiter_bytes():
            data += part
            if len(data) > MOST_BYTES:
                raise ValueError(f"it holds more than {MOST_BYTES} bytes")
    return data


def read_keys(data: bytes, config: OidcConfig) -> dict[str, jwt.PyJWK]:
    """Return the keys in a JWKS by kid, those only that may sign tokens here.

    Raises:
        ValueError: it is no JSON, or holds no key that counts.
    """
    found = json.loads(data)
    listed = found.get("keys") if isinstance(found, dict) else None
    usable = {}
    for one in listed if isinstance(listed, list) else ():
        key = _key_of(one)
        if key is not None and key.algorithm_name in config.algorithms:
            usable[key.key_id or ""] = key
    if not usable:
        raise ValueError("no key in it has a kid and may sign here")
    return usable


def _key_of(one: Any) -> jwt.PyJWK | None:
    """Return the public key in `one`, None where it is none that names itself and is sound."""
    if not (isinstance(one, dict) and _is_meant(one) and one.get("kid")):
        return None
    try:
        return jwt.PyJWK.from_dict({**one, "kid": str(one["kid"])})
    except (jwt.PyJWTError, KeyError, AttributeError, *_MALFORMED):
        return None


def _is_meant(key: Mapping[str, Any]) -> bool:
    """Whether `key` is half of a pair, and meant for signing."""
    return key.get("kty") in ("RSA", "EC", "OKP") and key.get("use", "sig") == "sig"


def _is_timely(claims: Mapping[str, Any], now: float) -> bool:
    """Whether the token holds at `now`, seconds since 1970; a time that is no number never does."""
    times = [claims.get("exp"), claims.get("iat"), claims.get("nbf", 0)]
    if not all(isinstance(one, int | float) and not isinstance(one, bool) for one in times):
        return False
    ends, issued, begins = (float(one or 0) for one in times)
    return now < ends + LEEWAY_S and max(issued, begins) <= now + LEEWAY_S


def _end(claims: Mapping[str, Any], now: datetime) -> datetime:
    """Return when the token of `claims` ends, at most a year from now."""
    left = min(float(claims["exp"]) - now.timestamp(), _YEAR_S)
    return now + timedelta(seconds=left)


def _user(policy: Policy, config: OidcConfig, claims: Mapping[str, Any]) -> User | None:
    subject, email = claims.get("sub"), claims.get("email")
    if isinstance(subject, str) and (user := user_of_subject(policy, subject)):
        return user
    sure = config.unverified_email or claims.get("email_verified") is True
    return user_of_email(policy, email) if isinstance(email, str) and sure else None
