"""Differences between arms against SciPy and by hand."""

import re

import numpy as np
import pandas as pd
import pytest
from conftest import put
from experiments import pieces
from scipy import stats

from kdutils import experiments
from kdutils.metrics import holm
from kdutils.tables import Arm


def test_a_family_is_scipys_test_and_holms_correction():
    asked = {"a": [1.0, 2.0, 2.5], "b": [0.1, -0.2, 0.3], "none": [], "two": [1.0, 2.0]}
    found = pieces.family(asked)
    p = holm([stats.ttest_1samp(asked[k], 0).pvalue for k in "ab"])
    assert list(found["p (Holm)"]) == [f"{p[0]:.2g}", f"{p[1]:.2g}", "–"]
    assert list(found.index) == ["a", "b", "two"] and list(found["n"]) == [3, 3, 2]


def test_equal_arms_are_not_told_apart():
    assert pieces.family({"same": [0.0] * 5}).loc["same", "p (Holm)"] == "1"
    assert pieces.family({}).empty


def test_a_difference_is_by_seed_and_leaves_unpaired_seeds_out(store, tiny, monkeypatch):
    other = Arm("t", "b", tiny.__class__(**{**tiny.__dict__, "epochs": 5}))
    monkeypatch.setattr(experiments.chapter("00"), "arms", lambda p: [Arm("t", "a", tiny), other])
    for seed, errors in ((0, 10), (1, 30), (2, 20)):
        put(store, tiny.with_seed(seed), errors, 0)
    for seed, errors in ((2, 5), (0, 4)):  # in another order, and without seed 1
        put(store, other.recipe.with_seed(seed), errors, 0)
    lab = experiments.Lab("00", "laptop", [0, 1, 2], store=store)
    found = pieces.over(lab, "a", "b", "test_errors")
    assert found.to_dict() == {0: 6, 2: 15}
    assert pieces.points(found) == "+10.50 (n = 2)"
    assert pieces.points(pieces.over(lab, "a", "b", "test_errors")[:0]) == "not recorded"
    with pytest.raises(ValueError, match="no arm is named 'c'"):
        pieces.over(lab, "a", "c")


def test_the_common_scatter_is_known_by_hand_and_recovered():
    by_hand = pd.DataFrame([[1.0, 2.0], [3.0, 6.0]])  # residuals: .5, -.5 / -.5, .5
    assert pieces.common_scatter(by_hand) == (1.0, 1)
    dice = np.random.default_rng(0)
    luck, skill = 5 * dice.normal(size=(1, 60)), 9 * dice.normal(size=(40, 1))
    sigma, free = pieces.common_scatter(
        pd.DataFrame(luck + skill + 0.3 * dice.normal(size=(40, 60)))
    )
    assert free == 39 * 59 and abs(sigma - 0.3) < 0.02


@pytest.mark.parametrize("y", [[[1.0, 2.0]], [[1.0], [2.0]], [[1.0, 2.0], [3.0, np.nan]]])
def test_a_scatter_takes_two_settings_at_two_seeds(y):
    with pytest.raises(ValueError, match="it takes two of each"):
        pieces.common_scatter(pd.DataFrame(y))


def test_a_share_holds_the_ratios_that_a_t_test_does_not_reject():
    dice = np.random.default_rng(0)
    whole = pd.Series(4 + dice.normal(size=6), index=range(6))
    part = pd.Series(1.2 + 0.3 * dice.normal(size=7), index=range(7))
    said = pieces.share(part, whole)  # the seventh seed has no partner
    mean, low, high = (
        int(x) for x in re.match(r"(\d+) % \((-?\d+) to (\d+) %, n = 6\)", said).groups()
    )
    for r, kept in (
        (mean, True),
        (low + 1, True),
        (high - 1, True),
        (low - 1, False),
        (high + 1, False),
    ):
        p = stats.ttest_1samp(part[:6] - r / 100 * whole, 0).pvalue
        assert (p > 0.05) == kept
    assert pieces.share(part, whole[:2]) is None, "too few seeds"
    assert pieces.share(part, whole - whole.mean()) is None, "a share of nothing"
