"""What the watcher tells, under the shipped rules: even strange certificates are judged."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from engine.app.replaying import replay
from engine.app.rule_files import load_paths
from engine.model.instant import to_us
from tests.watchers.signed import a_secret, signed
from tests.watchers.sources import NOON, an_object
from tests.watchers.test_certificates import CERTIFICATES, Cluster, run
from tests.watchers.test_certified import strange

if TYPE_CHECKING:
    from engine.model.watch import Object

RULES = load_paths([Path(__file__).parents[2] / "rules" / "certificates.yaml"])
SOON, LATER = "certificate-expiring-soon", "certificate-expiring"
YEAR = timedelta(days=365)
END = datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)


def fired(*secrets: Object, certificates: tuple[Object, ...] = ()) -> set[tuple[str, str]]:
    """Return (rule, name) of what fires within two hours."""
    listed = {"secrets": list(secrets), CERTIFICATES: list(certificates)}
    told = run(Cluster(listed))
    lines = replay(RULES, [told], until=to_us(NOON + timedelta(hours=2)))
    return {(one["rule"], one["key"]["name"]) for one in lines if one["state"] == "firing"}


def test_strange_dates_are_judged_as_they_are() -> None:
    old = datetime(1951, 1, 1, tzinfo=UTC)
    turned = strange(datetime(2050, 1, 1, tzinfo=UTC), datetime(2051, 1, 1, tzinfo=UTC))
    secrets = {
        **{f"for-ever-{n}": strange(old, END) for n in range(9)},  # an error each would degrade
        "first-year": strange(old, datetime(2050, 1, 1, tzinfo=UTC)).replace(
            b"20500101", b"00010101"
        ),
        "last-century": strange(old, old + YEAR),
        "ends-before-it-begins": turned.replace(b"20510101", b"00400101"),
        "for-no-time": strange(NOON, NOON),
    }
    names = fired(*(a_secret(name, tls_crt=der) for name, der in secrets.items()))
    expired = {"first-year", "last-century", "ends-before-it-begins", "for-no-time"}
    assert names == {(rule, name) for rule in (SOON, LATER) for name in expired}


def test_places_without_a_certificate_fire_nothing_within_the_hour() -> None:
    values = {"empty": b"", "key": signed().key_pem, "garbage": b"\x30\x82", "text": b"later"}
    assert fired(*(a_secret(name, tls_crt=value) for name, value in values.items())) == {
        ("certificate-unreadable", name) for name in values if name != "empty"
    }


def test_a_certificate_that_was_never_issued_is_not_ready_and_not_expiring() -> None:
    waiting = {"conditions": [{"type": "Ready", "status": "False"}]}
    one = an_object("Certificate", "web", spec={"secretName": "web-tls"}, status=waiting)
    secret = a_secret(tls_crt=b"")
    assert fired(secret, certificates=(one,)) == {("certificate-not-ready", "web")}


def test_many_certificates_of_every_age_fire_by_their_days() -> None:
    begin = NOON - timedelta(days=85)
    days = (1, 6, 8, 29, 31, 300)
    secrets = [a_secret(f"d{n}", tls_crt=signed(days=85 + n, begin=begin).pem) for n in days]
    assert fired(*secrets) == {
        *((SOON, f"d{n}") for n in (1, 6)),
        *((LATER, f"d{n}") for n in (1, 6, 8, 29)),
    }
