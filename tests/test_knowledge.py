"""Stored knowledge is what the live teacher says about the same view."""

from dataclasses import replace

import pytest
import torch
from conftest import needs_cifar10
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from kdutils import ROOT, data, experiments, metrics, runs, views
from kdutils.commands.backlog import publish_knowledge
from kdutils.knowledge import Knowledge, average
from kdutils.runs import knowledge_of, run, run_all, trained
from kdutils.store import Damaged, Store
from kdutils.training import fit, predict


@pytest.fixture
def student(tiny):
    teacher = replace(tiny, model="mlp-64-64", epochs=6, views="elastic", view_stream=1)
    return replace(tiny, teacher=teacher, temperature=4.0, views="elastic")


def test_stored_logits_equal_live_ones_to_float16(student, store):
    digits = data.load("digits")
    teacher = trained(student.teacher, store)
    knowledge = Knowledge(student, digits, store, [teacher])
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
    teacher = trained(student.teacher, store)
    first = Knowledge(student, digits, store, [teacher]).logits(1)
    again = Knowledge(student, digits, store)  # without any network
    assert torch.equal(again.logits(1), first)
    hotter = replace(student, temperature=20.0, alpha=0.5)
    assert torch.equal(Knowledge(hotter, digits, store).logits(1), first)
    with pytest.raises(ValueError, match="has 1 teachers to be asked, but 0 networks were given"):
        again.logits(2)


@pytest.mark.parametrize("n_views", [0, 2])
def test_one_teacher_answers_about_several_data_sets_side_by_side(student, store, n_views):
    own = replace(student, views="none", n_views=n_views)
    other = replace(own, dataset="digits-shuffled")
    both = [knowledge_of(recipe, store).logits(0) for recipe in (own, other)]
    again = [Knowledge(r, data.load(r.dataset), store).logits(0) for r in (own, other)]
    assert all(map(torch.equal, both, again)) and not torch.equal(*both)


def test_an_ensemble_averages_logits(student, store):
    digits = data.load("digits")
    both = (student.teacher, replace(student.teacher, seed=1))
    recipe = replace(student, teacher=both, views="none")
    nets = [trained(teacher, store) for teacher in both]
    answers = Knowledge(recipe, digits, store, nets).answers(digits.test.images)
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


def test_a_posterior_that_is_not_known_is_refused_before_anything_is_trained(student, store):
    asks = replace(student, teacher="posterior")
    for train in (lambda: run(asks, store), lambda: run_all([student, asks], store)):
        with pytest.raises(ValueError, match="the posterior of digits is not known"):
            train()
    assert store.all() == []


def test_any_data_set_can_bring_a_posterior(student, store, clean_registries):
    digits = data.load("digits")

    def rule(images):
        return torch.nn.functional.one_hot(images.sum((1, 2, 3)) % 10, 10).double()

    data.register("ruled", lambda: replace(digits, posterior=rule))
    asks = replace(student, dataset="ruled", teacher="posterior", views="none", epochs=1)
    lesson = knowledge_of(asks, store).lesson(0)
    sums = digits.train.images[:300].flatten(1).sum(1) % 10
    assert torch.equal(lesson.argmax(1), sums)
    assert sorted(set(lesson.flatten().tolist())) == [-50, 0]  # ln 0 is cut off there
    assert run(asks, store).metrics["test_agreement"] < 100


def test_a_student_of_a_permuted_teacher_learns_nothing(student, store):
    permuted = replace(student, teacher_order="permuted", views="none", epochs=15)
    matched = replace(permuted, teacher_order="matched")
    wrong, right = run_all([permuted, matched], store)
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
    known = knowledge_of(stored_student, store)
    teacher = trained(stored_student.teacher[0], store)
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
    with safe_open(one_file(store), "pt") as file:
        about = file.metadata()
    assert about["view seed"] == str(stored_student.view_seed) and about["views"] == "elastic"
    assert about["teachers"] == stored_student.teacher[0].id and about["n_views"] == "3"


def test_students_of_any_loss_seed_and_size_read_the_same_file(stored_student, store):
    first = knowledge_of(stored_student, store).logits(2)
    for other in (
        replace(stored_student, temperature=20.0, alpha=0.3),
        stored_student.with_seed(4),
        replace(stored_student, n_train=50, model="mlp-16"),
        replace(stored_student, n_labels=20, alpha=0.5),
        replace(stored_student, n_views=3, teacher_order="reshuffled"),
    ):
        known = Knowledge(other, data.load("digits"), store)  # without any network
        assert known.complete
        assert torch.equal(known.logits(2), first[: other.n_train])
    more = Knowledge(replace(stored_student, n_train=300), data.load("digits"), store)
    assert not more.complete
    with pytest.raises(ValueError, match="networks"):  # no file holds those images
        more.logits(2)


def test_epochs_beyond_the_views_use_them_in_turn_and_the_record_says_so(stored_student, store):
    known = knowledge_of(stored_student, store)
    assert torch.equal(known.logits(4), known.logits(1))
    assert [stored_student.view(epoch) for epoch in range(5)] == [0, 1, 2, 0, 1]
    record = run(stored_student, store)
    assert "5 epochs over 3 stored views" in record.note
    assert store.get(stored_student).note == record.note
    assert run(replace(stored_student, n_views=5), store).note is None


def test_eight_bits_are_as_near_as_their_step(stored_student, store):
    whole = knowledge_of(stored_student, store).file
    small = whole.reduced(2, 8)
    assert len(small.tensors["train"]) == 2 and small.tensors["train"].dtype == torch.int8
    z = whole.view(0).float()
    z = z - z.mean(dim=1, keepdim=True)
    step = float(z.abs().max()) / 127
    assert float((small.view(0).float() - z).abs().max()) <= step / 2 + 2.0**-7  # and float16's own
    # however many views there are, the first ones are rounded alike
    assert torch.equal(whole.reduced(1, 8).tensors["train"][0], small.tensors["train"][0])
    eight = replace(stored_student, n_views=2, bits=8)
    read_back = Knowledge(eight, data.load("digits"), store)
    assert torch.equal(read_back.logits(1), small.view(1))


def test_a_damaged_or_truncated_file_is_named_and_never_used(stored_student, store):
    knowledge_of(stored_student, store).logits(0)
    path = one_file(store)
    whole = path.read_bytes()
    flipped = bytearray(whole)
    flipped[-5] ^= 1
    # spaces that the reader of JSON would overlook, and a count that no checksum covers
    spaced = whole.replace(b'"n_views":"3"', b'"n_views": 3"').replace(
        b'"bits":"16"', b'"bits":"17"'
    )
    for broken in (bytes(flipped), spaced, whole[:-100], whole[:20], b""):
        path.write_bytes(broken)
        with pytest.raises(Damaged, match=path.name):
            knowledge_of(stored_student, store).logits(0)


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
    knowledge_of(stored_student, store).logits(0)
    path = one_file(store)
    with safe_open(path, "pt") as file:
        about = file.metadata()
    ours, tensors = about[key], {name: part.clone() for name, part in load_file(path).items()}
    save_file(tensors, path, about | {key: value})
    with pytest.raises(Damaged) as refusal:
        knowledge_of(stored_student, store).logits(0)
    assert repr(value) in str(refusal.value) and repr(ours) in str(refusal.value)
    assert path.name in str(refusal.value)


def test_published_knowledge_teaches_where_the_teacher_is_not(stored_student, store, tmp_path):
    eight = replace(stored_student, bits=8, n_train=300)  # as many as the teacher has seen
    assert publish_knowledge(eight, store) == []  # nothing is stored yet
    record = run(eight, store)
    (path,) = publish_knowledge(eight, store)
    assert path.parent == store.published_knowledge and "-v3-8bit" in path.name
    assert publish_knowledge(eight, store) == []  # it is there already
    elsewhere = Store(tmp_path / "other runs", store.published)
    again = run(eight, elsewhere)
    assert again.metrics == record.metrics
    assert elsewhere.get(eight.teacher[0]) is None  # nobody trained it


def test_permuted_and_reshuffled_answers_are_about_other_images(stored_student, store):
    known = knowledge_of(stored_student, store)
    own = known.logits(0)
    for order, same in (("permuted", True), ("reshuffled", False)):
        recipe = replace(stored_student, n_views=1, teacher_order=order)
        lesson = knowledge_of(recipe, store).lesson
        first, second = lesson(0), lesson(1)
        assert float((first == own).all(dim=1).float().mean()) < 0.05
        assert torch.equal(first.sort(dim=0).values, own.sort(dim=0).values)  # the same answers
        assert torch.equal(first, second) == same


def test_within_its_class_each_epoch_another_image_answers(stored_student, store):
    recipe = replace(stored_student, n_views=1, teacher_order="within-class", without_classes=(3,))
    known = knowledge_of(recipe, store)
    labels = data.load("digits").train.labels[:200]
    own = torch.nonzero(labels != 3)[:, 0]
    first, second = known.givers(0), known.givers(1)
    for givers in (first, second):
        assert torch.equal(labels[givers], labels[own])  # the same class
        assert torch.equal(givers.sort().values, own)  # each answer once
        assert float((givers == own).float().mean()) < 0.2  # by chance one in twenty
    assert not torch.equal(first, second)
    assert torch.equal(known.lesson(1), known.logits(1)[second])


def test_images_without_a_label_learn_from_the_teacher_alone(stored_student, store):
    some = replace(stored_student, n_labels=50, alpha=0.5, epochs=3)
    spoiled = data.load("digits")
    labels = spoiled.train.labels.clone()
    labels[50:] = (labels[50:] + 1) % 10  # labels that must not be seen
    spoiled = replace(spoiled, train=data.Split(spoiled.train.images, labels))
    logits = knowledge_of(some, store).lesson
    curves = [
        [epoch["train_loss"] for epoch in fit(some, dataset, logits).curve]
        for dataset in (data.load("digits"), spoiled)
    ]
    assert curves[0] == curves[1]
    with pytest.raises(ValueError, match="n_labels"):
        replace(stored_student, teacher=None, n_labels=50)


def test_committed_knowledge_is_small():
    files = list((ROOT / "data" / "knowledge").glob("*.safetensors"))
    assert files
    assert all(path.stat().st_size <= 4.01e6 for path in files)
    assert sum(path.stat().st_size for path in files) <= 27e6


@needs_cifar10
def test_committed_knowledge_fits_the_recorded_students(tmp_path):
    """Every recorded student can be trained again from what is committed, without its teacher."""
    here = Store(tmp_path / "runs")
    cifar, students = data.load("cifar10"), {}
    for chapter in experiments.chapters():
        for arm in experiments.arms(chapter, "laptop"):
            recipe = arm.recipe
            if recipe.n_views and recipe.teachers and here.get(recipe):
                students[recipe.teachers] = replace(recipe, bits=8)
    assert len(students) >= 6
    for student in students.values():
        if {teacher.dataset for teacher in student.teachers} != {"cifar10"}:
            student = replace(student, translate="probe")  # answers about other classes
        answers = Knowledge(student, cifar, here).logits(0).float()
        assert metrics.accuracy(answers, cifar.train.labels[: len(answers)]) > 50


# ---- several teachers


def test_averages_of_answers_by_hand():
    z = [torch.randn(6, 5), torch.randn(6, 5)]
    p = [each.softmax(1) for each in z]
    arithmetic = average(z, "probabilities").softmax(1)
    assert torch.allclose(arithmetic, (p[0] + p[1]) / 2, atol=1e-6)
    geometric = (p[0] * p[1]).sqrt()
    expected = geometric / geometric.sum(dim=1, keepdim=True)
    assert torch.allclose(average(z).softmax(1), expected, atol=1e-6)
    with pytest.raises(ValueError, match="ensemble = 'logit' must be 'logits' or 'probabilities'"):
        average(z, "logit")


@pytest.mark.parametrize("ensemble", ["logits", "probabilities"])
@pytest.mark.parametrize("n_views", [0, 2])
def test_an_ensemble_reads_what_each_of_its_teachers_has_stored(student, store, ensemble, n_views):
    digits = data.load("digits")
    both = (student.teacher, replace(student.teacher, seed=1))
    recipe = replace(student, teacher=both, ensemble=ensemble, n_views=n_views, n_train=300)
    nets = [trained(teacher, store) for teacher in both]
    view = views.apply(digits.train.images[:300], "elastic", recipe.view_seed, 1)
    expected = average([predict(net, view, digits).half() for net in nets], ensemble)
    assert torch.allclose(knowledge_of(recipe, store).logits(1), expected, atol=1e-5)
    on_test = average([predict(net, digits.test.images, digits) for net in nets], ensemble)
    assert torch.allclose(knowledge_of(recipe, store).on_test(), on_test, atol=0.01)
    if n_views:  # the answers of each are here: no network is asked, and none is trained
        elsewhere = Store(store.local, store.published)
        for weights in store.local.glob("*.weights.safetensors"):
            weights.unlink()
        assert knowledge_of(replace(recipe, seed=5), elsewhere).complete
        assert len(runs.plan([replace(recipe, seed=5, epochs=1)], elsewhere)) == 1
        assert (
            publish_knowledge(recipe, elsewhere) and len(publish_knowledge(recipe, elsewhere)) == 0
        )


def test_one_teacher_is_no_ensemble(student):
    with pytest.raises(ValueError, match="ensemble = 'probabilities' must be 'logits' where"):
        replace(student, ensemble="probabilities")
