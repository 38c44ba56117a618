"""Selectors of labels and nodes: the operators of Kubernetes, total over any input."""

from collections.abc import Mapping
from typing import Any

from engine.analysis.field import labels, mapping, mappings, name_of, text, texts


def selects(selector: Any, wanted: Mapping[str, str]) -> bool:
    """Whether a label selector (matchLabels, matchExpressions) takes the labels `wanted`.

    An empty selector takes all; a requirement that is no requirement takes none.
    """
    exact = labels(selector, "matchLabels")
    return exact.items() <= wanted.items() and all(
        requires(one, wanted) for one in mappings(selector, "matchExpressions")
    )


def requires(requirement: Any, wanted: Mapping[str, str]) -> bool:
    """Whether one requirement {key, operator, values} holds for the labels `wanted`."""
    key, operator = text(requirement, "key"), text(requirement, "operator")
    values, found = texts(requirement, "values"), wanted.get(key)
    known = {
        "In": found in values,
        "NotIn": found not in values,
        "Exists": found is not None,
        "DoesNotExist": found is None,
    }
    if operator in {"Gt", "Lt"}:
        return _compares(operator, found, values)
    return known.get(operator, False)


def node_term(term: Any, node: Any) -> bool:
    """Whether one node selector term takes `node`; a term without requirements takes none."""
    expressions, fields = mappings(term, "matchExpressions"), mappings(term, "matchFields")
    if not expressions and not fields:
        return False
    named = {"metadata.name": name_of(node)}
    carried = labels(node, "metadata", "labels")
    return all(requires(one, carried) for one in expressions) and all(
        requires(one, named) for one in fields
    )


def wants_node(pod_spec: Any, node: Any) -> bool:
    """Whether nodeSelector and required node affinity of a pod's spec take `node`."""
    if not labels(pod_spec, "nodeSelector").items() <= labels(node, "metadata", "labels").items():
        return False
    required = mapping(
        pod_spec, "affinity", "nodeAffinity", "requiredDuringSchedulingIgnoredDuringExecution"
    )
    terms = mappings(required, "nodeSelectorTerms")
    return not required or any(node_term(term, node) for term in terms)


def tolerates(pod_spec: Any, taint: Any) -> bool:
    """Whether a toleration of the pod's spec answers `taint` {key, value, effect}."""
    return any(_answers(one, taint) for one in mappings(pod_spec, "tolerations"))


def _answers(toleration: Any, taint: Any) -> bool:
    effect, key = text(toleration, "effect"), text(toleration, "key")
    if effect and effect != text(taint, "effect"):
        return False
    if text(toleration, "operator") == "Exists":
        return not key or key == text(taint, "key")
    return key == text(taint, "key") and text(toleration, "value") == text(taint, "value")


def _compares(operator: str, found: str | None, values: list[str]) -> bool:
    try:
        have, limit = int(found or ""), int(values[0])
    except (ValueError, IndexError):
        return False
    return have > limit if operator == "Gt" else have < limit
