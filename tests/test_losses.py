"""The losses against hand calculations and torch.nn.functional."""

import math

import pytest
import torch
import torch.nn.functional as F

from kdutils import losses
from kdutils.recipes import Recipe


def logits(seed: int = 0, n: int = 6, classes: int = 10) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return 3 * torch.randn(n, classes, generator=generator, dtype=torch.float64)


LABELS = torch.tensor([0, 3, 9, 1, 1, 7])


def test_kd_loss_is_the_formula_worked_out_by_hand():
    """Two images, two classes, T = 2, alpha = 0.75, with plain Python floats."""
    student, teacher, labels = [[1.0, 0.0], [0.5, 2.5]], [[3.0, 1.0], [-1.0, 1.0]], [0, 0]
    total = 0.0
    for s, t, y in zip(student, teacher, labels, strict=True):
        p = [math.exp(v / 2) / sum(math.exp(w / 2) for w in t) for v in t]
        q = [math.exp(v / 2) / sum(math.exp(w / 2) for w in s) for v in s]
        kl = sum(a * math.log(a / b) for a, b in zip(p, q, strict=True))
        ce = -math.log(math.exp(s[y]) / sum(math.exp(w) for w in s))
        total += 0.75 * 2**2 * kl + 0.25 * ce
    got = losses.kd_loss(
        torch.tensor(student, dtype=torch.float64),
        torch.tensor(teacher, dtype=torch.float64),
        torch.tensor(labels),
        temperature=2,
        alpha=0.75,
    )
    assert float(got) == pytest.approx(total / 2, rel=1e-12)


def test_alpha_zero_is_plain_cross_entropy():
    got = losses.kd_loss(logits(0), logits(1), LABELS, temperature=4, alpha=0)
    assert torch.allclose(got, F.cross_entropy(logits(0), LABELS), rtol=1e-12, atol=0)


def test_soft_cross_entropy_equals_torch_cross_entropy_with_probabilities():
    p = F.softmax(logits(1), dim=1)
    assert torch.allclose(
        losses.soft_cross_entropy(logits(0), p), F.cross_entropy(logits(0), p), rtol=1e-12, atol=0
    )


def test_smoothed_targets_equal_torch_label_smoothing():
    got = losses.soft_cross_entropy(logits(0), losses.smoothed_targets(LABELS, 10, 0.1).double())
    want = F.cross_entropy(logits(0), LABELS, label_smoothing=0.1)
    assert torch.allclose(got, want, rtol=1e-6, atol=0)


def test_the_default_reduction_of_torch_is_weaker_by_the_number_of_classes():
    s, t = logits(0), logits(1)
    with pytest.warns(UserWarning, match="batchmean"):
        published = torch.nn.KLDivLoss()(F.log_softmax(s / 20, 1), F.softmax(t / 20, 1)) * 20**2
    ours = losses.kd_loss(s, t, None, temperature=20, alpha=1, soft_scale=0.1)
    assert torch.allclose(published, ours, rtol=1e-10, atol=0)


def gradient(temperature: float) -> torch.Tensor:
    student = (0.1 * logits(0)).requires_grad_()
    losses.kd_loss(student, 0.1 * logits(1), None, temperature, alpha=1).backward()
    return student.grad


def test_kd_gradient_scale_does_not_depend_on_temperature_when_it_is_high():
    low, high = gradient(100.0), gradient(1000.0)
    assert torch.allclose(low, high, rtol=0.02, atol=1e-6)


def test_at_high_temperature_the_gradient_is_that_of_matching_centred_logits():
    """Hinton et al. 2015, equation 4: (z - v) / N for logits of mean zero; batch mean besides."""
    s, t = 0.1 * logits(0), 0.1 * logits(1)
    s0, t0 = s - s.mean(1, keepdim=True), t - t.mean(1, keepdim=True)
    assert torch.allclose(gradient(1e4), (s0 - t0) / 10 / len(s), rtol=1e-3, atol=1e-8)


@pytest.mark.parametrize("temperature", [0.5, 1.0, 4.0, 20.0])
def test_gradient_and_loss_vanish_where_logits_match(temperature):
    student = logits(0).requires_grad_()
    loss = losses.kd_loss(student, logits(0) + 5.0, None, temperature, alpha=1)  # shift: no change
    loss.backward()
    assert abs(float(loss.detach())) < 1e-12
    assert student.grad.abs().max() < 1e-12


def test_no_gradient_flows_into_the_teacher():
    student, teacher = logits(0).requires_grad_(), logits(1).requires_grad_()
    losses.kd_loss(student, teacher, LABELS, 4, 0.5).backward()
    assert teacher.grad is None and student.grad.abs().sum() > 0
    p = F.softmax(logits(1), 1).requires_grad_()
    losses.soft_cross_entropy(student, p).backward()
    assert p.grad is None


def test_soft_targets_tend_to_uniform_and_to_one_hot():
    z = logits(2)
    assert torch.allclose(losses.soft_targets(z, 1e6), torch.full_like(z, 0.1), atol=1e-5)
    assert torch.equal(losses.soft_targets(z, 1e-3).argmax(1), z.argmax(1))
    assert losses.soft_targets(z, 1e-3).max(1).values.min() > 0.999


@pytest.mark.parametrize("temperature", [0, -1, math.inf, math.nan, "4", None])
def test_a_temperature_must_be_a_finite_number_above_zero(temperature):
    with pytest.raises(ValueError, match="temperature"):
        losses.kd_loss(logits(0), logits(1), LABELS, temperature, 0.5)
    with pytest.raises(ValueError, match="temperature"):
        losses.soft_targets(logits(0), temperature)


@pytest.mark.parametrize("alpha", [-0.1, 1.1, math.nan, "half"])
def test_alpha_must_lie_between_zero_and_one(alpha):
    with pytest.raises(ValueError, match="alpha"):
        losses.kd_loss(logits(0), logits(1), LABELS, 4, alpha)


def test_shapes_and_missing_labels_are_refused():
    with pytest.raises(ValueError, match="batch, classes"):
        losses.kd_loss(logits(0), logits(1, classes=9), LABELS, 4, 0.5)
    with pytest.raises(ValueError, match="labels is None"):
        losses.kd_loss(logits(0), logits(1), None, 4, 0.5)
    with pytest.raises(ValueError, match="label_smoothing"):
        losses.smoothed_targets(LABELS, 10, 1.0)


def recipe(**changes) -> Recipe:
    fields = {"dataset": "digits", "model": "mlp-8", "epochs": 1, "batch_size": 1, "lr": 0.1}
    return Recipe(**(fields | changes))


TEACHER = recipe()


def test_the_loss_of_a_recipe_without_a_teacher_is_torchs_smoothed_cross_entropy():
    got = losses.of("kd")(logits(0).float(), None, LABELS, recipe(label_smoothing=0.1))
    want = F.cross_entropy(logits(0).float(), LABELS, label_smoothing=0.1)
    assert torch.allclose(got, want, rtol=1e-6, atol=0)


def test_the_loss_of_a_recipe_with_a_teacher_weighs_its_two_terms():
    """A tenth of the teacher's term, at T = 2, and a quarter of the labels', by torch's own."""
    student = recipe(teacher=TEACHER, temperature=2.0, alpha=0.75, soft_scale=0.1)
    s, t = logits(0), logits(1)
    soft = F.kl_div(F.log_softmax(s / 2, 1), F.softmax(t / 2, 1), reduction="sum") / len(s)
    want = 0.75 * 0.1 * 4 * soft + 0.25 * F.cross_entropy(s, LABELS)
    assert torch.allclose(losses.of("kd")(s, t, LABELS, student), want, rtol=1e-12, atol=0)


def test_pseudo_labels_are_the_teachers_first_choices():
    student = recipe(teacher=TEACHER, loss="pseudo-labels", alpha=0.75)
    s, t = logits(0), logits(1)
    some = LABELS.clone()
    some[3:] = losses.NO_LABEL
    log_q = F.log_softmax(s, 1)
    guessed = -sum(log_q[i, t[i].argmax()] for i in range(6)) / 6
    given = -sum(log_q[i, LABELS[i]] for i in range(3)) / 6  # a mean over the whole batch
    got = losses.of("pseudo-labels")(s, t, some, student)
    assert torch.allclose(got, 0.75 * guessed + 0.25 * given, rtol=1e-12, atol=0)


def test_a_readers_loss_is_found_by_its_name(clean_registries):
    def mine(z, t, y, recipe):
        return z.square().mean()

    assert losses.register("mine", mine) is mine
    assert losses.of("mine") is mine


def test_an_unknown_loss_is_refused_with_those_that_exist():
    with pytest.raises(ValueError, match=r"loss = 'nil'.*'kd', 'pseudo-labels'.*losses.register"):
        losses.of("nil")
