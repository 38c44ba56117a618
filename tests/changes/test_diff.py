"""The diff: what an approver sees is what differs, and nothing in it can mislead."""

import json
import unicodedata
from copy import deepcopy
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from engine.changes.diff import LINES_SHOWN, SENTENCES_SHOWN, normalised, sentences, unified
from engine.changes.merge import apply_patch, same
from engine.changes.shown import in_line
from tests.missions.incident.world import a_container, a_deployment, a_node, an

Json = dict[str, Any]
NAME = "Deployment shop/web"
TEXT = st.text(st.characters(codec="utf-8"), max_size=20)
JSON = st.recursive(
    st.one_of(st.booleans(), st.integers(-3, 3), TEXT),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(
            st.one_of(st.sampled_from(["name", "value", "env", "containers", "labels"]), TEXT),
            inner,
            max_size=3,
        ),
    ),
    max_leaves=10,
)
SPECS = st.dictionaries(st.sampled_from(["template", "replicas", "rules", "x"]), JSON, max_size=3)
HIDDEN = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}


def changed(patch: Json, obj: Json | None = None) -> list[str]:
    before = a_deployment() if obj is None else obj
    return sentences(before, apply_patch(before, patch))


def with_container(**fields: Any) -> Json:
    spec = {"containers": [a_container(**fields)]}
    return a_deployment(template={"metadata": {"labels": {"app": "web"}}, "spec": spec})


def test_fields_are_told_as_people_call_them() -> None:
    assert changed({"spec": {"replicas": 3}}) == ["replicas 1 -> 3"]
    assert changed({"spec": {"unschedulable": True}}, a_node()) == ["unschedulable unset -> true"]
    assert changed({"spec": {"strategy": {"type": "Recreate"}}}) == [
        "spec.strategy.type unset -> Recreate"
    ]
    assert changed({"metadata": {"annotations": {"a.b/c": "d"}}}) == ["annotation a.b/c unset -> d"]
    template = {"metadata": {"annotations": {"at": "now"}}}
    assert changed({"spec": {"template": template}}) == ["pod template annotation at unset -> now"]


def test_fields_of_containers_name_their_container() -> None:
    before = with_container(env=[{"name": "LEVEL", "value": "info"}])
    after = with_container(
        image="registry.example/web:2",
        env=[{"name": "LEVEL", "value": "debug"}, {"name": "NEW", "value": "1"}],
        resources={"limits": {"memory": "1Gi"}},
    )
    assert sentences(before, after) == [
        "env LEVEL of app: info -> debug",
        'env NEW of app: unset -> "1"',
        "image of app: registry.example/web:1 -> registry.example/web:2",
        "resources.limits.memory of app: unset -> 1Gi",
    ]


def test_a_role_that_gains_a_verb_says_so_however_its_rules_are_written() -> None:
    get = {"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]}
    more = {"apiGroups": ["", "apps"], "resources": ["pods"], "verbs": ["get", "delete"]}
    before, after = an("Role", "r", rules=[get]), an("Role", "r", rules=[more])
    assert sentences(before, after) == [
        "gains verb delete on pods",
        "gains verb delete on pods.apps",
        "gains verb get on pods.apps",
    ]
    assert sentences(after, before)[0] == "loses verb delete on pods"
    named = {**get, "resourceNames": ["a"]}
    assert sentences(before, an("Role", "r", rules=[named])) == [
        "gains verb get on pods/a",
        "loses verb get on pods",
    ]
    assert sentences(before, an("Role", "r", rules=[get, get]))


def test_another_order_of_containers_is_told() -> None:
    one, two = a_container("a"), a_container("b")
    before = a_deployment(template={"spec": {"containers": [one, two]}})
    after = a_deployment(template={"spec": {"containers": [two, one]}})
    assert sentences(before, after) == ["spec.template.spec.containers.order a, b -> b, a"]


@given(SPECS, SPECS)
def test_whatever_differs_has_a_sentence_and_a_line(one: Json, other: Json) -> None:
    before = {"kind": "Thing", "metadata": {"name": "x"}, "spec": one}
    after = {**before, "spec": other}
    told, text = sentences(before, after), unified(before, after, "x")
    assert bool(told) == bool(text) == (not same(one, other))


@given(JSON, JSON)
@example("a\\u200b", "a\u200b")
@example("a\\nb", "a\nb")
@example("unset", "true")
@example("{}", "1")
def test_values_that_differ_never_look_the_same(one: Any, other: Any) -> None:
    assert same(one, other) == (in_line(one) == in_line(other))
    assert in_line(one) != in_line(None)
    assert not isinstance(one, str) or in_line(one) != in_line(_read(one))


def _read(text: str) -> Any:
    """What a text looks like, where it looks like something else."""
    try:
        return json.loads(text)
    except ValueError:
        return None


@given(SPECS, SPECS)
def test_nothing_hidden_comes_through(one: Json, other: Json) -> None:
    before = {"kind": "Thing", "metadata": {"name": "x"}, "spec": one}
    after = {**before, "spec": other}
    shown = "".join([*sentences(before, after), unified(before, after, "x")])
    assert not [c for c in shown if unicodedata.category(c) in HIDDEN and c not in "\n\t"]


@pytest.mark.parametrize("char", ["\u202e", "\u200b", "\u2066", "\x1b", "\u00ad", "\ufeff", "\r"])
def test_a_character_that_nobody_sees_is_written_out(char: str) -> None:
    before, after = with_container(image="web:1"), with_container(image=f"web:1{char}")
    escaped = f"web:1\\u{ord(char):04x}"
    assert sentences(before, after) == [f"image of app: web:1 -> {escaped}"]
    assert f"+      - image: {escaped}" in unified(before, after, NAME).replace("'", "")


def test_a_long_text_is_cut_and_still_differs() -> None:
    before, after = with_container(image="w" * 5000), with_container(image="w" * 4999 + "v")
    (line,) = sentences(before, after)
    was, now = line.removeprefix("image of app: ").split(" -> ")
    assert was != now
    assert len(line) < 600
    assert "5000 characters" in now
    assert len(max(unified(before, after, NAME).splitlines(), key=len)) < 2200


def test_a_diff_without_end_is_cut_and_says_so() -> None:
    notes = {f"note-{n}": "x" for n in range(3 * LINES_SHOWN)}
    patch = {"metadata": {"annotations": notes}}
    before = a_deployment()
    text = unified(before, apply_patch(before, patch), NAME)
    assert len(text.splitlines()) == LINES_SHOWN + 1
    assert text.endswith(" more lines\n")
    told = changed(patch)
    assert len(told) == SENTENCES_SHOWN + 1
    assert told[-1] == f"and {3 * LINES_SHOWN - SENTENCES_SHOWN} more fields"


def test_what_the_server_keeps_for_itself_is_no_difference() -> None:
    before = a_deployment()
    after = deepcopy(before)
    after["status"] = {"replicas": 99}
    after["metadata"] |= {
        "managedFields": [{"manager": "x"}],
        "resourceVersion": "2",
        "generation": 3,
        "creationTimestamp": "2026-01-01T00:00:00Z",
        "annotations": {"kubectl.kubernetes.io/last-applied-configuration": "{}"},
    }
    assert (unified(before, after, NAME), sentences(before, after)) == ("", [])
    assert normalised(normalised(after)) == normalised(after) == normalised(before)


def test_values_of_secrets_stand_as_digests_and_still_differ() -> None:
    before = an("Secret", "s", data={"a": "aHVudGVyMg=="}, stringData={"b": "hunter2"})
    after = an("Secret", "s", data={"a": "c3dvcmRmaXNo"}, stringData={"b": "hunter2"})
    shown = unified(before, after, "Secret shop/s") + "".join(sentences(before, after))
    assert shown
    assert not [word for word in ("aHVudGVyMg==", "c3dvcmRmaXNo", "hunter2") if word in shown]
    assert sentences(before, after)[0].startswith("data.a sha256:")
    salted = an("Secret", "s", data={"a": "salted-sha256:" + "0" * 64})
    assert normalised(salted)["data"] == salted["data"]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("DB_PASSWORD", "hunter2"),
        ("API_TOKEN", "abc"),
        ("URL", "postgres://app:hunter2@db/shop"),
        ("KEY", "AKIAIOSFODNN7EXAMPLE"),
    ],
)
def test_credentials_in_variables_are_not_shown_and_still_differ(name: str, value: str) -> None:
    before = with_container(env=[{"name": name, "value": value}])
    after = with_container(env=[{"name": name, "value": f"{value}3"}])
    told, text = sentences(before, after), unified(before, after, NAME)
    assert len(told) == 1
    assert text
    secret = "hunter2" if "hunter2" in value else value
    assert secret not in told[0] + text
    assert "sha256:" in told[0]


def test_a_field_that_names_a_secret_is_shown() -> None:
    before = with_container(env=[{"name": "PASSWORD_FILE", "value": "/run/a"}])
    after = with_container(env=[{"name": "PASSWORD_FILE", "value": "/run/b"}])
    assert sentences(before, after) == ["env PASSWORD_FILE of app: /run/a -> /run/b"]


def test_text_of_several_lines_is_compared_line_by_line() -> None:
    before = an("ConfigMap", "c", data={"app.conf": "a = 1\nb = 2\n"})
    after = an("ConfigMap", "c", data={"app.conf": "a = 1\nb = 3\n"})
    text = unified(before, after, "ConfigMap shop/c")
    assert [line for line in text.splitlines() if line[:4] in {"-   ", "+   "}] == [
        "-    b = 2",
        "+    b = 3",
    ]


def test_one_that_goes_away_is_told_whole() -> None:
    text = unified(a_deployment(), None, NAME)
    assert "-kind: Deployment" in text.splitlines()
