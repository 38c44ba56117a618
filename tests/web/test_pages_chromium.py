"""The pages in a real browser: logged in, decided by a click, readable and by keyboard alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from engine.model.change import Risk
from engine.model.change_row import Freeze, Verdict
from engine.model.change_state import ChangeState
from tests.testbeds.browser import Browser, start_browser
from tests.web.people import ALICE_TOKEN, BOB_TOKEN, Inside
from tests.web.served import PICTURES, an_app, serving
from tests.web.shown import NOON, a_row

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.real
WIDTHS = (360, 1280)
LOOKS = {
    "overview": "/",
    "missions": "/missions",
    "mission": "/missions/m-1",
    "approvals": "/approvals",
    "change": "/changes/c-1",
    "rules": "/rules",
    "rule": "/rules/crash-loop",
    "sinks": "/sinks",
    "clusters": "/clusters",
    "audit": "/audit",
    "not-found": "/changes/nope",
}
# What a page does wrong, as sentences: none is right. Colours are compared as WCAG 2.2 says.
FAULTS = """(() => {
  const faults = [];
  const all = (what) => [...document.querySelectorAll(what)];
  const seen = (one) => one.getClientRects().length > 0 && !one.closest('.hidden, .skip');
  if (document.documentElement.lang !== 'en') faults.push('no language');
  if (!document.title.trim()) faults.push('no title');
  if (all('main').length !== 1) faults.push('not one main');
  if (all('h1').length !== 1) faults.push('not one h1');
  let before = 1;
  for (const one of all('h1,h2,h3,h4')) {
    const level = Number(one.tagName[1]);
    if (level > before + 1) faults.push('heading skips a level: ' + one.textContent);
    before = level;
  }
  const ids = all('[id]').map((one) => one.id);
  if (new Set(ids).size !== ids.length) faults.push('an id twice');
  for (const one of all('input:not([type=hidden]),textarea,select'))
    if (!one.labels.length) faults.push('no label: ' + one.name);
  for (const one of all('button,a'))
    if (!one.textContent.trim()) faults.push('no name: ' + one.outerHTML);
  for (const one of all('button,input:not([type=hidden]),select,textarea,nav a')) {
    const at = one.getBoundingClientRect();
    if (at.height < 24 || at.width < 24) faults.push('small target: ' + one.outerHTML);
  }
  if (document.documentElement.scrollWidth > window.innerWidth)
    faults.push('wider than the window: ' + document.documentElement.scrollWidth);
  for (const one of all('*'))
    if (one.scrollWidth > one.clientWidth + 1 && getComputedStyle(one).overflowX === 'auto'
        && one.tabIndex < 0) faults.push('scrolls, and no key gets there: ' + one.outerHTML);
  const bright = (text) => {
    const parts = text.match(/[0-9.]+/g).map(Number);
    const [r, g, b] = parts.slice(0, 3).map((part) => part / 255)
      .map((part) => part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4);
    return {light: 0.2126 * r + 0.7152 * g + 0.0722 * b, clear: parts[3] === 0};
  };
  for (const one of all('body *')) {
    const own = [...one.childNodes].some((part) => part.nodeType === 3 && part.data.trim());
    if (!own || !seen(one)) continue;
    const front = bright(getComputedStyle(one).color).light;
    let ground = one, back;
    do { back = bright(getComputedStyle(ground).backgroundColor); ground = ground.parentElement; }
    while (back.clear && ground);
    const ground_light = back.clear ? 1 : back.light;
    const [high, low] = [Math.max(front, ground_light), Math.min(front, ground_light)];
    const contrast = (high + 0.05) / (low + 0.05);
    if (contrast < 4.5)
      faults.push('contrast ' + contrast.toFixed(2) + ': ' + one.outerHTML.slice(0, 90));
  }
  return faults;
})()"""


@pytest.fixture(scope="module")
def browser(chromium: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with start_browser(chromium, tmp_path_factory.mktemp("chromium")) as started:
        yield started


@pytest.fixture
def inside() -> Inside:
    return Inside()


@pytest.fixture
def url(inside: Inside, browser: Browser) -> Iterator[str]:
    browser.call("Network.clearBrowserCookies")
    browser.size(1280)
    with serving(an_app(inside.people())) as address:
        yield address


def log_in(browser: Browser, url: str, token: str = ALICE_TOKEN, path: str = "/") -> None:
    browser.open(url + path)
    browser.type(token)  # the field has the focus
    browser.click("main button")


def here(browser: Browser) -> str:
    return str(browser.run("location.pathname"))


def text(browser: Browser, of: str = "main") -> str:
    return str(browser.run(f"document.querySelector('{of}').innerText"))


def test_a_change_is_looked_at_and_approved_by_a_click(
    browser: Browser, url: str, inside: Inside
) -> None:
    log_in(browser, url, path="/changes/c-1")
    assert here(browser) == "/changes/c-1"
    assert "web:1.4.0" in text(browser, ".add")
    assert "3 pods of shop/web" in text(browser)
    browser.click("button[value=approve]")
    assert here(browser) == "/changes/c-1"
    (decision,) = inside.row.decisions
    assert (decision.who, decision.verdict, decision.via) == ("alice", Verdict.APPROVE, "web")
    assert decision.digest == inside.row.digest
    assert "You said approve" in text(browser, "[role=status]")
    assert not browser.run("document.querySelector('button[value=approve]')")
    inside.row = a_row(state=ChangeState.VERIFIED)
    browser.open(f"{url}/changes/c-1")
    assert "verified" in text(browser)


def test_the_same_goes_without_a_mouse(browser: Browser, url: str, inside: Inside) -> None:
    browser.open(f"{url}/changes/c-1")
    browser.type(ALICE_TOKEN)
    browser.run("window.left = true")
    browser.press("Enter")
    browser.loaded()
    for _ in range(60):
        browser.press("Tab")
        ring = browser.run("getComputedStyle(document.activeElement).outlineStyle")
        assert ring == "solid", "the focus is not to be seen"
        if browser.run("document.activeElement.value") == "deny":
            break
    browser.run("window.left = true")
    browser.press("Enter")
    browser.loaded()
    assert [one.verdict for one in inside.row.decisions] == [Verdict.DENY]


def test_a_late_click_is_told_the_state_as_it_is(
    browser: Browser, url: str, inside: Inside
) -> None:
    log_in(browser, url, path="/changes/c-1")
    inside.row = a_row(state=ChangeState.EXPIRED)
    browser.click("button[value=approve]")
    assert "the change is expired already" in text(browser, "[role=alert]")
    assert inside.row.decisions == ()


def test_what_is_destructive_asks_for_the_name(browser: Browser, url: str, inside: Inside) -> None:
    inside.row = a_row(Risk.DESTRUCTIVE)
    log_in(browser, url, path="/changes/c-1")
    browser.click("button[value=approve]")
    assert "the name was not typed" in text(browser, "[role=alert]")
    browser.run("document.querySelector('#typed').focus()")
    browser.type("web")
    browser.click("button[value=approve]")
    assert inside.row.state is ChangeState.APPROVED


def test_who_may_not_decide_is_told_why_and_has_no_button(browser: Browser, url: str) -> None:
    log_in(browser, url, BOB_TOKEN, "/changes/c-1")
    assert "bob is in none of the groups sre" in text(browser)
    assert not browser.run("document.querySelector('[name=verdict]')")


def test_a_link_from_another_site_finds_the_session(browser: Browser, url: str) -> None:
    log_in(browser, url)
    browser.open(f"data:text/html,<a href='{url}/changes/c-1'>go</a>")
    browser.click("a")
    browser.until("location.pathname == '/changes/c-1' && !!document.querySelector('#decide')")


def test_text_of_a_cluster_is_text(browser: Browser, url: str) -> None:
    log_in(browser, url, path="/changes/c-1")
    assert "<script>alert(1)</script>" in text(browser)
    for path in LOOKS.values():
        browser.open(url + path)
        assert browser.run("document.scripts.length") == 0
        assert browser.run("performance.getEntriesByType('resource').length") == 1
    assert "\u202e" not in text(browser)


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("width", WIDTHS)
def test_every_page_is_for_everybody(
    browser: Browser, url: str, inside: Inside, width: int, *, dark: bool
) -> None:
    inside.frozen = [Freeze("all", "alice", "release of the shop", NOON)]
    browser.size(width, dark=dark)
    browser.open(f"{url}/login")
    faults: dict[str, Any] = {"login": browser.run(FAULTS)}
    shade = "dark" if dark else "light"
    browser.picture(PICTURES / f"login-{width}-{shade}.png")
    log_in(browser, url)
    for name, path in LOOKS.items():
        browser.open(url + path)
        faults[name] = browser.run(FAULTS)
        browser.picture(PICTURES / f"{name}-{width}-{shade}.png")
    assert {name: found for name, found in faults.items() if found} == {}
