"""Links in mails: to look decides nothing, to send the form decides once."""

import hmac
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from datetime import timedelta
from hashlib import sha256
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette

from engine.changes.asking import ask_of
from engine.changes.policy import Needed
from engine.model.change import Risk
from engine.model.change_row import ChangeRow, Verdict
from engine.model.change_state import ChangeState
from engine.model.delivery import Ask
from engine.model.errors import StoreError
from engine.web.links import PATH, LinkPorts, Named, read, routes, signer, token_of
from engine.web.refusal import Refusal
from tests.web.counting import ADA, NOW, CountingDesk, Hand, Taken

KEY = b"k" * 32
OTHER = b"o" * 32
URL = "https://dogwatch.example.com"
ONE = Needed(1, "", ("sre",))


@dataclass
class Inside:
    """The ports of the links, by hand."""

    desk: CountingDesk = field(default_factory=CountingDesk)
    clock: Hand = field(default_factory=Hand)
    keys: list[bytes] = field(default_factory=lambda: [KEY])
    needed: Needed = ONE
    away: bool = False

    def change(self, id: str) -> ChangeRow | None:  # noqa: A002
        if self.away:
            raise StoreError("the store is away")
        return self.desk.row if id == self.desk.row.id else None

    @property
    def ask(self) -> Ask:
        return ask_of(self.desk.row, NOW, url=URL, needed=self.needed)

    def token(self, address: str = ADA.email, **changes: str) -> str:
        ask = self.ask.model_copy(update=changes)
        url = signer(lambda: self.keys, URL, lambda _: True)(ask, address)
        return url.rpartition("/")[2]

    def app(self) -> Starlette:
        ports = LinkPorts(
            self.desk, self.clock, lambda: self.keys, self.change, lambda _row: self.needed
        )
        return Starlette(routes=routes(ports))


@pytest.fixture
def inside() -> Inside:
    return Inside()


@pytest.fixture
async def http(inside: Inside) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(inside.app())
    async with httpx.AsyncClient(transport=transport, base_url="http://web") as client:
        yield client


async def decided(
    http: httpx.AsyncClient, token: str, verdict: str = "approve", **fields: str
) -> httpx.Response:
    return await http.post(f"{PATH}/{token}", data={"verdict": verdict, **fields})


@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_to_look_decides_nothing_however_often(
    method: str, inside: Inside, http: httpx.AsyncClient
) -> None:
    for _ in range(3):
        answer = await http.request(method, f"{PATH}/{inside.token()}")
        assert answer.status_code == 200
    assert (inside.desk.asked, inside.desk.used) == (0, set())


async def test_the_page_shows_what_would_change_and_forbids_all_else(
    inside: Inside, http: httpx.AsyncClient
) -> None:
    answer = await http.get(f"{PATH}/{inside.token()}")
    for said in (
        "replicas 1 -&gt; 3",
        "2 more pods",
        "Decide as ada",
        "1 of 3 pods",
        'value="deny"',
    ):
        assert said in answer.text
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    assert answer.headers["referrer-policy"] == "no-referrer"
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["x-robots-tag"] == "noindex, nofollow"
    assert "<script" not in answer.text


async def test_text_of_a_cluster_is_text_on_the_page(
    inside: Inside, http: httpx.AsyncClient
) -> None:
    row = inside.desk.row
    hostile = row.draft.model_copy(update={"title": "<script>x</script>", "why": "<img src=x>"})
    inside.desk.row = replace(row, draft=hostile)
    page = (await http.get(f"{PATH}/{inside.token()}")).text
    assert "<script" not in page
    assert "<img" not in page


@pytest.mark.parametrize("verdict", Verdict)
async def test_the_form_decides_once_as_the_person_of_the_address(
    verdict: Verdict, inside: Inside, http: httpx.AsyncClient
) -> None:
    answers = [await decided(http, inside.token(), verdict, comment="so be it") for _ in range(3)]
    assert [answer.status_code for answer in answers] == [200, 409, 409]
    (taken,) = inside.desk.taken
    assert (taken.who, taken.verdict, taken.via) == ("ada", verdict, "email")
    assert (taken.change, taken.digest) == (inside.desk.row.id, inside.desk.row.digest)
    assert taken.comment == "so be it"
    assert f"You said {verdict}" in answers[0].text
    assert "by ada already" in answers[1].text


async def test_a_name_that_has_to_be_typed_decides_only_when_it_is_right(
    inside: Inside, http: httpx.AsyncClient
) -> None:
    inside.needed = Needed(2, "web", ("sre",))
    for typed in ("", "wrong", "WEB"):
        answer = await decided(http, inside.token(), typed=typed)
        assert answer.status_code == 422
        assert "type its name exactly" in answer.text
    assert (inside.desk.asked, inside.desk.used) == (0, set())
    assert (await decided(http, inside.token(), typed=" web ")).status_code == 200
    assert inside.desk.taken[0].typed == "web"


async def test_what_needs_a_typed_name_is_denied_without(
    inside: Inside, http: httpx.AsyncClient
) -> None:
    inside.needed = Needed(2, "web", ("sre",))
    assert (await decided(http, inside.token(), "deny")).status_code == 200


def flipped(token: str, place: int) -> str:
    return token[:place] + ("A" if token[place] != "A" else "B") + token[place + 1 :]


def recoded(token: str) -> str:
    """The same bytes, spelled otherwise: bits that base64 does not use are set."""
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    return token[:-1] + alphabet[alphabet.index(token[-1]) | 1]


def signed_as_something_else(inside: Inside) -> str:
    """The same payload, signed with the same key for another use."""
    payload = inside.token().split(".")[1]
    data = urlsafe_b64decode(payload + "=" * (-len(payload) % 4))
    mac = hmac.new(KEY, data, sha256).digest()
    return f"1.{payload}.{urlsafe_b64encode(mac).rstrip(b'=').decode()}"


@pytest.mark.parametrize(
    "make",
    [
        lambda inside: flipped(inside.token(), 10),
        lambda inside: flipped(inside.token(), -10),
        lambda inside: recoded(inside.token()),
        lambda inside: inside.token() + "=",
        lambda inside: inside.token() + ".",
        lambda inside: inside.token()[:-1],
        lambda inside: inside.token().replace("1.", "2.", 1),
        lambda inside: inside.token().replace("1.", "01.", 1),
        lambda inside: "1.." + inside.token().split(".")[2],
        lambda inside: "1." + "A" * 801 + "." + "A" * 43,
        lambda inside: "1.A." + "A" * 43,
        lambda inside: "x",
        lambda inside: "1." + inside.token().split(".")[1] + ".",
        lambda inside: token_of(Named(*read(inside.token(), [KEY], NOW)), OTHER),
        signed_as_something_else,
    ],
)
@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_a_token_that_we_did_not_spell_so_is_nothing(
    make: Any, method: str, inside: Inside, http: httpx.AsyncClient
) -> None:
    answer = await http.request(method, f"{PATH}/{make(inside)}", data={"verdict": "approve"})
    assert answer.status_code == 403
    assert (inside.desk.asked, inside.desk.used) == (0, set())


def late(inside: Inside) -> None:
    inside.clock.at = NOW + timedelta(hours=4)


def changed(inside: Inside) -> None:
    inside.desk.row = replace(inside.desk.row, digest="0" * 64)


def gone(inside: Inside) -> None:
    inside.desk.row = replace(inside.desk.row, id="c-" + "9" * 20)


def ended(inside: Inside) -> None:
    inside.desk.row = replace(inside.desk.row, state=ChangeState.EXPIRED)


def rekeyed(inside: Inside) -> None:
    inside.keys = [OTHER]


def keyless(inside: Inside) -> None:
    inside.keys = []


def away(inside: Inside) -> None:
    inside.away = True


@pytest.mark.parametrize(
    ("happen", "status", "said"),
    [
        (late, 410, "could be used until"),
        (changed, 409, "not what would be done by now"),
        (gone, 404, "not known"),
        (ended, 409, "is expired by now"),
        (rekeyed, 403, "not made by dogwatch"),
        (keyless, 403, "not made by dogwatch"),
        (away, 503, "away"),
    ],
)
@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_a_true_link_that_is_out_of_date_decides_nothing(
    happen: Any, status: int, said: str, method: str, inside: Inside, http: httpx.AsyncClient
) -> None:
    token = inside.token()
    happen(inside)
    answer = await http.request(method, f"{PATH}/{token}", data={"verdict": "approve"})
    assert answer.status_code == status
    assert said in answer.text
    assert (inside.desk.asked, inside.desk.used) == (0, set())


@pytest.mark.parametrize(("risk", "status"), [(Risk.LOCKOUT, 200), (Risk.DISRUPTIVE, 409)])
async def test_only_what_may_lock_out_is_decided_once_more_while_it_is_verified(
    risk: Risk, status: int, inside: Inside, http: httpx.AsyncClient
) -> None:
    change = inside.desk.row.change
    assert change is not None
    inside.desk.row = replace(
        inside.desk.row,
        change=change.model_copy(update={"risk": risk}),
        state=ChangeState.VERIFYING,
        verify_from=NOW,
    )
    assert (await decided(http, inside.token())).status_code == status
    assert inside.desk.asked == (status == 200)


async def test_an_address_that_left_the_policy_decides_nothing(
    inside: Inside, http: httpx.AsyncClient
) -> None:
    answer = await decided(http, inside.token("eve@example.com"))
    assert answer.status_code == 403
    assert (inside.desk.asked, inside.desk.used) == (0, set())


@pytest.mark.parametrize(
    ("content", "kind", "status"),
    [
        (b"verdict=approve", "application/json", 415),
        (b"verdict=approve", "text/plain", 415),
        (b"verdict=approve&verdict=deny", "application/x-www-form-urlencoded", 400),
        (b"verdict=maybe", "application/x-www-form-urlencoded", 400),
        (b"verdict=APPROVE", "application/x-www-form-urlencoded", 400),
        (b"", "application/x-www-form-urlencoded", 400),
        (b"verdict=%ff%fe", "application/x-www-form-urlencoded", 400),
        (b"verdict=approve&comment=%00", "application/x-www-form-urlencoded", 400),
        (b"a=1&" * 9 + b"verdict=approve", "application/x-www-form-urlencoded", 400),
        (b"verdict=approve&comment=" + b"x" * (10 << 20), "application/x-www-form-urlencoded", 413),
    ],
)
async def test_a_form_that_is_none_of_ours_decides_nothing(
    content: bytes, kind: str, status: int, inside: Inside, http: httpx.AsyncClient
) -> None:
    path = f"{PATH}/{inside.token()}"
    answer = await http.post(path, content=content, headers={"content-type": kind})
    assert answer.status_code == status
    assert (inside.desk.asked, inside.desk.used) == (0, set())


async def test_a_decision_that_is_refused_is_told(inside: Inside, http: httpx.AsyncClient) -> None:
    row = inside.desk.row
    inside.desk.taken.append(Taken("bob", row.id, row.digest, Verdict.DENY, "web"))
    answer = await decided(http, inside.token())
    assert answer.status_code == 409
    assert "by bob already" in answer.text


async def test_a_decision_that_the_store_did_not_take_leaves_the_link(
    inside: Inside, http: httpx.AsyncClient
) -> None:
    inside.desk.fault = StoreError("the store is away")
    assert (await decided(http, inside.token())).status_code == 503
    inside.desk.fault = None
    assert (await decided(http, inside.token())).status_code == 200
    assert len(inside.desk.taken) == 1


async def test_the_link_of_the_approval_confirms_nothing(
    inside: Inside, http: httpx.AsyncClient
) -> None:
    asked_before = inside.token()
    change = inside.desk.row.change
    assert change is not None
    risky = change.model_copy(update={"risk": Risk.LOCKOUT})
    inside.desk.row = replace(
        inside.desk.row, change=risky, state=ChangeState.VERIFYING, verify_from=NOW
    )
    answer = await decided(http, asked_before)
    assert answer.status_code == 409
    assert "for the approval" in answer.text
    assert inside.desk.asked == 0


def test_a_new_key_signs_and_the_old_one_still_reads() -> None:
    named = Named("c-1", "d", ADA.email, int(NOW.timestamp()) + 60)
    old = token_of(named, OTHER)
    assert read(old, [KEY, OTHER], NOW) == named
    with pytest.raises(Refusal):
        read(old, [KEY], NOW)


@pytest.mark.parametrize(
    ("keys", "url", "known"),
    [([KEY], "", True), ([], URL, True), ([b"short"], URL, True), ([KEY], URL, False)],
)
def test_there_is_no_link_without_a_key_an_address_of_ours_and_a_user(
    keys: list[bytes], url: str, known: bool
) -> None:
    assert not signer(lambda: keys, url, lambda _: known)(Inside().ask, ADA.email)


def test_a_link_is_the_same_each_time_and_another_for_each_person(inside: Inside) -> None:
    assert inside.token() == inside.token()
    assert inside.token() != inside.token("bob@example.com")
    assert read(inside.token(), [KEY], NOW).address == ADA.email
