"""`fit`: what a run depends on, what it does not, and how it ends when it cannot go on."""

from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F

from kdutils import data, training, views
from kdutils.runs import run
from kdutils.training import NotFinite, fit, predict

CPU = torch.device("cpu")


def weights(fitted: training.Fitted) -> torch.Tensor:
    return torch.cat([p.detach().flatten() for p in fitted.net.parameters()])


def test_fit_is_plain_pytorch_training(tiny):
    """One epoch of SGD written out by hand gives the same weights."""
    recipe = replace(
        tiny, epochs=1, optimizer="sgd", lr=0.05, momentum=0.0, schedule="constant", views="jitter"
    )
    digits = data.load("digits")
    net = training.build_net(recipe, digits)
    images = views.apply(digits.train.images[:300], "jitter", 0, 0, torch.arange(300))
    order = torch.randperm(
        300, generator=torch.Generator().manual_seed(training._stream(recipe.seed, 0, 1))
    )
    x = (images[order].float() / 255 - 0.1307) / 0.3081
    y = digits.train.labels[:300][order]
    for k in range(0, 300, 50):
        loss = F.cross_entropy(net(x[k : k + 50]), y[k : k + 50])
        gradients = torch.autograd.grad(loss, list(net.parameters()))
        with torch.no_grad():
            for p, g in zip(net.parameters(), gradients, strict=True):
                p -= 0.05 * g
    by_hand = torch.cat([p.detach().flatten() for p in net.parameters()])
    assert torch.allclose(weights(fit(recipe, digits, device=CPU)), by_hand, atol=1e-6)


def test_a_resumed_run_ends_where_an_uninterrupted_one_does(tiny, tmp_path, monkeypatch):
    recipe = replace(tiny, dropout=(0.1, 0.3), views="elastic", epochs=4)
    digits = data.load("digits")
    whole = fit(recipe, digits, device=CPU)
    monkeypatch.setattr(training, "CHECKPOINT_SECONDS", 0)
    real_view, path = views.epoch_view, tmp_path / "run.pt"

    def cut_off_in_third_epoch(images, kind, seed, epoch, index=None):
        if epoch == 2:
            raise KeyboardInterrupt
        return real_view(images, kind, seed, epoch, index)

    monkeypatch.setattr(views, "epoch_view", cut_off_in_third_epoch)
    with pytest.raises(KeyboardInterrupt):
        fit(recipe, digits, checkpoint=path, device=CPU)
    assert path.exists()
    monkeypatch.setattr(views, "epoch_view", real_view)
    resumed = fit(recipe, digits, checkpoint=path, device=CPU)
    assert torch.equal(weights(resumed), weights(whole))
    assert resumed.curve == whole.curve and not path.exists()


def test_another_seed_is_another_run_and_the_same_seed_the_same(tiny):
    digits = data.load("digits")
    first, again, other = (fit(r, digits, device=CPU) for r in (tiny, tiny, replace(tiny, seed=1)))
    assert torch.equal(weights(first), weights(again))
    assert not torch.equal(weights(first), weights(other))


def test_a_loss_that_is_not_finite_stops_with_recipe_epoch_and_step(tiny):
    wild = replace(tiny, optimizer="sgd", lr=1e6, schedule="constant")
    with pytest.raises(NotFinite, match=rf"{wild.id}.*epoch \d+, step \d+ of 6.*Lower lr"):
        fit(wild, data.load("digits"), device=CPU)


def test_a_run_that_fails_leaves_a_record_without_a_number(tiny, store):
    record = run(replace(tiny, optimizer="sgd", lr=1e6, schedule="constant"), store)
    assert record.metrics == {} and "epoch" in record.failure
    assert store.get(record.recipe) == record


def test_ten_times_weaker_loss_at_ten_times_the_rate_is_the_same_run(tiny):
    """Why the poster's unlabelled row at lr .1 is the right loss at lr .01."""
    teacher = fit(replace(tiny, epochs=6), data.load("digits"), device=CPU)
    digits = data.load("digits")
    z = predict(teacher.net, digits.train.images[:300], digits)
    student = replace(
        tiny, teacher=tiny, temperature=10.0, optimizer="sgd", schedule="constant", lr=0.1,
        soft_scale=0.1,
    )  # fmt: skip
    weak = fit(student, digits, lambda epoch: z, device=CPU)
    right = fit(replace(student, lr=0.01, soft_scale=1.0), digits, lambda epoch: z, device=CPU)
    far = fit(replace(student, lr=0.01), digits, lambda epoch: z, device=CPU)
    assert torch.allclose(weights(weak), weights(right), atol=1e-4)
    assert not torch.allclose(weights(weak), weights(far), atol=1e-2)


def test_without_labels_the_labels_do_not_matter(tiny):
    digits = data.load("digits")
    z = torch.randn(300, 10, generator=torch.Generator().manual_seed(0))
    wrong = replace_labels(digits)
    student = replace(tiny, teacher=tiny, alpha=1.0, temperature=4.0)
    first = fit(student, digits, lambda epoch: z, device=CPU)
    second = fit(student, wrong, lambda epoch: z, device=CPU)
    assert torch.equal(weights(first), weights(second))
    with_labels = replace(student, alpha=0.5)
    third = fit(with_labels, digits, lambda epoch: z, device=CPU)
    fourth = fit(with_labels, wrong, lambda epoch: z, device=CPU)
    assert not torch.equal(weights(third), weights(fourth))


def replace_labels(dataset: data.Dataset) -> data.Dataset:
    labels = (dataset.train.labels + 1) % 10
    return replace(dataset, train=data.Split(dataset.train.images, labels))


def test_classes_left_out_are_never_seen(tiny):
    digits = data.load("digits")
    recipe = replace(tiny, without_classes=(3, 7))
    index = training.transfer_index(recipe, digits)
    assert not set(digits.train.labels[index].tolist()) & {3, 7}
    count = int(((digits.train.labels[:300] != 3) & (digits.train.labels[:300] != 7)).sum())
    assert len(index) == count


def test_a_student_without_its_teacher_is_refused(tiny):
    with pytest.raises(ValueError, match="teacher_logits is None"):
        fit(replace(tiny, teacher=tiny), data.load("digits"), device=CPU)


def test_more_images_than_there_are_is_refused(tiny):
    with pytest.raises(ValueError, match="n_train = 5000"):
        fit(replace(tiny, n_train=5000), data.load("digits"), device=CPU)
