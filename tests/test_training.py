"""`fit`: what a run depends on, what it does not, and how it ends when it cannot go on."""

from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch
import torch.nn.functional as F

from kdutils import data, losses, models, runs, training, views
from kdutils.metrics import by_epoch
from kdutils.runs import run
from kdutils.store import Damaged
from kdutils.training import Interrupted, NotFinite, fit, predict

CPU = torch.device("cpu")


def weights(fitted: training.Run) -> torch.Tensor:
    return torch.cat([p.detach().flatten() for p in fitted.net.parameters()])


def test_fit_is_plain_pytorch_training(tiny):
    """One epoch of SGD written out by hand gives the same weights."""
    recipe = replace(
        tiny, epochs=1, optimizer="sgd", lr=0.05, momentum=0.0, schedule="constant", views="jitter"
    )
    digits = data.load("digits")
    net = training.build_net(recipe, digits)
    images = views.apply(digits.train.images[:300], "jitter", 0, 0, torch.arange(300))
    order = training.epoch_order(recipe.seed, 0, 300)
    x = (images[order].float() / 255 - 0.1307) / 0.3081
    y = digits.train.labels[:300][order]
    for k in range(0, 300, 50):
        loss = F.cross_entropy(net(x[k : k + 50]), y[k : k + 50])
        gradients = torch.autograd.grad(loss, list(net.parameters()))
        with torch.no_grad():
            for p, g in zip(net.parameters(), gradients, strict=True):
                p -= 0.05 * g
    by_hand = torch.cat([p.detach().flatten() for p in net.parameters()])
    assert torch.allclose(weights(fit(recipe, digits)), by_hand, atol=1e-6)


def cut_off(monkeypatch, at_epoch):
    """Let the views of that epoch (from 0) never come, as when a hand stops the run."""
    real = views.apply

    def view(images, kind, seed, epoch, index=None):
        if epoch == at_epoch:
            raise KeyboardInterrupt
        return real(images, kind, seed, epoch, index)

    monkeypatch.setattr(views, "apply", view)


@pytest.mark.parametrize("schedule", ["one-cycle", "cosine", "constant", "step"])
def test_a_resumed_run_ends_where_an_uninterrupted_one_does(tiny, tmp_path, monkeypatch, schedule):
    recipe = replace(tiny, dropout=(0.1, 0.3), views="elastic", schedule=schedule)
    digits, path = data.load("digits"), tmp_path / "run.ckpt"
    whole = fit(recipe, digits)
    with monkeypatch.context() as patch:
        cut_off(patch, 2)
        with pytest.raises(KeyboardInterrupt):
            fit(recipe, digits, checkpoint=path)
    assert path.exists()
    resumed = fit(recipe, digits, checkpoint=path)
    assert torch.equal(weights(resumed), weights(whole))
    assert resumed.curve == whole.curve and not path.exists()


def test_a_run_stopped_by_hand_keeps_whole_epochs_and_says_so_in_one_line(
    tiny, tmp_path, monkeypatch
):
    digits, path = data.load("digits"), tmp_path / "run.ckpt"
    with monkeypatch.context() as patch:
        cut_off(patch, 0)
        with pytest.raises(Interrupted, match="after epoch 0 of 4 .*; 0 of them") as nothing:
            fit(tiny, digits, checkpoint=path)
        assert not path.exists()
    with monkeypatch.context() as patch:
        cut_off(patch, 3)  # the first epoch is kept, then one every five seconds
        for kept in (1, 2):
            said = f"after epoch 3 of 4 .*; {kept} of them are kept: run the cell again"
            with pytest.raises(Interrupted, match=said) as two:
                fit(tiny, digits, checkpoint=path)
    for error in (nothing.value, two.value):
        assert error._render_traceback_() == [str(error)] and "\n" not in str(error)
    done = []
    fit(tiny, digits, checkpoint=path, on_step=done.append)
    assert done == pytest.approx([2 + step / 6 for step in range(1, 13)])


def test_checkpoints_come_every_five_seconds(tiny, tmp_path, monkeypatch):
    """A clock of two seconds an epoch: the file is written after the first, fourth and seventh."""
    clock, path = [0.0], tmp_path / "run.ckpt"
    monkeypatch.setattr(training, "time", SimpleNamespace(perf_counter=lambda: clock[0]))
    changed, last = [], [None]

    def after(epoch):
        now = path.read_bytes() if path.exists() else None
        if now != last[0]:
            changed.append(epoch)  # seen an epoch after it was written
            last[0] = now
        clock[0] += 2

    recipe = replace(tiny, epochs=8, batch_size=300)  # a step an epoch
    fit(recipe, data.load("digits"), checkpoint=path, on_step=after)
    assert changed == [2, 5, 8]


def test_a_damaged_checkpoint_is_named_and_never_used(tiny, tmp_path, monkeypatch):
    digits, path = data.load("digits"), tmp_path / "run.ckpt"
    with monkeypatch.context() as patch:
        cut_off(patch, 2)
        with pytest.raises(Interrupted):
            fit(tiny, digits, checkpoint=path)
    whole = path.read_bytes()
    for broken in (whole[:-1], whole[:40] + b"x" + whole[41:], b"", b"x" + whole[1:]):
        path.write_bytes(broken)
        with pytest.raises(Damaged, match="run.ckpt .*delete it: it is then made again"):
            fit(tiny, digits, checkpoint=path)


class Small(torch.nn.Module):
    """Channels-last weights that are not contiguous: two channels in, 3 x 3."""

    channels_last = True

    def __init__(self):
        super().__init__()
        self.conv, self.out = torch.nn.Conv2d(2, 4, 3), torch.nn.Linear(4 * 26 * 26, 10)

    def forward(self, x):
        return self.out(self.conv(x.repeat(1, 2, 1, 1)).relu().flatten(1))


class Contiguous(Small):
    """Its gradients are laid out otherwise."""

    def __init__(self):
        super().__init__()
        self.conv.weight.register_post_accumulate_grad_hook(
            lambda p: setattr(p, "grad", p.grad.contiguous())
        )


def test_a_gradient_that_is_laid_out_otherwise_gives_the_same_steps(tiny, registered):
    """PyTorch's fused SGD takes such a gradient's numbers in the wrong order (2.14, CPU)."""
    recipe = replace(tiny, optimizer="sgd", lr=0.05, n_train=100, schedule="constant")
    ends = []
    for net in (Small, Contiguous):
        models.register("small", net, replace=True)
        ends.append(weights(fit(replace(recipe, model="small"), data.load("digits"))))
    assert torch.allclose(ends[0], ends[1], atol=1e-6)


# ---- what a reader registers is tried before it is trained


@pytest.fixture
def registered(monkeypatch):
    """Names that are forgotten after the test."""
    for registry in (models.REGISTERED, losses.REGISTERED, data.REGISTERED):
        monkeypatch.setattr(registry, "things", {})


class Mine(torch.nn.Module):
    """One linear layer; `outputs` can be wrong."""

    outputs = 10

    def __init__(self):
        super().__init__()
        self.linear = torch.nn.Linear(28 * 28, self.outputs)

    def forward(self, x):
        return self.linear(x.flatten(1))


class Eleven(Mine):
    outputs = 11


class Small32(Mine):
    def forward(self, x):
        return self.linear(x.repeat(1, 3, 1, 1).flatten(1))


def plain(z, t, y, recipe):
    return F.cross_entropy(z, y)


def test_a_readers_network_and_loss_train_as_written_by_hand(registered, tiny):
    models.register("mine", Mine)
    losses.register("plain", plain)
    recipe = replace(
        tiny, model="mine", loss="plain", epochs=1, optimizer="sgd", lr=0.1, momentum=0.0,
        schedule="constant",
    )  # fmt: skip
    digits = data.load("digits")
    net = training.build_net(recipe, digits)
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
    for batch in training.epoch_order(recipe.seed, 0, 300).split(50):
        x = (digits.train.images[batch].float() / 255 - 0.1307) / 0.3081
        optimizer.zero_grad()
        F.cross_entropy(net(x), digits.train.labels[batch]).backward()
        optimizer.step()
    by_hand = torch.cat([p.detach().flatten() for p in net.parameters()])
    assert torch.allclose(weights(fit(recipe, digits)), by_hand, atol=1e-6)


@pytest.mark.parametrize(
    ("net", "loss", "said"),
    [
        (
            Eleven,
            plain,
            r"model = 'mine' fails on .*gives \[8, 11\]; it must give logits \[8, 10\]",
        ),
        (Small32, plain, r"model = 'mine' fails on images \[8, 1, 28, 28\] of digits: mat1"),
        (
            Mine,
            lambda z, t, y, r: F.cross_entropy(z, y, reduction="none"),
            r"gives Tensor \[8\]; .*scalar",
        ),
        (Mine, lambda z, t, y, r: 0.5, r"gives float \[\]; it must give a finite scalar tensor"),
        (Mine, lambda z, t, y, r: torch.tensor(0.5), r"gives 0.5; .* depends on the student"),
        (Mine, lambda z, t, y, r: z.sum() * torch.inf, r"gives -?inf; it must give a finite"),
        (Mine, lambda z, t: z.sum(), r"loss = 'mine' fails .*positional arguments"),
        (Mine, lambda z, t, y, r: (z - t).sum(), r"loss = 'mine' fails"),  # there is no teacher
    ],
)
def test_what_does_not_fit_is_named_before_training(registered, tiny, store, net, loss, said):
    models.register("mine", net)
    losses.register("mine", loss)
    with pytest.raises(ValueError, match=said):
        run(replace(tiny, model="mine", loss="mine"), store)
    assert list(store.local.iterdir()) == []  # no checkpoint either


def test_a_students_fault_is_found_before_its_teacher_is_trained(registered, tiny, store):
    models.register("mine", Eleven)
    with pytest.raises(ValueError, match="model = 'mine' fails on images"):
        run(replace(tiny, model="mine", teacher=tiny), store)
    assert store.get(tiny) is None


def test_only_what_a_reader_registered_is_tried(registered, tiny):
    """A network of the course may give more than logits, to a loss that takes them."""
    data.register("own", lambda: replace(data.load("digits"), name="own"))
    losses.register("first-ten", lambda z, t, y, r: F.cross_entropy(z[:, :10], y))
    counted = replace(tiny, model="counted-resnet8-w2", dataset="own")
    for recipe in (
        replace(counted, loss="easy-first", teacher=tiny),
        replace(counted, loss="first-ten"),
    ):
        training.check(recipe, data.load("own"), CPU)


def test_without_instructions_for_bfloat16_a_run_is_one_in_float32(tiny, store, monkeypatch):
    monkeypatch.setattr(training, "has_bfloat16", lambda kind: False)
    monkeypatch.setattr(runs, "has_bfloat16", lambda kind: False)
    low, full = replace(tiny, precision="bfloat16"), run(tiny, store)
    found = run(low, store)
    assert found.metrics == full.metrics
    assert "float32" in found.note and full.note is None


def test_bfloat16_is_looked_up_by_the_names_of_its_instructions(monkeypatch):
    for found, expected in (
        ({"avx2": True, "avx512_bf16": False, "amx_bf16": False}, False),
        ({"avx2": True, "avx512_bf16": True, "amx_bf16": False}, True),
        ({"architecture": "arm64", "neon": True, "bf16": True}, True),
    ):
        monkeypatch.setattr(torch.cpu, "get_capabilities", lambda found=found: found)
        training.has_bfloat16.cache_clear()
        assert training.has_bfloat16("cpu") is expected and training.has_bfloat16("cuda")
    training.has_bfloat16.cache_clear()


def test_another_seed_is_another_run_and_the_same_seed_the_same(tiny):
    digits = data.load("digits")
    first, again, other = (fit(r, digits) for r in (tiny, tiny, replace(tiny, seed=1)))
    assert torch.equal(weights(first), weights(again))
    assert not torch.equal(weights(first), weights(other))


def test_a_loss_that_is_not_finite_stops_with_recipe_epoch_and_step(tiny):
    wild = replace(tiny, optimizer="sgd", lr=1e6, schedule="constant")
    with pytest.raises(NotFinite, match=rf"{wild.id}.*epoch \d+, step \d+ of 6.*Lower lr"):
        fit(wild, data.load("digits"))


def test_a_run_that_fails_leaves_a_record_without_a_number(tiny, store):
    record = run(replace(tiny, optimizer="sgd", lr=1e6, schedule="constant"), store)
    assert record.metrics == {} and "epoch" in record.failure
    assert store.get(record.recipe) == record


def test_ten_times_weaker_loss_at_ten_times_the_rate_is_the_same_run(tiny):
    """Why the poster's unlabelled row at lr .1 is the right loss at lr .01."""
    teacher = fit(replace(tiny, epochs=6), data.load("digits"))
    digits = data.load("digits")
    z = predict(teacher.net, digits.train.images[:300], digits)
    student = replace(
        tiny, teacher=tiny, temperature=10.0, optimizer="sgd", schedule="constant", lr=0.1,
        soft_scale=0.1,
    )  # fmt: skip
    weak = fit(student, digits, lambda epoch: z)
    right = fit(replace(student, lr=0.01, soft_scale=1.0), digits, lambda epoch: z)
    far = fit(replace(student, lr=0.01), digits, lambda epoch: z)
    assert torch.allclose(weights(weak), weights(right), atol=1e-4)
    assert not torch.allclose(weights(weak), weights(far), atol=1e-2)


def test_without_labels_the_labels_do_not_matter(tiny):
    digits = data.load("digits")
    z = torch.randn(300, 10, generator=torch.Generator().manual_seed(0))
    wrong = replace_labels(digits)
    student = replace(tiny, teacher=tiny, alpha=1.0, temperature=4.0)
    first = fit(student, digits, lambda epoch: z)
    second = fit(student, wrong, lambda epoch: z)
    assert torch.equal(weights(first), weights(second))
    with_labels = replace(student, alpha=0.5)
    third = fit(with_labels, digits, lambda epoch: z)
    fourth = fit(with_labels, wrong, lambda epoch: z)
    assert not torch.equal(weights(third), weights(fourth))


def replace_labels(dataset: data.Dataset) -> data.Dataset:
    labels = (dataset.train.labels + 1) % 10
    return replace(dataset, train=data.Split(dataset.train.images, labels))


def test_classes_left_out_are_never_seen(tiny):
    digits = data.load("digits")
    recipe = replace(tiny, without_classes=(3, 7))
    _, index = training.transfer_set(recipe, digits)
    assert not set(digits.train.labels[index].tolist()) & {3, 7}
    count = int(((digits.train.labels[:300] != 3) & (digits.train.labels[:300] != 7)).sum())
    assert len(index) == count


def test_a_student_without_its_teacher_is_refused(tiny):
    with pytest.raises(ValueError, match="teacher_logits is None"):
        fit(replace(tiny, teacher=tiny), data.load("digits"))


def test_more_images_than_there_are_is_refused(tiny):
    with pytest.raises(ValueError, match="n_train = 5000"):
        fit(replace(tiny, n_train=5000), data.load("digits"))


def test_watching_the_test_images_changes_nothing_but_the_curve(tiny):
    digits = data.load("digits")
    plain, watched = fit(tiny, digits), fit(replace(tiny, watch_test=True), digits)
    assert torch.equal(weights(plain), weights(watched))
    assert all("test_errors" not in epoch for epoch in plain.curve)
    logits = predict(watched.net, digits.test.images, digits)
    assert watched.curve[-1]["test_errors"] == int((logits.argmax(1) != digits.test.labels).sum())


def test_a_chosen_epoch_is_read_from_the_curve():
    curve = [
        {"val_errors": 9, "test_errors": 40},
        {"val_errors": 5, "test_errors": 50},  # validation chooses this one
        {"val_errors": 7, "test_errors": 30},  # the test images this one
    ]
    assert by_epoch(curve, 200) == {
        "test_accuracy_best_epoch": 85.0,
        "test_accuracy_chosen_epoch": 75.0,
    }
    assert by_epoch([{"val_errors": 1}], 200) == {}


def test_views_in_turn_are_the_same_ones_at_every_seed(tiny):
    """A run over one stored view is a run on still images that are this view."""
    recipe = replace(tiny, views="jitter", n_views=1)
    digits = data.load("digits")
    moved = views.apply(
        digits.train.images, "jitter", recipe.view_seed, 0, torch.arange(len(digits.train))
    )
    still = replace(digits, train=data.Split(moved, digits.train.labels))
    for seed in (0, 3):
        a = fit(recipe.with_seed(seed), digits)
        b = fit(replace(tiny, views="none", seed=seed), still)
        assert torch.equal(weights(a), weights(b))


def test_nesterov_momentum_is_pytorchs_own(tiny):
    recipe = replace(tiny, optimizer="nesterov", lr=0.05, schedule="constant", epochs=2)
    digits = data.load("digits")
    assert not torch.equal(
        weights(fit(recipe, digits)), weights(fit(replace(recipe, optimizer="sgd"), digits))
    )
    made = training.Run(recipe, digits, CPU).optimizer
    assert made.defaults["nesterov"] and made.defaults["momentum"] == recipe.momentum


def test_a_frozen_filter_is_computed_and_stays(tiny):
    """FastNet's first layer makes patches white: variance one, no correlation (Page 2019)."""
    recipe = replace(
        tiny, dataset="bayes10", model="fastnet-w2", n_train=400, epochs=1, batch_size=100
    )
    bayes = data.load("bayes10")
    net = fit(recipe, bayes).net
    x = data.normalise(bayes.train.images[:400], bayes)
    kept = torch.nn.functional.conv2d(x, net.whiten.weight[:12])  # the other half is the negative
    answers = kept.transpose(0, 1).flatten(1).double()
    second_moments = answers @ answers.T / answers.shape[1]
    values = torch.linalg.eigvalsh(
        (p := F.unfold(x, 2).transpose(1, 2).flatten(0, 1).double()).T @ p / len(p)
    ).flip(0)
    assert torch.allclose(second_moments, torch.diag(values / (values + 5e-4)), atol=1e-3)
    assert torch.equal(net.whiten.weight[12:], -net.whiten.weight[:12])


def test_fastnet_answers_alike_about_an_image_and_its_mirror_image():
    bayes = data.load("bayes10")
    net = models.build("fastnet-w2")
    x = bayes.test.images[:50]
    assert torch.allclose(predict(net, x, bayes), predict(net, x.flip(3), bayes), atol=1e-6)


def test_a_gpu_that_is_asked_for_and_absent_is_an_error(monkeypatch):
    monkeypatch.setenv("KDUTILS_DEVICE", "cpu")
    assert training.pick_device() == CPU
    monkeypatch.setenv("KDUTILS_DEVICE", "gpu")
    with pytest.raises(ValueError, match="'gpu'.*cpu.*cuda"):
        training.pick_device()
    if not torch.cuda.is_available():
        monkeypatch.setenv("KDUTILS_DEVICE", "cuda")
        with pytest.raises(ValueError, match="no|none"):
            training.pick_device()


def test_a_full_gpu_names_the_batch_size_to_try(tiny, store, monkeypatch):
    def full(*args, **kwargs):
        raise torch.cuda.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr("kdutils.runs.fit", full)
    with pytest.raises(MemoryError, match="batch_size = 50. Try 25"):
        run(tiny, store)
    assert store.get(tiny) is None


def test_the_step_schedule_is_torchs_own_of_a_third_of_the_epochs():
    (weight,) = params = [torch.nn.Parameter(torch.zeros(1))]
    ours, theirs = (torch.optim.SGD(params, lr=0.4) for _ in range(2))
    by_step = training.SCHEDULES["step"](ours, 15 * 7)  # 15 epochs of 7 steps
    by_epoch = torch.optim.lr_scheduler.StepLR(theirs, step_size=5, gamma=0.5)
    weight.grad = torch.zeros(1)
    for _ in range(15):
        for _ in range(7):
            assert ours.param_groups[0]["lr"] == pytest.approx(theirs.param_groups[0]["lr"])
            ours.step()
            by_step.step()
        theirs.step()
        by_epoch.step()
