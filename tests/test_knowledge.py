"""Stored knowledge is what the live teacher says about the same view."""

from dataclasses import replace

import pytest
import torch

from kdutils import data, metrics, views
from kdutils.knowledge import Knowledge
from kdutils.runs import run, run_all, trained
from kdutils.training import predict

CPU = torch.device("cpu")


@pytest.fixture
def student(tiny):
    teacher = replace(tiny, model="mlp-64-64", epochs=6, views="elastic", view_stream=1)
    return replace(tiny, teacher=teacher, temperature=4.0, views="elastic")


def test_stored_logits_equal_live_ones_to_float16(student, store):
    digits = data.load("digits")
    teacher = trained(student.teacher, store, CPU)
    knowledge = Knowledge(student, digits, lambda: [teacher], store, CPU)
    images = digits.train.images[:300]
    for epoch in (0, 3):
        stored = knowledge.logits(epoch)
        assert knowledge.path(epoch).exists()
        view = views.apply(images, "elastic", student.view_seed, epoch, torch.arange(300))
        live = predict(teacher, view, digits)
        spacing = 2.0**-10 * live.abs().clamp(min=2.0**-14)
        assert ((stored.float() - live).abs() <= spacing).all()
    assert not torch.equal(knowledge.logits(0), knowledge.logits(3))


def test_what_is_stored_is_not_asked_again(student, store):
    digits = data.load("digits")
    teacher = trained(student.teacher, store, CPU)
    first = Knowledge(student, digits, lambda: [teacher], store, CPU).logits(1)

    def nobody():
        raise AssertionError("the live teacher was asked")

    again = Knowledge(student, digits, nobody, store, CPU)
    assert torch.equal(again.logits(1), first)
    hotter = replace(student, temperature=20.0, alpha=0.5)
    assert torch.equal(Knowledge(hotter, digits, nobody, store, CPU).logits(1), first)
    with pytest.raises(AssertionError, match="live teacher"):
        again.logits(2)


def test_an_ensemble_averages_logits(student, store):
    digits = data.load("digits")
    both = (student.teacher, replace(student.teacher, seed=1))
    recipe = replace(student, teacher=both, views="none")
    nets = [trained(teacher, store, CPU) for teacher in both]
    answers = Knowledge(recipe, digits, lambda: nets, store, CPU).answers(
        digits.test.images
    )
    each = [predict(net, digits.test.images, digits) for net in nets]
    assert torch.allclose(answers, (each[0] + each[1]) / 2, atol=1e-5)


def test_run_trains_the_teacher_first_and_nothing_twice(student, store):
    record = run(student, store)
    assert store.get(student.teacher) is not None
    assert {"test_agreement", "test_kl_to_teacher"} <= record.metrics.keys()
    digits = data.load("digits")
    logits = store.logits(student)["test"]
    assert record.metrics["test_errors"] == metrics.errors(logits, digits.test.labels)
    before = {path: path.stat().st_mtime_ns for path in store.local.glob("*.json")}
    assert run(student, store) == record
    assert {path: path.stat().st_mtime_ns for path in store.local.glob("*.json")} == before


def test_a_student_of_a_permuted_teacher_learns_nothing(student, store):
    permuted = replace(student, teacher_order="permuted", views="none", epochs=15)
    matched = replace(permuted, teacher_order="matched")
    [[wrong], [right]] = run_all([permuted, matched], [0], store, quiet=True)
    assert wrong.metrics["test_accuracy"] < 35 < 65 < right.metrics["test_accuracy"]


def test_an_unseen_class_is_measured_before_and_after_its_bias(student, store):
    record = run(replace(student, without_classes=(3,)), store)
    m = record.metrics
    assert m["test_unseen_errors"] == m["test_errors_by_class"][3]
    z = store.logits(record.recipe)["test"].clone()
    z[:, 3] += m["class_bias"]
    labels = data.load("digits").test.labels
    assert metrics.errors(z, labels) == m["test_errors_corrected"]
    assert m["test_unseen_accuracy_corrected"] >= m["test_unseen_accuracy"]


def test_run_all_says_beforehand_what_it_will_train(tiny, store, capsys):
    run(tiny, store)
    run_all([tiny], [0, 1], store)
    said = capsys.readouterr().out
    assert "1 of 2 runs" in said and "about" in said
    run_all([tiny], [0, 1], store)
    assert capsys.readouterr().out == ""
