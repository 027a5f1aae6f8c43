"""Figures say what they show: dots with intervals, on an axis that holds them."""

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


def test_an_axis_holds_what_will_be_drawn_beside_the_dots(ax):
    figures.dots(ax, {"a": [60.0, 62.0], "b": [70.0]}, also=[80.0])
    low, high = ax.get_xlim()
    assert 50 < low < 60 and 80 < high < 90


def test_a_figure_needs_words():
    fig, _ = plt.subplots()
    with pytest.raises(ValueError, match="too short"):
        figures.show(fig, alt="a plot")
    plt.close(fig)


@pytest.mark.parametrize(
    ("data", "expected"),
    [([120, 8000], ["100", "300", "1,000", "3,000"]), ([0.39, 1.06], ["0.5", "1"])],
)
def test_a_logarithmic_axis_has_plain_numbers_and_no_crowd(data, expected):
    fig, ax = plt.subplots()
    ax.plot(data, [1, 2])
    figures.log_x(ax)
    fig.draw_without_rendering()
    low, high = ax.get_xlim()
    shown = [
        t for t, at in zip(ax.get_xticklabels(), ax.get_xticks(), strict=True) if low <= at <= high
    ]
    assert [t.get_text() for t in shown] == expected
    assert not [t for t in ax.get_xticklabels(minor=True) if t.get_text()]
    plt.close(fig)
