"""YAML of strangers: whatever it holds, all that is raised is a ValueError with its place. Pure.

PyYAML's own constructors raise what they happen to meet: KeyError for `!!bool maybe`, IndexError
for `!!int ''`, AttributeError for `!!timestamp x`.
"""

from typing import Any, Final

import yaml

_MEETS: Final = (LookupError, AttributeError, TypeError, ArithmeticError, ValueError)
"""What the constructors of scalars raise for a text that is none of theirs."""


class SafeLoader(yaml.CSafeLoader):
    """Plain values only; a value that its tag does not allow is a YAMLError too."""

    def construct_object(self, node: Any, deep: bool = False) -> Any:  # noqa: FBT001, FBT002 - PyYAML's
        """Return the value of `node`. Raises YAMLError."""
        try:
            return super().construct_object(node, deep)
        except _MEETS as error:
            tag = str(node.tag).rpartition(":")[2]
            raise yaml.constructor.ConstructorError(
                None, None, f"a value that is no {tag}", node.start_mark
            ) from error


def _unknown(_loader: SafeLoader, node: yaml.Node) -> Any:
    # `password: !abc` is a tag: it may be a value that was meant to be text.
    told = "could not determine a constructor for its tag"
    raise yaml.constructor.ConstructorError(None, None, told, node.start_mark)


SafeLoader.add_constructor(None, _unknown)


def load(raw: bytes | str) -> Any:
    """Return the one document in `raw`, None where there is none.

    Raises:
        ValueError: it is no YAML; the message has the place, and none of the values.
    """
    try:
        loader = SafeLoader(raw)
        try:
            return loader.get_single_data()
        finally:
            loader.dispose()
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        raise ValueError(fault(error)) from error


def fault(error: Exception) -> str:
    """Return a sentence on what a loader raised, with the place where that is known."""
    if isinstance(error, yaml.MarkedYAMLError) and error.problem_mark is not None:
        mark = error.problem_mark
        return f"not YAML at {mark.line + 1}:{mark.column + 1}: {error.problem}"
    return "not YAML: nested too deeply" if isinstance(error, RecursionError) else "not YAML"
