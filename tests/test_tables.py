"""The results table: aggregates over seeds, selection by validation, published values beside."""

import json
from dataclasses import replace

import pytest
from scipy import stats

from kdutils import course, profiles, tables
from kdutils.store import Record


def put(store, recipe, errors, val_errors, failure=None):
    store.put(
        Record(
            recipe=recipe, curve=[],
            metrics={} if failure else {
                "test_errors": errors, "val_errors": val_errors, "val_nll": 0.1,
            },
            seconds=1.0, device="CPU (any)", threads=1, parameters=1, recorded="2026-01-31",
            failure=failure,
        )
    )  # fmt: skip


@pytest.fixture
def arms():
    return {arm.name: arm for arm in course.arms(3, "laptop")}


def test_a_row_is_mean_and_t_interval_over_seeds(store, arms):
    teacher = arms["teacher 784-1200-1200-10"].recipe
    errors = [60, 66, 58, 71, 63]
    for seed, value in enumerate(errors):
        put(store, teacher.with_seed(seed), value, 30)
    [row] = [r for r in tables.results(3, store) if r["arm"] == "teacher 784-1200-1200-10"]
    low, high = stats.t.interval(0.95, 4, sum(errors) / 5, stats.sem(errors))
    assert row["mean"] == pytest.approx(63.6) and row["published"] == 67 and row["n"] == 5
    assert 2 * row["ci95"] == pytest.approx(high - low, abs=1e-3)
    assert tuple(row) == tables.COLUMNS
    assert json.loads(json.dumps(row)) == row


def test_validation_chooses_the_temperature_even_where_the_test_set_would_not(store, arms):
    family = "student, distilled, views"
    for name, errors, val in (("T = 2", 50, 31), ("T = 4", 60, 29), ("T = 20", 55, 33)):
        recipe = arms[f"{family}, {name}"].recipe
        for seed in (0, 1):
            put(store, recipe.with_seed(seed), errors, val)
    rows = {row["arm"]: row for row in tables.results(3, store)}
    chosen = rows[f"{family}, best by validation (T = 4)"]
    assert chosen["mean"] == 60 and chosen["published"] == 74
    recorded = [row for row in rows.values() if row["n"]]
    assert len(tables.frame(recorded)) == len(recorded) == 4


def test_a_published_value_without_a_record_is_listed_as_not_recorded(store):
    rows = {row["arm"]: row for row in tables.results(5, store)}
    assert {row["published"] for row in rows.values()} == {
        96.21, 95.06, 95.46, 96.31, 94.175, 94.333, 94.531, 94.729, 94.788,
    }  # fmt: skip
    assert all(row["n"] == 0 and row["mean"] is None for row in rows.values())
    assert set(tables.frame(list(rows.values()))["recorded"]) == {"not recorded"}


def test_a_run_that_failed_has_no_mean(store, arms):
    wild = next(
        a.recipe for a in course.arms(3, "laptop")
        if a.table == "As published" and a.name == "teacher 1200, lr 0.1"
    )  # fmt: skip
    put(store, wild, 0, 0, failure="the loss is nan in epoch 1, step 3")
    [row] = [r for r in tables.results(3, store) if r["recorded"]]
    assert row["mean"] is None and row["n"] == 0
    assert tables.frame([row])["recorded"].item() == "did not train"


def test_smoke_runs_never_stand_among_recorded_results(store):
    arm = course.arms(3, "smoke")[0]
    put(store, arm.recipe, 5, 5)
    assert [r for r in tables.results(3, store) if r["n"]] == []
    [result] = tables.collect(3, "smoke", store=store)
    frame = tables.compare([result], "test_errors", store)
    assert frame.columns[-1] == "this run (digits, smoke)"
    assert frame["recorded"].item() == "not recorded"


def test_recipes_at_the_course_seeds_are_what_collect_looks_for(store, arms):
    arm = arms["student, hard labels, views"]
    put(store, replace(arm.recipe, seed=4), 70, 30)
    put(store, replace(arm.recipe, seed=9), 90, 30)  # not a seed of this profile
    [result] = tables.collect(3, "laptop", store=store)
    assert 9 not in profiles.get("laptop").seeds and result.values("test_errors") == [70]


def test_nothing_recorded_is_an_error_where_a_table_is_asked_for(store):
    with pytest.raises(ValueError, match="no records"):
        tables.compare([], "test_errors", store)
    with pytest.raises(ValueError, match="at least one arm"):
        tables.best_by_validation([])


def test_committed_logits_give_the_committed_numbers():
    from conftest import have_mnist

    from kdutils import data, metrics
    from kdutils.store import Store

    if not have_mnist():
        pytest.skip("MNIST is not in the data folder; see data/README.md")
    store = Store()
    store = Store(store.published, store.published)
    kept = [r for r in store.all() if r.recipe.dataset == "mnist" and store.logits(r.recipe)]
    labels = data.load("mnist").test.labels
    for record in kept:
        z = store.logits(record.recipe)["test"]
        assert metrics.errors(z, labels) == record.metrics["test_errors"]


def test_differences_are_paired_by_seed_and_say_what_few_seeds_cannot(store, arms):
    one, two = (arms[f"student, hard labels, {kind}"].recipe for kind in ("views", "still images"))

    def said(only=None) -> str:
        results = tables.collect(3, "laptop", only, store)
        names = ("student, hard labels, views", "student, hard labels, still images")
        return tables.differences(results, "test_errors", {"What views add": names})

    put(store, one.with_seed(0), 70, 30)
    assert said() == "- What views add: not recorded yet."
    put(store, two.with_seed(1), 140, 60)
    assert said() == "- What views add: no seed that both have."
    put(store, one.with_seed(1), 75, 30)
    assert said() == "- What views add: **-65.0 errors** (1 pair, so no interval)."
    put(store, two.with_seed(0), 150, 60)
    half = stats.t.ppf(0.975, 1) * stats.sem([80, 65])
    assert said().startswith(f"- What views add: **-72.5 ± {half:.1f} errors** (2 pairs, p = ")
    assert said().endswith("These seeds do not tell it from zero.")
    assert said([1]) == "- What views add: **-65.0 errors** (1 pair, so no interval)."


def test_an_interval_in_words():
    assert tables.interval(-0.04, 0.38) == "0.0 ± 0.4" and tables.interval(2, None, 2) == "2.00"
    assert tables.interval(None, None) == "did not train"
