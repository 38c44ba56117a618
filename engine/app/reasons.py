"""Why something is in quarantine, and what would have been allowed."""

from collections.abc import Mapping
from typing import Final

from engine.app.door import AHEAD
from engine.bus.codec import BATCH_LIMIT, RECORD_LIMIT
from engine.bus.element import ELEMENT_LIMIT, MAX_DEPTH, MAX_YEAR, MIN_YEAR, Reason
from engine.bus.split import MAX_ELEMENTS
from engine.model.signal import SECOND_STAGE

ALLOWED: Final[Mapping[str, str]] = {
    Reason.DAMAGED: "a record as it was written: disk and file keep every byte",
    Reason.TOO_LARGE: f"{ELEMENT_LIMIT} bytes an event, {RECORD_LIMIT} bytes and {MAX_ELEMENTS} "
    f"events a record (dogwatch itself writes {BATCH_LIMIT})",
    Reason.TOO_DEEP: f"{MAX_DEPTH} levels of objects and lists",
    Reason.TRUNCATED: "an array with its closing bracket",
    Reason.BAD_UTF8: "UTF-8",
    Reason.BAD_JSON: "JSON (RFC 8259), and nothing after it",
    Reason.NOT_A_BATCH: "a CloudEvent, or an array of them",
    Reason.NOT_AN_EVENT: "a JSON object with the attributes of CloudEvents 1.0",
    Reason.DUPLICATE_KEY: "each key once in an object",
    Reason.NOT_A_NUMBER: "numbers as JSON knows them; null for no value",
    Reason.NUMBER_RANGE: "integers of 64 bits, and what a double can hold",
    Reason.MISSING_ATTRIBUTE: "the attributes id, source, type and time",
    Reason.BAD_ATTRIBUTE: "attributes that are texts, not empty, without a zero character",
    Reason.SPECVERSION: "specversion 1.0",
    Reason.BAD_TIME: f"RFC 3339 with a zone, years {MIN_YEAR} to {MAX_YEAR}",
    Reason.BAD_DATA: "a JSON object in data; no data_base64",
    "type": f"any type but those of dogwatch itself: {', '.join(sorted(SECOND_STAGE))}",
    "source": "any source that does not begin with watchers/ or dogwatch/",
    "cluster": "the extension 'cluster', a text; of a receiver with 'clusters' one of these",
    "heartbeat": "heartbeats of clusters that are known by what is posted only",
    "future": f"times up to {AHEAD.seconds} s ahead of the clock of dogwatch",
    "bad-form": "what the receiver reads, field by field: see docs/receivers.md",
    "too-many": "about 10,000 nodes of a cluster, 4,096 devices of a node with those that ended",
    "version": "version 4 of the webhook of Alertmanager; lists of audit.k8s.io/v1",
    "content-type": "the three forms of CloudEvents, with JSON in them",
    "misplaced": "signals in the partition that their cluster was given at first; "
    "`dogwatch quarantine replay` puts them there",
}
"""Reason -> what is allowed instead, for a person."""
