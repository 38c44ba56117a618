"""Templates show values, and nothing else."""

import pytest

from engine.rules.template import MAX_OUTPUT, TemplateError, render
from engine.rules.template_check import template_faults
from engine.rules.template_language import VARIABLES

SEEN = {
    "m": {"restarts": 6.0, "share": 0.25, "items": 3},
    "key": {"namespace": "shop", "labels.team": "web"},
    "members": ["web-1", "web-2"],
    "params": {"limit": 10**6},
    "signal": {"name": "x" * 1000, "list": list(range(1000))},
}


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain", "plain"),
        ("{{ m.restarts }} restarts", "6 restarts"),
        ("{{ (m.share * 100) | round }} %", "25 %"),
        ("{{ m.items }}", "3"),
        ("{{ key['labels.team'] }}", "web"),
        ("{{ members | join(', ') }}", "web-1, web-2"),
        ("{% for name in members %}{{ loop.index }}:{{ name }} {% endfor %}", "1:web-1 2:web-2 "),
        ("{% if m.restarts > 5 %}many{% else %}few{% endif %}", "many"),
        ("{{ key.team | default('nobody') }}", "nobody"),
        ("{{ 'a' ~ m.items }}", "a3"),
        ("<{{ key.namespace }}>", "<shop>"),
    ],
)
def test_values_are_shown(text: str, shown: str) -> None:
    assert render(text, SEEN) == shown


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("{{ key.nmespace }}", "nmespace"),
        ("{{ nothing }}", "unknown variable 'nothing'"),
        ("{{ m.restarts / 0 }}", "division"),
        ("{{ m.restarts + 'a' }}", "unsupported operand"),
        ("{{ members.append }}", "unsafe"),
        ("{{ signal.name.upper }}", "function"),
        ("{{ members[7] }}", "no element 7"),
    ],
)
def test_what_can_not_be_shown_is_an_error_with_a_reason(text: str, reason: str) -> None:
    with pytest.raises(TemplateError, match=reason):
        render(text, SEEN)


@pytest.mark.parametrize(
    "text",
    [
        "{{ 'x' * 10000000000 }}",
        "{{ members * params.limit }}",
        "{{ params.limit ** params.limit ** params.limit }}",
        "{{ '%99999999999d' % 1 }}",
        "{{ '{:>9999999999}'.format(1) }}",
        "{{ 'x' | center(9999999999) }}",
        "{{ 1 | round(999999999, 'ceil') }}",
        "{{ 'x' | indent(9999999999) }}",
        "{% for a in range(100000000) %}x{% endfor %}",
        "{% for a in signal.list %}{% for b in signal.list %}{% endfor %}{% endfor %}",
        "{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}",
        "{% set a = signal.name %}{{ a }}",
        "{% include '/etc/passwd' %}",
        "{% import 'os' as os %}",
        "{% extends 'x' %}",
        "{{ ''.__class__.__mro__[1].__subclasses__() }}",
        "{{ signal.__init__.__globals__ }}",
        "{{ lipsum(n=100) }}",
        "{{ cycler('a').next() }}",
        "{{" + "(" * 2000 + "1" + ")" * 2000 + "}}",
        "{{" + "-" * 3000 + "1}}",
        "{{ m" + ".a" * 2000 + " }}",
        "{{ '" + "x" * 5000 + "' }}",
    ],
)
def test_hostile_templates_are_refused(text: str) -> None:
    with pytest.raises(TemplateError):
        render(text, SEEN)


def test_output_is_cut_after_sixteen_kibibytes() -> None:
    text = "{% for n in signal.list %}{{ signal.name }}{% endfor %}"
    assert len(render(text, SEEN)) == MAX_OUTPUT


def test_a_hash_or_a_text_is_not_a_class_to_look_into() -> None:
    with pytest.raises(TemplateError):
        render("{{ key.__class__ }}", SEEN)


@pytest.mark.parametrize(
    ("text", "offset", "message"),
    [
        ("{{ m.a", 0, "unexpected end of template"),
        ("one\ntwo {{ key. }}", 8, "expected name or number"),
        ("keys {{ ky.a }}", 8, "did you mean 'key'?"),
        ("{{ m.a }} {{ m.b }}", 13, "unknown variable 'm.b'; known: a"),
        ("{{ rule | uper }}", 10, "unknown filter 'uper'"),
        ("{{ rule is defnd }}", 11, "unknown test 'defnd'"),
        ("\n\n{{ a.b(1) }}", 8, "'call'"),
    ],
)
def test_faults_are_found_before_rendering_with_their_place(
    text: str, offset: int, message: str
) -> None:
    found = template_faults(text, members={"m": frozenset({"a"})})
    assert any(message in fault.message and fault.offset == offset for fault in found), found


def test_a_loop_variable_is_known_inside() -> None:
    assert template_faults("{% for x in members %}{{ x }}{{ loop.index }}{% endfor %}") == ()


def test_every_documented_variable_is_known() -> None:
    assert template_faults(" ".join(f"{{{{ {name} }}}}" for name in VARIABLES)) == ()
