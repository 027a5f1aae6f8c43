"""Figures say what they show: rows of results, and a control that would squeeze them."""

import matplotlib.pyplot as plt
import pytest

from kdutils import figures


@pytest.fixture
def ax():
    fig, ax = plt.subplots()
    yield ax
    plt.close(fig)


def test_rows_hold_all_seeds_and_say_the_means(ax):
    said = figures.rows(ax, {"a": [60.0, 62.0], "b": [70.0], "c": []}, {"a": 55.0})
    low, high = ax.get_xlim()
    assert low < 55 and high > 70
    assert said == "a 61.00; b 70.00; c not recorded"
    assert [label.get_text() for label in ax.get_yticklabels()] == ["a", "b", "c"]


def test_a_control_far_below_stands_in_words_and_leaves_the_axis_to_the_others(ax):
    said = figures.rows(ax, {"a": [60.0, 62.0], "b": [70.0], "no": [11.0, 12.0]}, control="no")
    assert ax.get_xlim()[0] > 50
    assert said.startswith("no: 11.50, left of the picture; a 61.00")
    assert "no: 11.50" in ax.get_title(loc="right")


@pytest.mark.parametrize("found", [[55.0, 56.0], []])
def test_a_control_among_the_others_is_a_row_like_them(ax, found):
    figures.rows(ax, {"a": [60.0, 62.0], "b": [70.0], "no": found}, control="no")
    assert len(ax.get_yticklabels()) == 3 and ax.get_title(loc="right") == ""
