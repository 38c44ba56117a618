"""The CEL project's own engine, brought to the shape of ours: a value, or FAILED."""

import ctypes
import re
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from cel_expr_python import cel

from engine.rules import cel as ours
from tests.rules.cel.conformance.case import REFUSED as REFUSES
from tests.rules.cel.conformance.case import Fails
from tests.rules.cel.differences import FAILED, KNOWN, REFUSED, UNSUPPORTED
from tests.rules.cel.values import NAMES, TYPED

_Made = TypeVar("_Made")
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
    "optional_type<DYN>": "optional_type",
}
_EXTENSIONS = (
    *("strings", "math", "bindings", "encoders", "lists", "optional", "sets", "regex"),
    "two-var-comprehensions",
)
_DECLARED = {
    "int": cel.Type.INT,
    "double": cel.Type.DOUBLE,
    "bool": cel.Type.BOOL,
    "string": cel.Type.STRING,
    "bytes": cel.Type.BYTES,
    "google.protobuf.Timestamp": cel.Type.TIMESTAMP,
    "google.protobuf.Duration": cel.Type.DURATION,
    "dyn": cel.Type.DYN,
}


def _declared(of: ours.Type) -> cel.Type:
    if isinstance(of, ours.ListType):
        return cel.Type.List(_declared(of.elem))
    if isinstance(of, ours.MapType):
        return cel.Type.Map(_declared(of.key), _declared(of.value))
    return _DECLARED[str(of)]


def _environment(variables: Mapping[str, cel.Type]) -> cel.Env:
    lines = [f"  - {{name: {name}, version: latest}}" for name in _EXTENSIONS]
    config = cel.NewEnvConfigFromYaml("\n".join(["name: all", "extensions:", *lines]))
    return cel.NewEnv(config=config, variables=variables)


_DYNAMIC = _environment(dict.fromkeys(NAMES, cel.Type.DYN))
_TYPED = _environment({name: _declared(of) for name, of in TYPED.items()})


class Comparison:
    """One expression, compiled once by both sides, to be evaluated for several values.

    Args:
        source: the expression.
        typed: whether the variables are those of TYPED, declared to both sides, or those of
            NAMES, which are dynamic.
    """

    def __init__(self, source: str, *, typed: bool = False) -> None:
        self.source = source
        self.refusal = ""
        self._program: ours.Program | None = None
        try:
            self._program = ours.compile(source, schema=TYPED if typed else None)
        except ours.CelError as error:
            self.refusal = error.message
        env = _TYPED if typed else _DYNAMIC
        self._strict = _compiled(lambda: env.compile(source))
        self._loose = _compiled(lambda: env.compile(source, disable_check=True))

    def ours(self, bindings: Mapping[str, Any]) -> Any:
        """Return the value that our compiler gives, FAILED, REFUSED or UNSUPPORTED."""
        if self._program is None:
            return REFUSED
        try:
            return shape(self._program.evaluate(bindings))
        except ours.EvaluationError as error:
            return UNSUPPORTED if error.code == "unsupported" else FAILED

    def theirs(self, bindings: Mapping[str, Any]) -> Any:
        """Return the value that the reference gives, FAILED, or REFUSED when it does not compile.

        What only its check refuses (it takes `1 == 1.0` for a mistake) runs without the check.
        """
        if self._strict is None and self._loose is None:
            return REFUSED
        found = self._evaluated(bindings)
        return FAILED if isinstance(found, Exception) else shape(found)

    def fails(self, bindings: Mapping[str, Any], wanted: Fails) -> bool:
        """Tell whether the reference fails as `wanted`: refuses, or ends with such a message."""
        if self._strict is None and wanted == REFUSES:
            return True
        found = self._evaluated(bindings)
        return isinstance(found, Exception) and bool(re.search(wanted.words, str(found)))

    def _evaluated(self, bindings: Mapping[str, Any]) -> Any:
        """Return the plain value of the reference, or its error."""
        try:
            expression: Any = self._strict or self._loose
            found = expression.eval(data=bindings)
            plain = _kept(found.plain_value())
        except Exception as error:  # noqa: BLE001 (its errors have no common class)
            return error
        return ValueError(plain) if found.type().name() == "ERROR" else plain

    def agrees(self, bindings: Mapping[str, Any]) -> bool:
        """Tell whether both give the same value, or both none.

        What we refuse must be refused by the check of the reference too, or have no value.
        """
        found, wanted = self.ours(bindings), self.theirs(bindings)
        if found == wanted or {found, wanted} <= {FAILED, REFUSED}:
            return True
        if found == REFUSED and self._strict is None:
            return True
        return any(known.explains(self.source, self.refusal or found, wanted) for known in KNOWN)


def _kept(value: Any) -> Any:
    """Return a value of the reference, which forgets to count its references to None."""
    if value is None:
        ctypes.pythonapi.Py_IncRef(ctypes.py_object(None))
    elif isinstance(value, list | dict):
        for part in value.values() if isinstance(value, dict) else value:
            _kept(part)
    return value


def _compiled(make: Callable[[], _Made]) -> _Made | None:
    """Return what `make` gives, None when the reference refuses the expression."""
    try:
        return make()
    except Exception:  # noqa: BLE001 (the errors of the reference have no common class)
        return None


def shape(value: Any) -> Any:
    """Return what tells values apart where Python does not: 1, 1.0 and true.

    NaN is itself, whatever its sign, which depends on the processor.
    """
    if isinstance(value, list):
        return ("list", *map(shape, value))
    if isinstance(value, dict):
        return ("map", *sorted((repr(shape(k)), shape(v)) for k, v in value.items()))
    if isinstance(value, bytearray):
        return shape(bytes(value))
    if isinstance(value, cel.Type):
        return shape(_TYPES[value.name()])
    return (type(value).__name__, repr(value).replace("-nan", "nan"))
