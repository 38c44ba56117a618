"""What is public of an object is found in any shape of it, and nothing else leaves."""

from __future__ import annotations

import base64
import contextlib
import struct
import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
)
from cryptography.hazmat.primitives.serialization.pkcs12 import (
    PKCS12Certificate,
    serialize_java_truststore,
    serialize_key_and_certificates,
)
from cryptography.x509.oid import NameOID
from hypothesis import given
from hypothesis import strategies as st

from engine.cluster.listing import kept
from engine.cluster.resources import Resource
from engine.model.watch import Part
from tests.watchers.signed import a_secret, b64, signed
from watchers import certified
from watchers.certificates import CertificatesConfig
from watchers.certified import Files, authorities, secret_view, shown
from watchers.der import NotDer, iterations
from watchers.keystores import MAX_ROUNDS, Keystores, StoreRefused
from watchers.pem import MAX_CERTIFICATES, blocks

if TYPE_CHECKING:
    from collections.abc import Callable

    from engine.model.watch import Object

ONE = signed("web", 90)
CONFIG = CertificatesConfig()
VIEW = secret_view(Files(CONFIG.keys, CONFIG.passphrase_keys))
VIEWS: list[Callable[[Object], Any]] = [
    VIEW,
    certified.webhooks_view,
    certified.api_service_view,
    certified.definition_view,
    certified.certificate_view,
]
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)
FIELDS = ("metadata", "spec", "status", "data", "webhooks", "conversion", "webhook", "clientConfig")
KEYS = ("caBundle", "conditions", "annotations", "labels", "ownerReferences", "tls.crt", "a.pem")
SHAPED = st.recursive(
    JSON,
    lambda inner: st.dictionaries(st.sampled_from(FIELDS + KEYS), inner, max_size=6),
    max_leaves=12,
)


def entries(secret: Object) -> dict[str, dict[str, Any]]:
    return dict(VIEW(secret)["found"])


def opaque(**values: bytes) -> dict[str, dict[str, Any]]:
    secret = a_secret("files", "Opaque")
    secret["data"] = {key.replace("__", "-").replace("_", "."): b64(v) for key, v in values.items()}
    return entries(secret)


def a_store(passphrase: bytes = b"secret") -> bytes:
    encryption = BestAvailableEncryption(passphrase) if passphrase else NoEncryption()
    return serialize_key_and_certificates(b"web", ONE.key, ONE.certificate, None, encryption)


def a_jks(*ders: bytes, tag: int = 2) -> bytes:
    """Return a JKS file of trusted certificates, as keytool writes it."""
    whole = struct.pack(">III", 0xFEEDFEED, 2, len(ders))
    for der in ders:
        whole += struct.pack(">I", tag) + b"\0\3web" + struct.pack(">Q", 1)
        whole += b"\0\5X.509" + struct.pack(">I", len(der)) + der
    return whole + b"\0" * 20


@given(st.dictionaries(st.sampled_from((*FIELDS, "type")), SHAPED, max_size=5))
def test_objects_of_any_shape_are_taken(obj: Any) -> None:
    for view in VIEWS:
        view(obj)


@given(st.binary(max_size=400))
def test_any_bytes_are_taken(raw: bytes) -> None:
    for told in (shown(raw), authorities(raw), shown(ONE.pem, raw), shown(b"\x30" + raw)):
        assert ("notAfter" in told) or told["error"].startswith(("malformed", "empty"))
    for start in (b"", b"\xfe\xed\xfe\xed\0\0\0\2", b"\x30\x82"):
        with contextlib.suppress(StoreRefused):
            Keystores([b"x"]).open(start + raw)


@given(st.integers(0, len(ONE.der) - 1), st.integers(0, 255))
def test_a_certificate_with_any_byte_changed_is_taken(at: int, byte: int) -> None:
    told = shown(ONE.der[:at] + bytes([byte]) + ONE.der[at + 1 :])
    assert "notAfter" in told or "error" in told


def test_nothing_of_a_secret_but_its_certificate_is_left() -> None:
    secret = a_secret(tls_crt=ONE.key_pem + ONE.pem, tls_key=ONE.key_pem, password=b"canary")
    secret["stringData"] = {"password": "canary"}
    secret["metadata"]["annotations"] = {"note": "canary" * 200_000}
    secret["metadata"]["labels"] = {"app": "shop"}
    resource = Resource("secrets", "v1", "Secret", "/api/v1/secrets")
    left = kept(secret, resource, b"salt", Part(view=VIEW))
    text = repr(left)
    assert "canary" not in text
    assert ONE.key_pem.decode().splitlines()[1] not in text
    assert (left["data"], left["stringData"]) == (None, None)
    assert left["metadata"]["labels"] == {"app": "shop"}
    assert left["found"][0][1]["subject"] == "web"


@pytest.mark.parametrize(
    ("value", "error"),
    [
        (b"", "empty: no value"),
        (b"not yet", "malformed: there is no certificate"),
        (ONE.key_pem, "malformed: there is no certificate"),
        (ONE.pem[:200], "malformed: none of 1 certificates can be read"),
        (ONE.pem.replace(b"M", b"!"), "malformed: none of 1 certificates can be read"),
        (ONE.pem + ONE.pem[:90], "malformed: 1 of 2 certificates can not be read"),
        (b"\x30\x03abc", "malformed: none of 1 certificates can be read"),
    ],
)
def test_what_is_wrong_with_a_tls_secret_is_said(value: bytes, error: str) -> None:
    assert entries(a_secret(tls_crt=value, tls_key=b""))[""]["error"] == error


def test_a_value_that_is_no_base64_or_no_text_is_said() -> None:
    for value in ("\u00e9", 7, ["x"]):
        secret = a_secret()
        secret["data"] = {"tls.crt": value, "ca.crt": value}
        assert entries(secret)[""] == {"error": "malformed: no base64"}


def test_der_and_duplicates_and_windows_line_ends_are_read() -> None:
    assert shown(ONE.der)["subject"] == "web"
    assert shown(ONE.pem + ONE.pem)["chainLength"] == 2
    assert shown(ONE.pem.replace(b"\n", b"\r\n"))["subject"] == "web"
    assert shown(ONE.pem.replace(b"BEGIN CERT", b"BEGIN X509 CERT"))["subject"] == "web"


def test_only_values_that_hold_certificates_are_told_of_other_secrets() -> None:
    told = opaque(web_crt=ONE.pem, key_pem=ONE.key_pem, ca__bundle_pem=ONE.pem, notes=ONE.pem)
    assert set(told) == {"web.crt", "ca-bundle.pem"}
    assert ("bundle" in told["web.crt"], told["ca-bundle.pem"]["bundle"]) == (False, True)


def test_key_stores_are_opened_by_the_passphrase_beside_them() -> None:
    told = opaque(web_p12=a_store(), password=b"wrong", passphrase=b"secret\n")
    assert told["web.p12"]["subject"] == "web"
    assert opaque(web_pfx=a_store(b""))["web.pfx"]["subject"] == "web"
    assert opaque(a_jks=a_jks(ONE.der, signed("b").der))["a.jks"]["chainLength"] == 2


def test_a_key_store_that_can_not_be_opened_is_said() -> None:
    told = opaque(web_p12=a_store(), password=b"wrong")
    assert told["web.p12"] == {"error": "passphrase: none of 1 passphrases opens it"}
    assert opaque(a_jks=a_jks(ONE.der)[:90])["a.jks"]["error"].startswith("malformed")
    assert opaque(a_jks=a_jks(ONE.der, tag=9))["a.jks"]["error"].startswith("malformed")
    assert opaque(a_p12=b"\x30\x80")["a.p12"]["error"].startswith("malformed")


def test_a_key_store_beside_the_same_certificate_in_pem_is_not_told_twice() -> None:
    assert set(opaque(tls_crt=ONE.pem, keystore_p12=a_store())) == {"tls.crt"}


def test_a_key_store_that_asks_for_endless_rounds_is_refused_before_it_is_tried() -> None:
    store = a_store()
    rounds = iterations(store)
    assert 0 < rounds < MAX_ROUNDS
    # The rounds of the digest of the whole file stand at its end.
    assert store[-4:-2] == b"\x02\x02"
    longer = _longer(store, b"\x02\x04\x7f\xff\xff\xff")
    with pytest.raises(StoreRefused, match="rounds") as caught:
        Keystores([b"secret"]).open(longer)
    assert caught.value.reason == "too-large"


def _longer(store: bytes, rounds: bytes) -> bytes:
    """Replace the last integer, and the lengths of the two values that it is in."""
    mac = store.rindex(b"\x30", 0, store.rindex(b"\x30\x31"))
    inner = store[mac + 2 : -4] + rounds
    whole = store[4:mac] + b"\x30" + bytes([len(inner)]) + inner
    return b"\x30\x82" + struct.pack(">H", len(whole)) + whole


def test_all_key_stores_of_one_object_share_what_may_be_tried() -> None:
    values = {f"s{number}_p12": a_store() for number in range(9)}
    told = opaque(**values, password=b"wrong", passphrase=b"secret")
    opened = [name for name, data in told.items() if "subject" in data]
    refused = [name for name, data in told.items() if data.get("error", "").startswith("too-")]
    assert 0 < len(opened) < 9
    assert len(opened) + len(refused) == 9


def test_a_trust_store_is_a_bundle() -> None:
    entry = PKCS12Certificate(ONE.certificate, b"web")
    store = serialize_java_truststore([entry], BestAvailableEncryption(b"changeit"))
    told = opaque(truststore_jks=store, password=b"changeit")
    assert told["truststore.jks"]["bundle"]


def test_der_that_is_too_deep_or_cut_off_is_none() -> None:
    deep = b"\x30\x00"
    for _ in range(100):
        deep = b"\x30" + bytes([len(deep)]) + deep if len(deep) < 120 else deep
    for raw in (b"\x30\x80\0\0", b"\x30\x05a", b"\x3f\x01", b"\x30", deep):
        with pytest.raises(NotDer):
            iterations(raw)


def test_ten_thousand_certificates_are_looked_at_in_part_and_quickly() -> None:
    whole = ONE.pem * 10_000
    begin = time.perf_counter()
    told = authorities(whole)
    took_s = time.perf_counter() - begin
    assert told["skipped"] == 10_000 - MAX_CERTIFICATES
    assert told["error"] == "too-large: 9000 further certificates are not looked at"
    assert told["notAfter"] == "2026-05-01T12:00:00Z"
    assert took_s < 5, "it is some 30 ms"
    assert len(blocks(whole).found) == MAX_CERTIFICATES


def strange(
    begin: datetime, end: datetime, name: x509.Name | None = None, *, serial: int = 1
) -> bytes:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = name or x509.Name([])
    builder = x509.CertificateBuilder(subject, subject, key.public_key(), serial, begin, end)
    return builder.sign(key, hashes.SHA256()).public_bytes(Encoding.DER)


def test_dates_at_the_ends_of_time_are_told_as_they_are() -> None:
    told = shown(strange(datetime(1951, 1, 1, tzinfo=UTC), datetime(9999, 12, 31, tzinfo=UTC)))
    assert (told["notBefore"], told["notAfter"]) == ("1951-01-01T00:00:00Z", "9999-12-31T00:00:00Z")
    der = strange(datetime(1951, 1, 1, tzinfo=UTC), datetime(2050, 1, 1, tzinfo=UTC))
    for year in (b"0000", b"00x0"):
        assert "error" in shown(der.replace(b"20500101", year + b"0101"))
    assert shown(der.replace(b"20500101", b"00010101"))["notAfter"] == "0001-01-01T00:00:00Z"


def test_an_end_before_the_beginning_is_told_as_it_is() -> None:
    begin = datetime(2050, 1, 1, tzinfo=UTC)
    der = strange(begin, begin + timedelta(days=365)).replace(b"20510101", b"20400101")
    assert shown(der)["lifetime"] < 0


def test_a_serial_number_of_zero_is_no_fault() -> None:
    begin = datetime(2026, 1, 1, tzinfo=UTC)
    der = strange(begin, begin + timedelta(days=9), serial=127)
    assert shown(der.replace(b"\x02\x01\x7f", b"\x02\x01\x00"))["serial"] == "0"


def test_names_are_cut_and_strange_ones_are_left_out() -> None:
    begin = datetime(2026, 1, 1, tzinfo=UTC)
    name = x509.Name([x509.NameAttribute(NameOID.ORGANIZATION_NAME, "o" * 60)] * 9)
    assert len(shown(strange(begin, begin + timedelta(days=9), name))["subject"]) == 256
    common = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "shop")])
    der = strange(begin, begin + timedelta(days=9), common).replace(b"shop", b"\xff\xfe\xfd\xfc")
    told = shown(der)
    assert "subject" not in told
    assert told["notAfter"].startswith("2026")
    many = signed(hosts=[f"h{number}.example.com" for number in range(500)])
    assert len(shown(many.pem)["names"]) == 100


def test_a_large_file_is_not_looked_at() -> None:
    secret = a_secret()
    secret["data"] = {"tls.crt": "A" * (3 << 20)}
    assert entries(secret)[""] == {"error": "too-large: more than 2 MiB"}


def test_an_authority_of_the_same_name_that_did_not_sign_is_no_part_of_a_chain() -> None:
    real, false = signed("root", 10, authority=True), signed("root", 5, authority=True)
    leaf = signed("web", 90, by=real)
    assert shown(leaf.pem, false.pem)["chainLength"] == 1
    told = shown(leaf.pem, false.pem + real.pem)
    assert (told["chainLength"], told["notAfter"]) == (2, "2026-02-10T12:00:00Z")


def test_base64_that_people_wrap_is_read() -> None:
    secret = a_secret()
    wrapped = base64.encodebytes(ONE.pem).decode()
    secret["data"] = {"tls.crt": wrapped}
    assert entries(secret)[""]["subject"] == "web"
