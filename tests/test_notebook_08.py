"""Chapter 08: seed 003's rows as published, arms that differ in one thing, and its solutions."""

import time

import numpy as np
import pandas as pd
import pytest
from conftest import differ, load_solutions
from scipy import stats

from kdutils import experiments

ex = experiments.chapter("08")


@pytest.fixture(scope="module")
def solutions():
    return load_solutions("08_small_students")


@pytest.fixture(params=experiments.PROFILES)
def arms(request):
    return {a.name: a for a in experiments.arms("08", request.param)}


def test_the_published_rows_are_those_of_the_project_and_its_recipe():
    arms = {a.name: a for a in experiments.arms("08", "laptop")}
    published = {n: a.metrics["test_accuracy"] for n, a in arms.items()}
    assert {n: x for n, x in published.items() if x is not None} == {
        "teacher": 83.13, "hard labels": 72.70, "from its own teacher": 70.86,
    }  # fmt: skip
    r = arms["from its own teacher"].recipe
    assert (r.epochs, r.batch_size, r.lr, r.weight_decay) == (15, 128, 1e-3, 1e-4)
    assert (r.optimizer, r.schedule, r.temperature, r.alpha) == ("adam", "step", 4, 0.7)
    assert r.teachers == (arms["teacher"].recipe,)
    for accuracy, mib, _, ms, score in ex.PRINTED.values():
        assert accuracy / ms == pytest.approx(score, abs=0.01)  # not / (MB ms), as is printed
        assert accuracy / (mib * ms) != pytest.approx(score, rel=0.5)


def test_students_of_a_block_differ_in_what_they_learn_from_alone(arms):
    says = {"teacher", "temperature", "alpha", "n_views", "bits"}
    for without in ex.DROPOUT.values():
        hard = arms[ex.HARD + without].recipe
        for learns in (ex.FROM_WEAK, ex.FROM_STRONG):
            assert "teacher" in differ(hard, arms[learns + without].recipe) <= says
    for learns in ex.LEARNS:
        assert differ(arms[learns].recipe, arms[f"{learns}, no dropout"].recipe) == {"model"}


def test_grid_width_and_patience_change_what_they_say(arms):
    cells = [a.recipe for a in arms.values() if a.select]
    settings = {(r.temperature, r.alpha) for r in cells}
    assert len(settings) == len(cells) >= 4
    for r in cells:
        assert differ(r, arms[ex.FROM_WEAK].recipe) <= {"temperature", "alpha"}
    for learns in (ex.HARD, ex.FROM_STRONG):
        plain, best = (
            arms[name].recipe for name in (f"{learns}, no dropout", ex.best_name(learns))
        )
        assert differ(plain, best) == {"optimizer", "lr", "weight_decay", "schedule"}
        for name, arm in arms.items():
            if name.startswith(f"{learns}, width"):
                assert differ(best, arm.recipe) <= {"model"}
            if name.startswith(ex.best_name(learns)):
                assert differ(best, arm.recipe) <= {"epochs"}


def test_the_grid_of_laptop_is_the_one_that_the_project_proposed():
    arms = [a for a in experiments.arms("08", "laptop") if a.select]
    assert {a.recipe.temperature for a in arms} == {1, 2, 3, 4, 5}
    assert {a.recipe.alpha for a in arms} == {0.1, 0.3, 0.5, 0.7, 0.9} and len(arms) == 25


def test_solution_1_counts_from_guessing(solutions):
    assert solutions.kept(83.13, 70.86) == pytest.approx(85.2, abs=0.05)
    assert solutions.kept(83.13, 70.86, guessing=10) == pytest.approx(83.2, abs=0.05)
    less, times = solutions.smaller(4_664_970, 106_826)
    assert less == pytest.approx(97.7, abs=0.05) and times == pytest.approx(43.7, abs=0.05)


def test_solution_2_has_the_power_that_a_simulation_shows(solutions):
    n = solutions.seeds_needed(1.84, 1.0)
    assert n == 6
    dice = np.random.default_rng(0)
    p = [
        stats.ttest_ind(dice.normal(0, 1, (k, 4000)), dice.normal(1.84, 1, (k, 4000))).pvalue
        for k in (n - 1, n)
    ]
    less, enough = ((x < 0.05).mean() for x in p)
    assert less < 0.8 < enough + 0.01
    assert solutions.power_by_drawing(n, 1.84, 1.0) == pytest.approx(enough, abs=0.03)
    with pytest.raises(ValueError, match="10,000"):
        solutions.seeds_needed(1e-6, 1.0)


def test_solution_3_turns_undo_what_blocks_see(solutions):
    def latencies(calls, warm_up, rounds, clock=time.perf_counter):
        found, dice = [], np.random.default_rng(0)
        for _ in range(rounds):
            row = {}
            for name in dice.permutation(list(calls)):
                call, start = calls[name], clock()
                call()
                row[str(name)] = 1000 * (clock() - start)
            found.append(row)
        return pd.DataFrame(found)

    turns, blocks = solutions.drift(latencies)
    assert turns < 3 and blocks == pytest.approx(100 * (1.01**30 - 1), rel=0.05)


def test_solution_4_reads_off_a_factor(solutions):
    parameters, accuracy = [1000, 2000, 4000, 8000], [70, 72, 74, 76]
    assert solutions.worth_in_parameters(parameters, accuracy, 2000, 74) == pytest.approx(2)
    assert solutions.worth_in_parameters(parameters, accuracy, 1000, 71) == pytest.approx(2**0.5)
    assert np.isnan(solutions.worth_in_parameters(parameters, accuracy, 8000, 78))
    with pytest.raises(ValueError, match="do not rise"):
        solutions.worth_in_parameters(parameters, [70, 72, 71, 76], 2000, 74)
