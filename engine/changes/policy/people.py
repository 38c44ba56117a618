"""Who somebody is, by what they show. Pure."""

import hmac
from hashlib import sha256

from engine.changes.policy.policy import Policy, User


def user_of_token(policy: Policy, token: str) -> User | None:
    """Return whose token it is, None for nobody's.

    All hashes are compared, each in constant time, so that the answer's delay tells nothing.
    """
    given = sha256(token.encode("utf-8", "surrogatepass")).hexdigest()
    found = None
    for user in policy.users.values():
        if hmac.compare_digest(given, user.token_sha256) and token:
            found = user
    return found


def user_of_slack(policy: Policy, team: str, user: str) -> User | None:
    """Return who has these ids of Slack, None for nobody."""
    shown = (team, user)
    return next((one for one in policy.users.values() if all(shown) and one.slack == shown), None)


def user_of_email(policy: Policy, address: str) -> User | None:
    """Return who has this address, whatever its case, None for nobody."""
    shown = address.casefold()
    known = policy.users.values()
    return next((one for one in known if shown and one.email.casefold() == shown), None)


def user_of_subject(policy: Policy, subject: str) -> User | None:
    """Return who has this `sub` of OIDC, None for nobody."""
    return next((one for one in policy.users.values() if subject and one.subject == subject), None)


def user_named(policy: Policy, name: str) -> User | None:
    """Return the user of this name, None for nobody."""
    return policy.users.get(name)
