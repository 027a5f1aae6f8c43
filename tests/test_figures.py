"""Figures say what they show: dots with intervals, and a control that would squeeze them."""

import matplotlib.pyplot as plt
import pytest

from kdutils import figures


@pytest.fixture
def ax():
    fig, ax = plt.subplots()
    yield ax
    plt.close(fig)


def test_dots_hold_all_seeds_and_published_values_and_say_the_means(ax):
    said = figures.dots(ax, {"a": [60.0, 62.0], "b": [70.0]}, {"a": 55.0})
    low, high = ax.get_xlim()
    assert low < 55 and high > 70
    assert said == "a 61.00 (published 55); b 70.00"
    assert [label.get_text() for label in ax.get_yticklabels()] == ["a", "b"]


def test_an_interval_beyond_the_axis_ends_in_an_arrow(ax):
    figures.dots(ax, {"a": [60.0, 61.0, 65.0], "b": [66.0]})  # 62 +- 6.6 leaves the axis
    arrows = {line.get_marker(): line.get_xdata()[0] for line in ax.lines}
    low, high = ax.get_xlim()
    assert arrows["<"] == low and arrows[">"] == high


def test_a_control_far_below_stands_in_words_and_leaves_the_axis_to_the_others(ax):
    said = figures.dots(
        ax, {"a": [60.0, 62.0], "b": [70.0], "no": [11.0, 12.0, 11.5]}, control="no"
    )
    assert ax.get_xlim()[0] > 50
    assert said.startswith("no: 11.5 ± 1.2, to the left; a 61.00")
    assert "no: 11.5" in ax.get_title(loc="right")


def test_a_control_among_the_others_is_a_row_like_them(ax):
    figures.dots(ax, {"a": [60.0, 62.0], "b": [70.0], "no": [55.0, 56.0]}, control="no")
    assert len(ax.get_yticklabels()) == 3 and ax.get_title(loc="right") == ""


def test_a_figure_needs_words():
    fig, _ = plt.subplots()
    with pytest.raises(ValueError, match="too short"):
        figures.show(fig, alt="a plot")
    plt.close(fig)
