"""Stored knowledge is what the live teacher says about the same view."""

from dataclasses import replace

import pytest
import torch
from conftest import needs_cifar10

from kdutils import data, knowledge, metrics, tables, views
from kdutils.knowledge import DamagedKnowledge, Knowledge, WrongKnowledge
from kdutils.runs import _teacher, knowledge_of, run, run_all, trained
from kdutils.store import Store
from kdutils.training import fit, predict

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
    answers = Knowledge(recipe, digits, lambda: nets, store, CPU).answers(digits.test.images)
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


def test_runs_in_several_processes_give_the_records_of_one(student, store, tmp_path, capsys):
    recipes = [student, replace(student, temperature=1.0), student.teacher]
    together = run_all(recipes, [0, 1], store, jobs=2)
    said = capsys.readouterr().out
    alone = run_all(recipes, [0, 1], Store(tmp_path / "alone"), quiet=True)
    for a, b in zip(sum(together, []), sum(alone, []), strict=True):
        assert (a.recipe, a.metrics) == (b.recipe, b.metrics)
        assert [e["val_errors"] for e in a.curve] == [e["val_errors"] for e in b.curve]
    assert "2 run at once" in said and "\n6/6 digits-mlp" in said
    order = [line.split()[1].rstrip(":") for line in said.splitlines()[1:]]
    assert order.index(student.teacher.id) < order.index(student.id)  # not asked while it learns


@pytest.mark.parametrize("jobs", [0, -1, 1.5])
def test_a_number_of_jobs_that_cannot_be(jobs, tiny, store):
    with pytest.raises(ValueError, match="at least 1"):
        run_all([tiny], [0], store, jobs=jobs)


# ---- knowledge of V views in one file


@pytest.fixture
def stored_student(tiny):
    teacher = replace(tiny, model="mlp-64-64", epochs=6, views="elastic", view_stream=1)
    return replace(
        tiny, teacher=(teacher,), temperature=4.0, views="elastic", n_views=3, epochs=5, n_train=200
    )


def one_file(store):
    (path,) = (store.local / "knowledge").glob("*.safetensors")
    return path


def test_a_file_holds_what_the_live_teacher_says_bit_for_bit(stored_student, store):
    digits = data.load("digits")
    known = knowledge_of(stored_student, store, CPU)
    teacher = trained(stored_student.teacher[0], store, CPU)
    everyone = torch.arange(200)
    for view in range(3):
        images = views.apply(
            digits.train.images[:200], "elastic", stored_student.view_seed, view, everyone
        )
        live = predict(teacher, images, digits)
        assert torch.equal(known.logits(view), live.half())
    assert torch.equal(
        known.file.tensors["test"], predict(teacher, digits.test.images, digits).half()
    )
    about = known.file.about
    assert about["view seed"] == str(stored_student.view_seed) and about["views"] == "elastic"
    assert about["teachers"] == stored_student.teacher[0].id and about["n_views"] == "3"


def test_students_of_any_loss_seed_and_size_read_the_same_file(stored_student, store):
    first = knowledge_of(stored_student, store, CPU).logits(2)
    for other in (
        replace(stored_student, temperature=20.0, alpha=0.3),
        stored_student.with_seed(4),
        replace(stored_student, n_train=50, model="mlp-16"),
        replace(stored_student, n_labels=20, alpha=0.5),
        replace(stored_student, n_views=3, teacher_order="reshuffled"),
    ):
        known = knowledge_of(other, store, CPU)
        known.nets = None  # to be asked would raise
        assert torch.equal(known.logits(2), first[: other.n_train])
    more = knowledge_of(replace(stored_student, n_train=300), store, CPU)
    more.nets = None
    with pytest.raises(TypeError):  # it must ask about the images that no file holds
        more.logits(2)


def test_epochs_beyond_the_views_use_them_in_turn_and_the_record_says_so(stored_student, store):
    known = knowledge_of(stored_student, store, CPU)
    assert torch.equal(known.logits(4), known.logits(1))
    assert [stored_student.view(epoch) for epoch in range(5)] == [0, 1, 2, 0, 1]
    record = run(stored_student, store, CPU)
    assert "5 epochs over 3 stored views" in record.note
    assert store.get(stored_student).note == record.note
    assert run(replace(stored_student, n_views=5), store, CPU).note is None


def test_eight_bits_are_as_near_as_their_step(stored_student, store):
    whole = knowledge_of(stored_student, store, CPU).file
    small = whole.reduced(2, 8)
    assert small.n_views == 2 and small.tensors["train"].dtype == torch.int8
    z = whole.view(0).float()
    z = z - z.mean(dim=1, keepdim=True)
    step = float(z.abs().max()) / 127
    assert float((small.view(0).float() - z).abs().max()) <= step / 2 + 2.0**-7  # and float16's own
    # however many views there are, the first ones are rounded alike
    assert torch.equal(whole.reduced(1, 8).tensors["train"][0], small.tensors["train"][0])
    eight = replace(stored_student, n_views=2, bits=8)
    read_back = knowledge_of(eight, store, CPU)
    read_back.nets = None
    assert torch.equal(read_back.logits(1), small.view(1))


def test_a_damaged_or_truncated_file_is_named_and_never_used(stored_student, store):
    knowledge_of(stored_student, store, CPU).logits(0)
    path = one_file(store)
    whole = path.read_bytes()
    flipped = bytearray(whole)
    flipped[-5] ^= 1
    for broken in (bytes(flipped), whole[:-100], whole[:20], b""):
        path.write_bytes(broken)
        with pytest.raises(DamagedKnowledge, match=path.name):
            knowledge_of(stored_student, store, CPU).logits(0)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("dataset", "mnist"),
        ("split", "all"),
        ("classes", "100"),
        ("view seed", "7"),
        ("views", "jitter"),
        ("images sha256", "0" * 64),
        ("teachers", "somebody"),
    ],
)
def test_knowledge_of_something_else_is_refused_with_both_sides(stored_student, store, key, value):
    file = knowledge_of(stored_student, store, CPU).file
    path = one_file(store)
    ours = file.about[key]
    knowledge.write(path, knowledge.File(file.about | {key: value}, file.tensors))
    with pytest.raises(WrongKnowledge) as refusal:
        knowledge_of(stored_student, store, CPU).logits(0)
    assert repr(value) in str(refusal.value) and repr(ours) in str(refusal.value)
    assert path.name in str(refusal.value)


def test_published_knowledge_teaches_where_the_teacher_is_not(stored_student, store, tmp_path):
    eight = replace(stored_student, bits=8, n_train=300)  # as many as the teacher has seen
    assert knowledge.publish(eight, store) == []  # nothing is stored yet
    record = run(eight, store, CPU)
    (path,) = knowledge.publish(eight, store)
    assert path.parent == store.published_knowledge and "-v3-8bit" in path.name
    assert knowledge.publish(eight, store) == []  # it is there already
    elsewhere = Store(tmp_path / "other runs", store.published)
    again = run(eight, elsewhere, CPU)
    assert again.metrics == record.metrics
    assert elsewhere.get(eight.teacher[0]) is None  # nobody trained it


def test_permuted_and_reshuffled_answers_are_about_other_images(stored_student, store):
    known = knowledge_of(stored_student, store, CPU)
    own = known.logits(0)
    for order, same in (("permuted", True), ("reshuffled", False)):
        recipe = replace(stored_student, n_views=1, teacher_order=order)
        logits, _ = _teacher(recipe, data.load("digits"), store, CPU)
        first, second = logits(0), logits(1)
        assert float((first == own).all(dim=1).float().mean()) < 0.05
        assert torch.equal(first.sort(dim=0).values, own.sort(dim=0).values)  # the same answers
        assert torch.equal(first, second) == same


def test_images_without_a_label_learn_from_the_teacher_alone(stored_student, store):
    some = replace(stored_student, n_labels=50, alpha=0.5, epochs=3)
    spoiled = data.load("digits")
    labels = spoiled.train.labels.clone()
    labels[50:] = (labels[50:] + 1) % 10  # labels that must not be seen
    spoiled = replace(spoiled, train=data.Split(spoiled.train.images, labels))
    logits, _ = _teacher(some, data.load("digits"), store, CPU)
    curves = [
        [epoch["train_loss"] for epoch in fit(some, dataset, logits, device=CPU).curve]
        for dataset in (data.load("digits"), spoiled)
    ]
    assert curves[0] == curves[1]
    with pytest.raises(ValueError, match="n_labels"):
        replace(stored_student, teacher=None, n_labels=50)


def test_committed_knowledge_is_small():
    files = list((data.ROOT / "data" / "knowledge").glob("*.safetensors"))
    assert files
    assert all(path.stat().st_size <= 4.01e6 for path in files)
    assert sum(path.stat().st_size for path in files) <= 25e6


@needs_cifar10
@pytest.mark.parametrize("notebook", [4, 5, 6])
def test_committed_knowledge_fits_the_recorded_students(notebook, tmp_path):
    """Every recorded student can be trained again from what is committed, without its teacher."""
    here = Store(tmp_path / "runs")
    students = {
        result.arm.recipe.teachers: result.arm.recipe
        for result in tables.collect(notebook, "laptop", store=here)
        if result.arm.recipe.n_views and result.arm.recipe.teachers
    }
    for student in students.values():
        known = knowledge_of(replace(student, bits=8), here, CPU)
        known.nets = None
        answers = known.logits(0).float()
        labels = data.load("cifar10").train.labels[: len(answers)]
        assert metrics.accuracy(answers, labels) > 50
