"""Of a page what is wanted is taken, line by line, and what is broken is told."""

import math
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.metrics.exposition import MOST_SERIES, Page, parse, taking
from engine.model.errors import MetricsError

AT = datetime(2026, 1, 31, 12, tzinfo=UTC)
MS = int(AT.timestamp() * 1000)
ALL = taking(("*",))


def found(page: Page) -> dict[str, float]:
    return {
        one.name + str(dict(sorted(one.labels.items()))): one.points[0].value for one in page.series
    }


def test_samples_of_all_kinds_keep_their_names_labels_and_values() -> None:
    text = (
        "# HELP a counts\n# TYPE a counter\na 5\n"
        '# TYPE b histogram\nb_bucket{le="1"} 2\nb_sum 3.5\n\n'
        'c{x="\\"y\\\\\\n",z=""} 1e3\nd{x="}"} -0\n'
    )
    page = parse(text, AT, ALL)
    assert found(page) == {
        "a{}": 5.0,
        "b_bucket{'le': '1'}": 2.0,
        "b_sum{}": 3.5,
        "c{'x': '\"y\\\\\\n', 'z': ''}": 1000.0,
        "d{'x': '}'}": 0.0,
    }
    assert (page.broken, page.series[0].points[0].at) == ("", AT)


def test_only_names_that_are_wanted_are_looked_at() -> None:
    page = parse("node_load1 1\nnode_load15 2\nother{ nonsense\n", AT, taking(("node_*1", "up")))
    assert (found(page), page.broken) == ({"node_load1{}": 1.0}, "")


def test_what_is_no_number_is_a_gap() -> None:
    assert parse("a NaN\nb +Inf\nc -Inf\nd nan\n", AT, ALL) == Page([])


def test_a_sample_with_an_old_time_of_its_own_is_a_gap() -> None:
    text = f"old 1 {MS - 301_000}\nnew 1 {MS - 299_000}\nahead 1 {MS + 61_000}\nnever 1 1e300\n"
    page = parse(text, AT, ALL)
    assert [one.name for one in page.series] == ["new"]
    assert (AT - page.series[0].points[0].at).total_seconds() == 299


def test_broken_lines_are_told_and_the_rest_is_kept() -> None:
    lines = [f"m{number} {number}" for number in range(1200)]
    lines[700] = 'm700{x="y 3'
    lines[1100] = "m1100 three"
    page = parse("\n".join(lines) + "\n", AT, ALL)
    assert len(page.series) == 1198
    assert page.broken == '2 samples could not be read, the first: m700{x="y 3'


def test_a_page_that_was_cut_off_has_no_last_line() -> None:
    page = parse("a 1\nb 12", AT, ALL)
    assert found(page) == {"a{}": 1.0}
    assert "b 12" in page.broken


def test_of_a_series_that_stands_there_twice_no_value_is_believed() -> None:
    page = parse('a{x="1"} 1\na{x="2"} 1\na{x="1"} 7\na{x="1"} 9\n', AT, ALL)
    assert found(page) == {"a{'x': '2'}": 1.0}
    assert page.broken.startswith("1 samples")


def test_a_line_without_end_is_left_out() -> None:
    page = parse("a 1\n" + 'b{x="' + "y" * 20_000 + '"} 1\nc 1\n', AT, ALL)
    assert (found(page), page.broken[:10]) == ({"a{}": 1.0, "c{}": 1.0}, "1 samples ")


def test_too_many_series_are_refused() -> None:
    with pytest.raises(MetricsError) as caught:
        parse("a 1\n" * (MOST_SERIES + 1), AT, ALL)
    assert caught.value.reason == "too-large"


@given(st.text(max_size=200))
def test_any_text_is_a_page(text: str) -> None:
    for one in parse(f"ok 1\n{text}\n", AT, ALL).series:
        assert math.isfinite(one.points[0].value)


@pytest.mark.parametrize(
    "line",
    [
        'a{,\u2028="c",} 1',
        'a{,="c"} 1',
        "a{,} 1",
        "x{,} <1",
        "a 1 " + "9" * 400,
        "{} 1",
        'a{"b"} 1',
    ],
)
def test_a_line_over_which_the_parser_stumbles_costs_only_itself(line: str) -> None:
    page = parse(f"good 1\n{line}\nalso 2\n", AT, ALL)
    assert {"good{}", "also{}"} <= found(page).keys()


@given(st.lists(st.sampled_from([*'a1 ,={}"\\<\u2028\n#', "9" * 400, "+Inf", "1e5"]), max_size=30))
def test_nothing_that_is_nearly_a_page_breaks_more_than_itself(parts: list[str]) -> None:
    page = parse(f"good 1\n{''.join(parts)}\nalso 2\n", AT, taking(("good", "also", "a*")))
    assert {"good{}", "also{}"} <= found(page).keys()
