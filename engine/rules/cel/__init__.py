"""CEL: compile(source) -> Program, whose evaluate(bindings) gives the value.

source -> lexer -> parser -> check (types, against a schema) -> emit (a native function).
What it does not have is refused by `compile`: messages of protocol buffers, optional values.
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
    "Program",
    "StructType",
    "Type",
    "compile",
]
