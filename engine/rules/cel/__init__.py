"""CEL: compile(source) -> Program, whose evaluate(bindings) gives the value.

source -> lexer -> parser -> check (types, against a schema) -> emit (a native function).

The whole language, with optional values and the extensions strings, math, lists, sets, regex,
encoders, bindings and macros of two variables; only messages of protocol buffers can not be built,
which `compile` says. Bounds: a source of 20,000 characters (MAX_SOURCE), 400 operations and names
(MAX_NODES; eight literals count as one), 40 brackets in one another, 6 macros in one another; an
evaluation that costs more than its budget ends with the code `cost`, within 100 ms.
"""

from engine.rules.cel.errors import CelError, EvaluationError
from engine.rules.cel.guards import Guard
from engine.rules.cel.program import Program, compile  # noqa: A004 (named in the specification)
from engine.rules.cel.types import (
    BOOL,
    BYTES,
    DOUBLE,
    DURATION,
    DYN,
    INT,
    NULL,
    STRING,
    TIMESTAMP,
    UINT,
    ListType,
    MapType,
    OptionalType,
    StructType,
    Type,
)

__all__ = [
    "BOOL",
    "BYTES",
    "DOUBLE",
    "DURATION",
    "DYN",
    "INT",
    "NULL",
    "STRING",
    "TIMESTAMP",
    "UINT",
    "CelError",
    "EvaluationError",
    "Guard",
    "ListType",
    "MapType",
    "OptionalType",
    "Program",
    "StructType",
    "Type",
    "compile",
]
