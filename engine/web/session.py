"""Who looks at the pages: a signed cookie after the login, a token in every form.

Nothing is kept on the server: the cookie holds the name of a user and when it ends, signed. The
user is looked up in the policy at each request, so who left it, or has a new token, is out at once.
"""

import hmac
from base64 import urlsafe_b64decode, urlsafe_b64encode
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256
from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict, ValidationError

from engine.web.ports import KEY_BYTES

if TYPE_CHECKING:
    from engine.changes.policy.policy import User

SESSION_S = 8 * 3600
COOKIE = "dogwatch"
FORM_COOKIE = "dogwatch-form"
_PADDING = b"="
_SIGNED = b"dogwatch session\0"
_FORM = b"dogwatch form\0"
_TOKEN = b"dogwatch token\0"


class Session(BaseModel):
    """One login; `id` is random, `proof` is of the token that was given."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str
    user: str
    proof: str
    ends: datetime


@dataclass(frozen=True)
class Signer:
    """Signs with `key`, which no page shows."""

    key: bytes

    def __post_init__(self) -> None:
        if len(self.key) < KEY_BYTES:
            raise ValueError(f"a key has at least {KEY_BYTES} bytes")

    def cookie(self, user: "User", id: str, now: datetime) -> str:  # noqa: A002 - the word of the field
        """Return the cookie of a session of `user` that begins `now`; `id` is random.

        It lasts no longer than that by which the user was recognised.
        """
        ends = now + timedelta(seconds=SESSION_S)
        ends = ends if user.ends is None else min(ends, user.ends)
        session = Session(id=id, user=user.name, proof=self._proof(user), ends=ends)
        body = urlsafe_b64encode(session.model_dump_json().encode()).rstrip(_PADDING)
        return f"{body.decode()}.{self._sign(_SIGNED + body)}"

    def session(self, cookie: str, now: datetime) -> Session | None:
        """Return the session of `cookie`; None where it is not ours, or over."""
        body, _, signature = cookie.partition(".")
        if not hmac.compare_digest(
            signature.encode(), self._sign(_SIGNED + body.encode()).encode()
        ):
            return None
        try:
            session = Session.model_validate_json(urlsafe_b64decode(body + _PADDING.decode() * 2))
        except (ValueError, ValidationError):
            return None
        return session if now < session.ends else None

    def proves(self, session: Session, user: "User") -> bool:
        """Whether `session` was begun with the token that `user` has still."""
        return hmac.compare_digest(session.proof, self._proof(user))

    def form_token(self, of: str) -> str:
        """Return what each form of a session (or of a visitor before the login) has to send."""
        return self._sign(_FORM + of.encode())

    def holds(self, token: str, of: str) -> bool:
        """Whether `token` is the one of `of`."""
        return hmac.compare_digest(token.encode(), self.form_token(of).encode())

    def _proof(self, user: "User") -> str:
        return self._sign(_TOKEN + f"{user.name}\0{user.token_sha256}".encode())

    def _sign(self, text: bytes) -> str:
        return hmac.new(self.key, text, sha256).hexdigest()
