"""Chapter 10: teachers of other classes, their translation, label smoothing, and its solutions."""

from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from conftest import differ, load_solutions
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import mutual_info_score

from kdutils import data, experiments, models, runs
from kdutils.knowledge import Knowledge, translation
from kdutils.store import Store
from kdutils.training import predict

ex = experiments.chapter("10")
DICE = torch.Generator().manual_seed(0)
Z, Y = 2 * torch.randn(400, 12, generator=DICE), torch.randint(4, (400,), generator=DICE)


@pytest.fixture(scope="module")
def solutions():
    return load_solutions("10_across_data_sets")


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return Store(tmp_path_factory.mktemp("runs"), tmp_path_factory.mktemp("none"))


@pytest.fixture(params=experiments.PROFILES)
def arms(request):
    return {a.name: a for a in experiments.arms("10", request.param)}


def test_routes_share_one_budget_and_never_see_the_other_data_set(arms):
    hard = arms[ex.HARD].recipe
    says = {"teacher", "temperature", "alpha", "bits"}  # and no other views
    for name, own in {ex.PROBE: {"translate"}, ex.MASSES: {"translate"}}.items():
        assert differ(hard, arms[name].recipe) <= says | own
    for name in (ex.SOFT, ex.MATCHED, ex.TOO_WEAK, ex.OTHERS, ex.SAME):
        assert (
            {"model", "loss"}
            < differ(hard, arms[name].recipe)
            <= says | {"model", "loss", "teacher_order"}
        )
        assert arms[name].recipe.dataset == hard.dataset != arms[name].recipe.teachers[0].dataset
    home = arms[ex.AT_HOME].recipe
    assert differ(hard, home) <= says and home.teachers[0].dataset == hard.dataset
    for control in (ex.OTHERS, ex.SAME):
        assert differ(arms[ex.SOFT].recipe, arms[control].recipe) == {"teacher_order"}


def test_teachers_of_chapter_5_differ_in_their_smoothing_alone(arms):
    plain = arms[ex.teacher_name(0)].recipe
    assert plain in {a.recipe for a in experiments.arms("05", "smoke")} | {
        a.recipe for p in ("laptop", "paper") for a in experiments.arms("05", p)
    }
    for s in ex.SMOOTHINGS[1:]:
        assert differ(plain, arms[ex.teacher_name(s)].recipe) == {"label_smoothing"}
        for t in ex.TEMPERATURES:
            students = (arms[ex.student_name(x, t)].recipe for x in (0, s))
            assert differ(*students) == {"teacher"}
    assert differ(plain, arms[ex.teacher_name(ex.AGAIN)].recipe) == {"seed"}
    assert differ(arms[ex.student_name(0)].recipe, arms[ex.student_name(ex.AGAIN)].recipe) == {
        "teacher"
    }
    alone, taught = arms[ex.ALONE].recipe, arms[ex.student_name(0)].recipe
    assert differ(alone, taught) <= {"teacher", "temperature", "alpha", "n_views", "bits"}


def test_a_probe_is_scikit_learns_logistic_regression():
    centred = (Z - Z.mean(dim=1, keepdim=True)).numpy()
    fitted = LogisticRegression(max_iter=1000).fit(centred, Y.numpy())
    ours = translation("probe", Z, Y, 4)(Z).softmax(1)
    assert np.allclose(ours, fitted.predict_proba(centred), atol=1e-5)
    assert torch.allclose(ours, translation("probe", Z + 7, Y, 4)(Z - 3).softmax(1), atol=1e-3)
    two = translation("probe", Z, Y % 2, 2)(Z).softmax(1)
    other = LogisticRegression(max_iter=1000).fit(centred, (Y % 2).numpy())
    assert np.allclose(two, other.predict_proba(centred), atol=1e-5)


def test_masses_are_bayes_rule_for_a_teacher_that_is_certain():
    theirs = torch.randint(6, (600,), generator=DICE)  # its class of each image
    labels = torch.randint(3, (600,), generator=DICE)
    certain = 200.0 * F.one_hot(theirs, 6)
    found = translation("masses", certain, labels, 3)(certain).exp()
    for j in range(6):
        likelihood = torch.tensor([(theirs[labels == k] == j).double().mean() for k in range(3)])
        expected = (likelihood / likelihood.sum()).float()  # our classes equally frequent
        assert torch.allclose(found[theirs == j][0], expected, atol=1e-5)


def test_a_class_that_the_stranger_never_names_is_shared_out_evenly():
    z = torch.randn(60, 5, generator=DICE)
    z[:, 4] = -300.0
    found = translation("masses", z, torch.arange(60) % 3, 3)
    assert torch.isfinite(found(z)).all()
    only = torch.full((1, 5), -300.0)
    only[0, 4] = 300.0
    assert torch.allclose(found(only).exp(), torch.full((1, 3), 1 / 3), atol=1e-5)


def test_a_class_without_an_image_cannot_be_translated_to():
    for kind in ("probe", "masses"):
        with pytest.raises(ValueError, match="each of 5 classes needs a labelled image"):
            translation(kind, Z, Y, 5)
        with pytest.raises(ValueError, match="each of 3 classes"):
            translation(kind, Z, Y, 3)


def test_the_stranger_is_asked_with_its_own_normalisation_and_translated(store):
    recipe = {a.name: a.recipe for a in experiments.arms("10", "smoke")}[ex.MASSES]
    stranger = replace(recipe.teachers[0], epochs=1, n_train=100)
    recipe = replace(recipe, teacher=(stranger,), n_views=0, bits=16, views="none")
    known = runs.knowledge_of(recipe, store)
    theirs, ours = data.load(stranger.dataset), data.load(recipe.dataset)
    x = ours.train.images[: recipe.n_train]
    z = predict(known.nets[0], x, theirs).half()  # float16, as it is stored
    assert z.shape[1] == 20
    turned = translation("masses", z, ours.train.labels[: recipe.n_train], 10)
    assert torch.allclose(known.logits(0), turned(z), atol=1e-3)
    assert torch.allclose(
        known.on_test(), turned(predict(known.nets[0], ours.test.images, theirs)), atol=1e-3
    )
    as_they_are = Knowledge(replace(recipe, translate="none"), ours, store, known.nets)
    assert torch.equal(as_they_are.logits(0), z)


def test_a_student_of_a_stranger_is_measured_on_its_own_classes(store):
    arms = {a.name: a.recipe for a in experiments.arms("10", "smoke")}
    for name in (ex.SOFT, ex.MATCHED, ex.PROBE):
        few = {"epochs": 2, "n_views": 1, "n_train": 100}
        stranger = replace(arms[name].teachers[0], epochs=1, n_train=100)
        record = runs.run(replace(arms[name], teacher=(stranger,), **few), store)
        assert record.failure is None and 0 <= record.metrics["test_accuracy"] <= 100
        assert ("test_agreement" in record.metrics) == (name == ex.PROBE)


def test_images_of_another_size_are_refused(store):
    mlp = replace(experiments.arms("10", "smoke")[2].recipe, model="mlp-8")
    stranger = replace(mlp, dataset="digits", n_train=50, epochs=1, views="none")
    student = replace(mlp, teacher=(stranger,), translate="probe", n_train=50, epochs=1)
    with pytest.raises(
        ValueError, match=r"knows images of \[1, 28, 28\] \(digits\).*\[3, 32, 32\]"
    ):
        runs.run(student, store)


def test_translate_needs_a_teacher_and_a_known_word():
    recipe = experiments.arms("10", "smoke")[2].recipe
    with pytest.raises(ValueError, match="translate = 'probe' must be 'none' where no"):
        replace(recipe, translate="probe")
    with pytest.raises(ValueError, match="translate = 'guess' must be one of"):
        replace(recipe, translate="guess")


def test_the_auxiliary_head_is_seen_in_training_alone():
    net = models.build("aux-cnn5-w4-20")
    x = torch.randn(5, 3, 32, 32)
    assert net.train()(x).shape == (5, 30) and net.eval()(x).shape == (5, 10)
    plain = models.build("cnn5-w4")
    extra = models.count_parameters(net) - models.count_parameters(plain)
    width = list(plain.parameters())[-2].shape[1]  # of the last layer's inputs
    assert extra == 20 * (width + 1)


def test_the_two_heads_by_hand():
    z, t = torch.randn(6, 15, generator=DICE), torch.randn(6, 5, generator=DICE)
    y = torch.randint(10, (6,), generator=DICE)
    recipe = {a.name: a.recipe for a in experiments.arms("10", "smoke")}[ex.SOFT]
    hard = -z[:, :10].log_softmax(1)[range(6), y].mean()
    p, q = (t / 4).softmax(1), (z[:, 10:] / 4).softmax(1)
    soft = 16 * (p * (p / q).log()).sum(1).mean()
    assert torch.isclose(ex.auxiliary(z, t, y, recipe), hard + 0.5 * soft, atol=1e-5)
    wanted = t - t.mean(1, keepdim=True)
    apart = ((z[:, 10:] - wanted) ** 2).mean()
    assert torch.isclose(ex.squared(z, t, y, recipe), hard + 0.25 * apart)
    weak = F.mse_loss(z[:, 10:], wanted / 4)
    assert torch.isclose(ex.too_weak(z, t, y, recipe), hard + 0.5 * weak)
    # of an error in logits at full size: an eighth
    full = torch.cat([z[:, :10], 4 * z[:, 10:]], dim=1)
    right = ex.squared(full, t, y, recipe) - hard
    assert torch.isclose(8 * (ex.too_weak(z, t, y, recipe) - hard), right, rtol=1e-4)
    centred = torch.cat([z[:, :10], z[:, 10:] - z[:, 10:].mean(1, keepdim=True)], dim=1)
    hot = ex.auxiliary(centred.double(), t.double(), y, replace(recipe, temperature=1e4))
    assert torch.isclose(ex.squared(centred.double(), t.double(), y, recipe), hot, rtol=1e-3), (
        "what the first head comes to as T grows"
    )


def test_what_a_stranger_sees_is_a_mean_by_class():
    seen = ex.seen_as(Z, Y, 4)
    for k in range(4):
        assert torch.allclose(seen[k], Z[Y == k].softmax(1).mean(0), atol=1e-6)


def test_the_fine_toy_data_have_twenty_classes_of_other_images():
    fine, toy = data.load("bayes10-fine"), data.load("bayes10-toy")
    assert len(fine.classes) == 20 and torch.bincount(fine.train.labels, minlength=20).min() > 20
    light = fine.train.images.float().mean(dim=(1, 2, 3))
    for k in range(10):
        dark, bright = (light[fine.train.labels == 2 * k + b] for b in (0, 1))
        assert dark.max() <= bright.min()
    same = (fine.train.images[:200, None] == toy.train.images[None, :200]).flatten(2).all(2)
    assert not same.any()


def test_solution_1_is_uniform(solutions):
    assert torch.allclose(solutions.answer_of_a_bore(7, 4), torch.full((100, 4), 0.25), atol=1e-6)


def test_solution_2_with_all_classes_is_the_probe(solutions):
    signal = Z + 2 * F.one_hot(Y, 12)
    found = solutions.accuracy_by_classes(signal[:300], Y[:300], signal[300:], Y[300:], [1, 4, 12])
    whole = translation("probe", signal[:300], Y[:300], 4)(signal[300:]).argmax(1)
    assert found[12] == pytest.approx(100 * float((whole == Y[300:]).double().mean()))
    assert found[1] < found[12]
    one = torch.zeros(400, 12)
    one[:, 5] = 10 * (Y == 2).float()  # a single logit tells one class from the rest
    found = solutions.accuracy_by_classes(one[:300], Y[:300], one[300:], Y[300:], [1])
    most = max((Y[300:] == k).double().mean() for k in range(4))
    assert found[1] > 100 * float(most) + 10


def test_solution_3_is_scikit_learns_mutual_information(solutions):
    top = torch.randint(6, (400,), generator=DICE)
    top[:200] = Y[:200]
    expected = mutual_info_score(top.numpy(), Y.numpy()) / np.log(2)
    assert solutions.mutual_information(top, Y) == pytest.approx(expected)
    assert solutions.mutual_information(torch.zeros_like(Y), Y) == pytest.approx(0)
    assert solutions.mutual_information(Y, Y) <= 2


def test_solution_4_is_where_the_gradient_vanishes(solutions):
    distance = solutions.ideal_distance(0.1, 10)
    assert distance == pytest.approx(4.51, abs=0.005)
    z = torch.zeros(1, 10, dtype=torch.float64)
    z[0, 3] = distance
    z.requires_grad_()
    F.cross_entropy(z, torch.tensor([3]), label_smoothing=0.1).backward()
    assert z.grad.abs().max() < 1e-12
