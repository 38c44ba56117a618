"""What dogwatch changed in a test cluster, by the API server's own account."""

from __future__ import annotations

import json
import secrets
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

from tests.testbeds.manifests import an_object

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from tests.testbeds.kube import Kube

ACCOUNTS = "system:serviceaccount:dogwatch:"
USER_AGENT = "dogwatch"
# Accounts of dogwatch that never change anything; the others are of mission kinds.
_NEVER = frozenset(f"{ACCOUNTS}dogwatch-{name}" for name in ("reader", "writer", "proposer"))
_READS = frozenset({"get", "list", "watch"})

Event = dict[str, Any]


class UnapprovedError(Exception):
    """Dogwatch changed something that no test let it change; the text says what and who."""


class Audit:
    """The audit log of one API server.

    A request of dogwatch that changes something, and is no dry run, must be of the account of a
    mission kind, and in a place that a test approved: a namespace, or the name of an object
    without one. A request is of dogwatch if its program says so, or its account is one of
    dogwatch's and the server did what it asked.
    """

    def __init__(self, log: Path) -> None:
        self._log = log
        self._read = 0
        self._approved: set[str] = set()

    def approve(self, place: str) -> None:
        """Let mission kinds change what is in a namespace, or the node of that name."""
        self._approved.add(place)

    def skip(self) -> None:
        """Judge nothing of what was logged up to now."""
        for _ in self._news():
            pass

    def check(self) -> None:
        """Judge what was logged since the last time.

        Raises:
            UnapprovedError: something was changed without approval.
        """
        faults = [fault for event in self._news() if (fault := self._fault(event))]
        if faults:
            raise UnapprovedError("\n".join(faults))

    def _news(self) -> Iterator[Event]:
        if not self._log.exists():
            return
        with self._log.open("rb") as file:
            file.seek(self._read)
            for line in file:
                if not line.endswith(b"\n"):
                    return  # it is being written
                self._read += len(line)
                yield json.loads(line)

    def _fault(self, event: Event) -> str:
        user = _user(event)
        if not _is_ours(event, user) or not _changes(event):
            return ""
        if not user.startswith(ACCOUNTS) or user in _NEVER:
            return f"{_said(event, user)}: this identity may change nothing"
        place = _place(event)
        if place not in self._approved:
            return f"{_said(event, user)}: no test called kube.audit.approve({place!r})"
        return ""


def changes(kube: Kube, place: str) -> list[str]:
    """Return what dogwatch tried to change in a namespace, or of a node, in order.

    One `VERB RESOURCE[/SUBRESOURCE]/NAME CODE` for each request that was no dry run.
    """
    ours = [event for event in logged(kube) if _is_ours(event, _user(event))]
    return [_brief(event) for event in ours if _changes(event) and _place(event) == place]


def logged(kube: Kube) -> list[Event]:
    """Return all that the log tells of what was answered so far: the server answers first."""
    log, mark = kube.site.audit_log, f"mark-{secrets.token_hex(4)}"
    kube.create(an_object("ConfigMap", mark, kube.namespace()))
    kube.until(lambda: mark in log.read_text(), "the log")
    lines = log.read_text().splitlines(keepends=True)
    return [json.loads(line) for line in lines if line.endswith("\n")]


def _user(event: Event) -> str:
    """Return who the request acted as."""
    user: Mapping[str, Any] = event.get("impersonatedUser") or event["user"]
    return str(user.get("username", ""))


def _is_ours(event: Event, user: str) -> bool:
    if event.get("userAgent", "").partition("/")[0] == USER_AGENT:
        return True
    return user.startswith(ACCOUNTS) and event.get("responseStatus", {}).get("code", 0) < 400


def _changes(event: Event) -> bool:
    if event["verb"] in _READS:
        return False
    if event["verb"].startswith("delete") and event.get("requestObject"):
        # The server looks at the options in the body, and then at none in the query.
        return bool(event["requestObject"].get("dryRun") != ["All"])
    return parse_qs(urlsplit(event["requestURI"]).query).get("dryRun") != ["All"]


def _place(event: Event) -> str:
    ref = event.get("objectRef", {})
    return str(ref.get("namespace") or ref.get("name") or "")


def _brief(event: Event) -> str:
    ref = event["objectRef"]
    parts = [ref["resource"], *([ref["subresource"]] if "subresource" in ref else [])]
    code = event.get("responseStatus", {}).get("code", 0)
    return f"{event['verb']} {'/'.join([*parts, ref.get('name', '')])} {code}"


def _said(event: Event, user: str) -> str:
    code = event.get("responseStatus", {}).get("code", "no answer")
    at = event["requestReceivedTimestamp"]
    return f"{at} {user} {event['verb']} {event['requestURI']} ({code})"
