"""The ledger against something independent: by hand, by brute force, by theory."""

from itertools import permutations, product

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from experiments import ledger
from experiments.ledger import Piece, Row
from scipy import stats


def game(on: frozenset) -> float:
    """Four players who interact in no simple way."""
    return (1 + sum(map(ord, on))) ** 2 % 97


def test_shapley_of_two_players_by_hand():
    worth = {frozenset(): 1, frozenset("a"): 4, frozenset("b"): -1, frozenset("ab"): 6}
    # a adds 3 alone and 7 after b; b adds -2 alone and 2 after a
    assert ledger.shapley(worth.get, "ab") == {"a": 5, "b": 0}


def test_shapley_of_an_additive_game_is_the_main_effect():
    own = {"a": 3.0, "b": -2.0, "c": 0.5, "d": 0.0}
    found = ledger.shapley(lambda on: 7 + sum(own[p] for p in on), own)
    assert found == pytest.approx(own)
    plain = ledger.shapley(lambda on: 0.0, own)
    assert plain == dict.fromkeys(own, 0.0)


def test_shapley_is_the_average_over_orders_and_sums_to_the_whole():
    average = dict.fromkeys("abcd", 0.0)
    for order in permutations("abcd"):
        for k, player in enumerate(order):
            before = frozenset(order[:k])
            average[player] += (game(before | {player}) - game(before)) / 24
    found = ledger.shapley(game, "abcd")
    assert found == pytest.approx(average)
    assert sum(found.values()) == pytest.approx(game(frozenset("abcd")) - game(frozenset()))


def test_shapley_takes_one_value_a_seed():
    by_seed = lambda on: pd.Series({0: game(on), 1: 2.0 * game(on)})  # noqa: E731
    found, plain = ledger.shapley(by_seed, "abc"), ledger.shapley(game, "abc")
    for player in "abc":
        assert found[player].tolist() == pytest.approx([plain[player], 2 * plain[player]])


@pytest.mark.parametrize("numbers", ([0.0, 1.0], [-1.5, 0.25, 0.25], [3.0, -1.0, 2.0, -4.0]))
@pytest.mark.parametrize("k", (1, 2, 5))
def test_best_of_is_the_mean_over_all_possible_draws(numbers, k):
    every = [max(draw) for draw in product(numbers, repeat=k)]
    assert ledger.best_of(numbers, k) == pytest.approx(np.mean(every))


def test_best_of_many_normal_numbers_is_the_expected_maximum():
    normal = np.random.default_rng(0).standard_normal(400_000)
    for k, known in ((2, np.pi**-0.5), (3, 1.5 * np.pi**-0.5), (40, 2.1608)):
        assert ledger.best_of(normal, k) == pytest.approx(known, abs=0.01)


def test_best_of_few_numbers_is_bounded_by_the_largest():
    assert ledger.best_of([-1.0, 0.0, 1.0], 10**6) == pytest.approx(1.0)


@pytest.mark.parametrize(("numbers", "k"), (([], 3), ([1.0, np.nan], 3), ([1.0, 2.0], 0)))
def test_best_of_refuses_what_is_no_sample(numbers, k):
    with pytest.raises(ValueError, match="best_of"):
        ledger.best_of(numbers, k)


def table(arms: int, seeds: int, dice: np.random.Generator) -> pd.DataFrame:
    return pd.DataFrame(dice.standard_normal((seeds, arms)))


def test_what_is_left_over_has_lost_arms_and_seeds_and_keeps_the_size_of_the_noise():
    dice = np.random.default_rng(1)
    noise = table(14, 5, dice)
    shifted = noise.add(dice.normal(0, 50, 5), axis=0) + dice.normal(60, 9, 14)
    assert ledger.left_over(shifted) == pytest.approx(ledger.left_over(noise))
    sizes = [(ledger.left_over(table(4, 3, dice)) ** 2).mean() for _ in range(4000)]
    assert np.mean(sizes) == pytest.approx(1, abs=0.04)  # without the correction: .5
    one = pd.DataFrame(noise[[0]])
    for bad in (one, noise.iloc[:1], noise.replace(noise.iloc[0, 0], np.nan)):
        with pytest.raises(ValueError, match="two of each"):
            ledger.left_over(bad)


def test_luck_of_normal_results_is_theory_and_its_interval_covers():
    dice = np.random.default_rng(2)
    large = ledger.luck(table(400, 20, dice), 40)
    assert large.mean == pytest.approx(2.161, abs=0.05) and large.n == 20
    few = [ledger.luck(table(14, 5, dice), 45) for _ in range(300)]
    assert np.mean([p.mean for p in few]) < 2.208  # too small: bounded by the largest run
    assert 0.9 < np.mean([abs(p.mean - 2.208) < p.half for p in few]) < 0.98
    assert ledger.luck(table(14, 2, dice), 45).half is None


def test_a_family_of_questions_is_corrected_for_being_several():
    asked = {"a": [1.0, 2.5, 0.5, 3.0], "b": [5.0, 5.1, 4.9], "few": [1.0, 2.0], "none": []}
    found = ledger.family(asked)
    assert found.index.tolist() == ["a", "b", "few"] and found["n"].tolist() == [4, 3, 2]
    p = [stats.ttest_1samp(asked[k], 0).pvalue for k in "ab"]
    assert p[1] < p[0]  # so Holm doubles the second and leaves the first as it is
    assert found["p (Holm)"].tolist() == [f"{p[0]:.2g}", f"{2 * p[1]:.2g}", "–"]
    assert found.loc["b", "points"] == str(ledger.piece(asked["b"]))


def test_a_published_gain_scatters_as_the_best_of_k_minus_one_run_does():
    dice = np.random.default_rng(3)
    found = ledger.published_once(table(400, 20, dice), 40)
    gains = dice.standard_normal((40_000, 40)).max(axis=1) - dice.standard_normal(40_000)
    assert found == pytest.approx(1.96 * gains.std(), rel=0.03)


def test_a_piece_is_the_t_interval_over_seeds_and_none_below_three():
    values = [1.0, 2.5, 0.5, 3.0]
    half = stats.t.ppf(0.975, 3) * np.std(values, ddof=1) / 2
    assert ledger.piece(values) == (1.75, pytest.approx(half), 4)
    assert str(ledger.piece([1.0, 2.0])) == "+1.50" and ledger.piece([1.0, 2.0]).told is None
    assert str(Piece(-0.001, 0.2, 3)) == "+0.00 ± 0.20"
    assert ledger.joined(Piece(1, 3, 5), Piece(2, 4, 3)) == (3, 5, 3)
    assert ledger.joined(Piece(1, None, 2), Piece(2, 4, 3)).half is None
    for bad in ([], [1.0, np.nan, 2.0]):
        with pytest.raises(ValueError):
            ledger.piece(bad)


RIGHT = Piece(2.4, 0.6, 5)


def rows(*steps: Piece, right: Piece = RIGHT) -> list[Row]:
    total = Piece(sum(p.mean for p in steps), steps[0].half, steps[0].n)
    made = [Row(f"piece {k}", p) for k, p in enumerate(steps)]
    return [*made, Row("published", total, "total"), Row("more", right), Row("own", right, "total")]


def test_the_sentence_sorts_pieces_by_what_their_intervals_tell():
    up, down, open_ = Piece(2.0, 1.0, 5), Piece(-1.5, 0.5, 5), Piece(0.3, 0.7, 5)
    account = rows(up, down, open_, up)
    account.insert(5, Row("rest", Piece(-1.95, 1.5, 5), "rest"))
    said = ledger.sentence("5 %", account, 0.85, "for 5 %")
    assert said.startswith(
        "With 5 %, our imitation of the false gain is **+2.80 ± 1.00 points** (n = 5), "
    )
    assert "raised by piece 0 (+2.00 ± 1.00) and piece 3 (+2.00 ± 1.00); " in said
    assert "lowered by piece 1 (-1.50 ± 0.50); with piece 2 (+0.30 ± 0.70), where the" in said
    assert "published for 5 %: +0.85, which is 1.95 ± 1.50 less than this sum; " in said
    assert said.endswith("the teacher adds **+2.40 ± 0.60**.")
    account[-1:] = [Row("own, by A", RIGHT, "total"), Row("own, by B", open_, "total")]
    said = ledger.sentence("5 %", account, 0.85, "for 5 %")
    assert said.endswith(
        "adds **+2.40 ± 0.60** by A and **+0.30 ± 0.70** by B, not distinguishable from zero."
    )


def test_the_sentence_claims_nothing_that_seeds_do_not_tell():
    account = rows(Piece(0.5, 0.6, 3), right=Piece(0.1, 0.2, 3))
    none = Row("rest", None, "rest")
    other_data = ledger.sentence("x", [*account[:2], none, *account[2:]], 0.85, "for y")
    assert "; published for y: +0.85; with its faults mended, the teacher adds" in other_data
    account.insert(2, Row("rest", Piece(0.35, 0.6, 3), "rest"))
    said = ledger.sentence("x", account, 0.85, "for y")
    assert "(n = 3, not distinguishable from zero)" in said and "raised" not in said
    assert "which is 0.35 ± 0.60 more than this sum, not distinguishable from zero; " in said
    assert said.endswith("**+0.10 ± 0.20**, not distinguishable from zero.")
    said = ledger.sentence("x", rows(Piece(9.0, None, 2), right=Piece(3, None, 2)))
    assert said.startswith("**Toy data, not a result.** ") and "published" not in said
    assert "with piece 0 (+9.00), from too few seeds for an interval; " in said and "±" not in said


def test_the_waterfall_steps_from_where_the_last_row_ended():
    half, fig = 0.5, plt.figure()
    account = [
        Row("a", Piece(2.0, half, 5)),
        Row("b", Piece(-1.5, half, 5)),
        Row("published", Piece(0.5, half, 5), "total"),
        Row("rest", Piece(0.35, half, 5), "rest"),
        Row("c", Piece(3.0, None, 2)),
        Row("right", Piece(3.5, None, 2), "total"),
    ]
    fig.subplots(1, 2)
    words = ledger.waterfalls(fig, {"one": account, "two": account}, {"one": (0.85, 45, "for one")})
    for ax, claim in zip(fig.axes, (0.85, 0), strict=True):
        spans = [sorted((bar.get_x(), bar.get_x() + bar.get_width())) for bar in ax.patches]
        rest = [claim - 0.35, claim]
        expected = [[0, 2], [0.5, 2], [0, 0.5], rest, [0.5, 3.5], [0, 3.5]]
        assert np.allclose(spans, expected)
        assert [label.get_text() for label in ax.get_yticklabels()][3] == "rest"
    assert "published for one" in fig.axes[0].get_xlabel()
    assert "published" not in fig.axes[1].get_xlabel()
    fig.axes[1].clear()
    ledger.waterfalls(
        fig, {"one": account, "two": [*account[:3], Row("rest", None, "rest"), *account[4:]]}, {}
    )
    ends = [bar.get_x() + bar.get_width() for bar in fig.axes[1].patches]
    assert ends == pytest.approx([2, 0.5, 0.5, 3.5, 3.5])  # five bars; the rest is a word
    assert "other data" in [text.get_text() for text in fig.axes[1].texts]
    assert words.startswith("one: a +2.00 ± 0.50; b -1.50 ± 0.50; ") and "two: a" in words
    plt.close(fig)
