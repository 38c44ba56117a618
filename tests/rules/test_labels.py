"""Label selectors mean what they mean in Kubernetes."""

import pytest

from engine.rules.labels import labels_match, parse_labels

WEB = {"app": "web", "tier": "front", "example.com/team": "a"}


@pytest.mark.parametrize(
    ("selector", "matches"),
    [
        ("app=web", True),
        ("app == web", True),
        ("app=api", False),
        ("app!=api", True),
        ("app!=web", False),
        ("gone!=web", True),
        ("app in (api, web)", True),
        ("app in (api)", False),
        ("app notin (api,db)", True),
        ("app notin (web)", False),
        ("gone notin (web)", True),
        ("app", True),
        ("gone", False),
        ("!gone", True),
        ("! app", False),
        ("example.com/team=a, tier in (front, back), !gone", True),
        ("app=web,tier=back", False),
        ("gone=", False),
        ("in", False),
    ],
)
def test_a_selector_matches_as_in_kubernetes(selector: str, matches: bool) -> None:
    assert labels_match(parse_labels(selector), WEB) is matches


@pytest.mark.parametrize(
    "selector",
    [
        "",
        " ",
        "app=web,",
        ",app",
        "app=web,,b",
        "app in web",
        "app in (web",
        "a b",
        "=web",
        "app>1",
        "app=a b",
        "app in (a b)",
        "app=(a)",
        "-app",
        "((((",
        "app=" + "(" * 4000,
    ],
)
def test_what_is_no_selector_is_refused(selector: str) -> None:
    with pytest.raises(ValueError, match="is no label requirement"):
        parse_labels(selector)
