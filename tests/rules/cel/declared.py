"""A schema for the tests of the checker: a signal as a rule sees it."""

from engine.rules.cel import (
    BOOL,
    DOUBLE,
    DYN,
    INT,
    STRING,
    TIMESTAMP,
    ListType,
    MapType,
    StructType,
    Type,
)

DATA = StructType("data", {"restarts": INT, "reason": STRING, "ready": BOOL, "percent": DOUBLE})
SIGNAL = StructType(
    "signal",
    {
        "namespace": STRING,
        "time": TIMESTAMP,
        "data": DATA,
        "labels": MapType(STRING, STRING),
        "object": StructType("object", {"kind": STRING}, open=True),
        "waiting": ListType(STRING),
    },
)
SCHEMA: dict[str, Type] = {"signal": SIGNAL, "now": TIMESTAMP, "params": DYN}
