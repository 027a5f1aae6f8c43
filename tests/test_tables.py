"""The results: aggregates over seeds, selection by validation, published values beside."""

import json
from copy import copy
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
from conftest import have_mnist, put
from scipy import stats

from kdutils import data, experiments, metrics, tables
from kdutils.commands import results
from kdutils.experiments import Lab
from kdutils.recipes import Recipe
from kdutils.store import Store
from kdutils.tables import Arm

BEFORE = Path(__file__).parent / "results_before_the_move.json"
RECIPE = Recipe(dataset="digits", model="mlp-8", epochs=1, batch_size=10, lr=0.1)
ONE = Arm("Two arms", "one", RECIPE, select="rate")
TWO = Arm("Two arms", "two", replace(RECIPE, lr=0.2), select="rate")


@pytest.fixture
def arms():
    return {arm.name: arm for arm in experiments.arms("03", "laptop")}


@pytest.fixture
def lab(store, monkeypatch):
    """A maker of labs whose chapter has the arms `ONE` and `TWO`."""
    monkeypatch.setattr(experiments, "arms", lambda number, profile: [ONE, TWO])
    return lambda seeds=range(5): Lab("01", "laptop", seeds, store=store)


def test_every_number_from_before_the_move_is_still_there():
    """272 results as the package of before printed them, each from the same records."""
    store, labs = Store(), {}
    before = json.loads(BEFORE.read_text())
    assert sum(len(row["metrics"]) for row in before.values()) == 272
    hashes = set()
    for key, row in before.items():
        number, profile, name = key.split(" | ")
        if (number, profile) not in labs:
            labs[number, profile] = Lab(number, profile, store=store)
        lab = copy(labs[number, profile])
        lab.runs = lab.runs[[record.id[-10:] in row["ids"] for record in lab.runs["record"]]]
        assert len(lab.records(name)) == len(row["ids"]), key
        hashes |= {record.id[-10:] for record in lab.records(name)}
        for metric, (published, mean, half) in row["metrics"].items():
            now = results.row(lab, lab.arm(name), metric)
            assert (now["published"], now["mean"]) == (published, mean), (key, metric)
            assert now["ci95"] == (None if half is None else pytest.approx(half, rel=1e-12)), key
    assert len(hashes) == 250


def test_a_row_is_mean_and_t_interval_over_seeds(store, arms):
    name, errors = "teacher 784-1200-1200-10", [60, 66, 58, 71, 63]
    for seed, value in enumerate(errors):
        put(store, arms[name].recipe.with_seed(seed), value, 30)
    [row] = [r for r in results.rows("03", store) if r["arm"] == name]
    low, high = stats.t.interval(0.95, 4, sum(errors) / 5, stats.sem(errors))
    assert row["mean"] == pytest.approx(63.6) and row["published"] == 67 and row["n"] == 5
    assert 2 * row["ci95"] == pytest.approx(high - low, abs=1e-3)
    assert json.loads(json.dumps(row)) == row


def test_validation_chooses_the_temperature_even_where_the_test_set_would_not(store, arms):
    family = "student, distilled, views"
    for name, errors, val in (("T = 2", 50, 31), ("T = 4", 60, 29), ("T = 20", 55, 33)):
        for seed in (0, 1):
            put(store, arms[f"{family}, {name}"].recipe.with_seed(seed), errors, val)
    rows = {row["arm"]: row for row in results.rows("03", store)}
    chosen = rows[f"{family}, best by validation (T = 4)"]
    assert chosen["mean"] == 60 and chosen["published"] == 74
    recorded = [row for row in rows.values() if row["n"]]
    assert len(results.frame(recorded)) == len(recorded) == 4


def test_selection_counts_shared_seeds_alone_and_needs_one(store, lab):
    for seed, (one, two) in enumerate([(30, 20), (10, None), (None, 40)]):
        for arm, val in ((ONE, one), (TWO, two)):
            if val is not None:
                put(store, arm.recipe.with_seed(seed), 5, val)
    assert lab([0, 1, 2]).best("rate") is TWO  # on seed 0
    for seeds in ([1, 2], [3]):
        with pytest.raises(LookupError, match="a seed that all share. There are: \\['rate'\\]"):
            lab(seeds).best("rate")


def test_a_run_that_failed_is_no_seed_that_arms_share(store, lab):
    put(store, ONE.recipe, 5, 100)
    put(store, ONE.recipe.with_seed(1), 0, 0, failure="the loss is nan in epoch 1, step 3")
    put(store, TWO.recipe, 5, 90)
    put(store, TWO.recipe.with_seed(1), 5, 150)
    assert lab([0, 1]).best("rate") is TWO  # the only seed at which both have a result


def test_a_published_value_without_a_record_is_listed_as_not_recorded(store):
    rows = [row for row in results.rows("05", store) if row["published"] is not None]
    assert {row["published"] for row in rows} == {
        96.21, 95.06, 95.46, 96.31, 94.175, 94.333, 94.531, 94.729, 94.788,
    }  # fmt: skip
    assert all(row["n"] == 0 and row["mean"] is None for row in rows)
    assert set(results.frame(rows)["recorded"]) == {"not recorded"}


def test_a_run_that_failed_has_no_mean(store, arms):
    name = "teacher 1200, lr 0.1 (as published)"
    put(store, arms[name].recipe, 0, 0, failure="the loss is nan in epoch 1, step 3")
    [row] = [r for r in results.rows("03", store) if r["recorded"]]
    assert row["arm"] == name and row["mean"] is None and row["n"] == 0
    assert results.frame([row])["recorded"].item() == "did not train"


def test_differences_are_paired_by_seed_and_few_pairs_have_no_interval(store, lab):
    def said() -> str:
        return lab().differences("test_errors", {"What it adds": ("one", "two")}).data

    put(store, RECIPE.with_seed(0), 70, 30)
    assert said() == "- *Not recorded at these seeds:* What it adds."
    put(store, TWO.recipe.with_seed(1), 140, 60)
    assert said() == "- What it adds: no seed that both have."
    put(store, RECIPE.with_seed(1), 75, 30)
    assert "**-65.0 errors** (1 pair of seeds: too few" in said()
    put(store, TWO.recipe.with_seed(0), 150, 60)
    assert "**-72.5 errors** (2 pairs of seeds: too few" in said()  # an interval would be +- 95
    put(store, RECIPE.with_seed(2), 80, 30)
    put(store, TWO.recipe.with_seed(2), 80, 30)
    half = stats.t.ppf(0.975, 2) * stats.sem([80, 65, 0])
    p = f"{stats.ttest_rel([70, 75, 80], [150, 140, 80]).pvalue:.3f}".lstrip("0")
    assert said() == (
        f"- What it adds: **-48.3 ± {half:.1f} errors** (3 pairs, p = {p}). "
        "These seeds do not distinguish it from zero."
    )


def test_an_interval_in_words_needs_three_seeds(lab):
    values = [-0.2, 0.11, -0.03]
    half = stats.t.ppf(0.975, 2) * stats.sem(values)
    assert tables.interval(values, "test_errors") == f"0.0 ± {half:.1f}"  # no minus: -0.04
    assert tables.interval([0.11, -0.03], "test_accuracy") == "0.04"
    bench = lab()
    bench.runs = pd.DataFrame(
        {"arm": "one", "record": None, "test_errors": values, "test_nll": None}
    )
    assert bench.cell("one", "test_errors") == f"0.0\xa0±\xa0{half:.1f}\xa0(n\xa0=\xa03)"
    assert bench.cell("one", "test_nll") == bench.cell("one", "test_ece") == "did not train"
    assert bench.cell("two", "test_errors") == "not recorded"


@pytest.mark.skipif(not have_mnist(), reason="MNIST is not in the data folder; see data/README.md")
def test_committed_logits_give_the_committed_numbers():
    store = Store()
    store = Store(store.published, store.published)
    kept = [r for r in store.all() if r.recipe.dataset == "mnist" and store.logits(r.recipe)]
    assert len(kept) >= 5
    labels = data.load("mnist").test.labels
    for record in kept:
        z = store.logits(record.recipe)["test"]
        assert metrics.errors(z, labels) == record.metrics["test_errors"]


def test_questions_asked_together_are_corrected_together(store, lab):
    for k, (one, two) in enumerate([(70, 80), (71, 84), (73, 81), (70, 83)]):
        put(store, RECIPE.with_seed(k), one, 30)
        put(store, TWO.recipe.with_seed(k), two, 60)
    asked = {"errors": ("one", "two"), "turned": ("two", "one")}
    p = stats.ttest_rel([70, 71, 73, 70], [80, 84, 81, 83]).pvalue
    said = lab(seeds=range(4)).differences("test_errors", asked).data
    words = [f"{x:.3f}".lstrip("0") for x in (p, 2 * p)]
    assert said.count(f"p = {words[0]} (Holm = {words[1]})") == 2
    assert said.endswith("$p$ corrected for 2 questions asked at once.")
    assert "not told" not in said
    d = {"difference": 2.0, "ci95": 1.9, "p": 0.04, "holm": 0.12, "n": 3}
    said = tables.difference_in_words(d, "test_accuracy")
    assert said.endswith("it is not distinguishable from zero.")
