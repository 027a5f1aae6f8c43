"""Chapter 12: students that look inside their teacher, their losses, and the solutions."""

import math
from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from conftest import differ, load_solutions
from experiments import inside

from kdutils import data, experiments, losses, models, runs
from kdutils.knowledge import Knowledge
from kdutils.losses import kd_loss
from kdutils.store import Store
from kdutils.training import fit, forward

ex = experiments.chapter("12")
DICE = torch.Generator().manual_seed(0)
IMAGES = torch.randn(6, 3, 32, 32, generator=DICE)


@pytest.fixture(scope="module")
def solutions():
    return load_solutions("12_inside_the_teacher")


@pytest.fixture(params=experiments.PROFILES)
def arms(request):
    return {a.name: a for a in experiments.arms("12", request.param)}


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "runs", tmp_path / "none")


def student(kind, theirs=8):
    return models.build(f"{kind}-resnet8-w2-{theirs}").train()


def met(kind):
    net, teacher = student(kind), models.build("wrn-10-1-w2").eval()
    net.meet(teacher)
    return net, teacher


def test_all_students_share_budget_images_and_views(arms):
    hard, answers = arms[ex.HARD].recipe, arms[ex.ANSWERS].recipe
    says = {"teacher", "temperature", "alpha", "bits"}
    assert {"teacher", "alpha"} < differ(hard, answers) <= says
    for name in (*ex.INSTEAD, ex.OTHERS):
        assert arms[name].recipe.alpha == 0
        assert differ(hard, arms[name].recipe) <= says | {"model", "loss", "soft_scale"}
    assert differ(arms[ex.EASY].recipe, arms[ex.RANDOM].recipe) == {"loss"}
    assistant = arms[ex.ASSISTANT].recipe
    seen = {r.view_seed for r in (assistant, arms[ex.TEACHER].recipe, answers)}
    assert len(seen) == 3  # nobody speaks about views that it was fitted to
    for name in (*ex.BESIDE, ex.FIRST, ex.EASY):
        assert differ(answers, arms[name].recipe) <= {"model", "loss", "soft_scale"}
    assert differ(answers, arms[ex.STEPS].recipe) == {"teacher"}
    assert arms[ex.STEPS].recipe.teachers == (arms[ex.ASSISTANT].recipe,)
    assert differ(arms[ex.HINT].recipe, arms[ex.OTHERS].recipe) == {"model"}
    for short, long in ((ex.ANSWERS, ex.LONG), (ex.LEVELS, ex.LONG_LEVELS)):
        assert differ(arms[short].recipe, arms[long].recipe) == {"epochs"}


def test_the_teacher_and_the_answers_are_chapter_5s():
    five = {a.recipe for a in experiments.arms("05", "laptop")}
    mine = {a.name: a.recipe for a in experiments.arms("12", "laptop")}
    assert {mine[ex.TEACHER], mine[ex.ANSWERS], mine[ex.LONG]} <= five


@pytest.mark.parametrize("kind", inside.KINDS)
def test_a_student_in_evaluation_is_the_plain_network(kind):
    net, _ = met(kind)
    assert net.eval()(IMAGES).shape == (6, 10)
    assert torch.equal(net(IMAGES), net.net(IMAGES))
    extra = sum(p.numel() for p in net.parameters()) - sum(p.numel() for p in net.net.parameters())
    pairs = {"hint-last": [(8, 8)], "hint-others": [(8, 8)], "hint-middle": [(4, 4)],
             "hint-all": [(2, 2), (4, 4), (8, 8)], "critic": [(8, 8)], "attention": []}  # fmt: skip
    critic = (8 + 10) * 64 + 64 + 64 + 1 if kind == "critic" else 0
    assert extra == critic + sum(n * m + m for n, m in pairs[kind])


def test_the_teacher_is_neither_trained_nor_saved():
    net, teacher = met("hint-last")
    assert not any(p.requires_grad for p in teacher.parameters())
    assert not any("teacher" in name for name in net.state_dict())
    before = {k: v.clone() for k, v in teacher.state_dict().items()}
    net(IMAGES).sum().backward()
    assert all(torch.equal(v, before[k]) for k, v in teacher.state_dict().items())


def test_maps_end_in_the_networks_own_logits():
    for name in ("resnet8", "resnet20-w4", "wrn-16-1"):
        net = models.build(name).eval()
        found, logits = inside.maps(net, IMAGES)
        assert torch.equal(logits, net(IMAGES))
        assert [x.shape[2] for x in found] == [32, 16, 8]


def test_unexplained_is_one_minus_r_squared():
    y = torch.randn(40, 3, 2, 2, generator=DICE)
    x = y + 0.5 * torch.randn(40, 3, 2, 2, generator=DICE)
    centre = y.mean(dim=(0, 2, 3), keepdim=True)
    r2 = 1 - ((x - y) ** 2).sum() / ((y - centre) ** 2).sum()  # of all channels together
    assert math.isclose(inside.unexplained(x, y).mean(), 1 - r2, rel_tol=1e-5)


def test_extra_outputs_are_the_distances_by_hand():
    net, teacher = met("hint-all")
    z = net(IMAGES)
    with torch.no_grad():
        ours, logits = inside.maps(net.net, IMAGES)
        theirs, _ = inside.maps(teacher, IMAGES)
        each = [((f(x) - y) ** 2).mean(dim=(1, 2, 3)) / y.var(dim=(0, 2, 3), correction=0).mean()
                for f, x, y in zip(net.adapt, ours, theirs, strict=True)]  # fmt: skip
    assert torch.allclose(z[:, :10], logits, atol=1e-5)
    assert torch.allclose(z[:, 10], torch.stack(each).mean(0), rtol=1e-4)
    assert (z[:, -1] == 1).all() and (net(IMAGES)[:, -1] == 2).all()

    net, teacher = met("attention")
    z = net(IMAGES)
    with torch.no_grad():
        both = inside.maps(net.net, IMAGES)[0], inside.maps(teacher, IMAGES)[0]
    total = torch.zeros(6)
    for x, y in zip(*both, strict=True):
        a, b = ((m**2).sum(dim=1).flatten(1) for m in (x, y))
        total += ((a / a.norm(dim=1)[:, None] - b / b.norm(dim=1)[:, None]) ** 2).mean(dim=1)
    assert torch.allclose(z[:, 10], total, rtol=1e-4, atol=1e-7)


def test_others_sees_the_next_images_map():
    torch.manual_seed(0)
    same, teacher = met("hint-last")
    other = student("hint-others")
    other.load_state_dict(same.state_dict())
    other.meet(teacher)
    with torch.no_grad():
        theirs = inside.maps(teacher, IMAGES)[0][-1].roll(1, dims=0)
        guess = other.adapt[0](inside.maps(other.net, IMAGES)[0][-1])
    assert torch.allclose(other(IMAGES)[:, 10], inside.unexplained(guess, theirs), rtol=1e-4)


def test_critic_and_student_move_by_their_own_losses_alone():
    net, _ = met("critic")
    z = net(IMAGES)
    critic = [*net.critic.parameters()]
    own = [*net.net.parameters(), *net.adapt.parameters()]
    lesson = F.softplus(z[:, 10]).mean() + F.softplus(-z[:, 11]).mean()
    fool = F.softplus(-z[:, 12]).mean()
    moved = lambda loss, parts: any(  # noqa: E731
        g is not None and g.any()
        for g in torch.autograd.grad(loss, parts, retain_graph=True, allow_unused=True)
    )
    assert moved(lesson, critic) and not moved(lesson, own)
    assert moved(fool, own) and not moved(fool, critic)
    assert torch.allclose(z[:, 10], z[:, 12]), "the critic says the same, whoever learns from it"


def test_the_game_is_about_each_image():
    dice = torch.Generator().manual_seed(1)
    critic = torch.nn.Sequential(torch.nn.Linear(12, 4), torch.nn.ReLU(), torch.nn.Linear(4, 1))
    ours, theirs, answers = (torch.randn(6, n, generator=dice) for n in (8, 8, 4))
    total = lambda *parts: sum(F.softplus(d).mean() for d in inside.play(critic, *parts))  # noqa: E731
    one = total(ours, theirs, answers)
    order = torch.tensor([3, 4, 5, 0, 1, 2])
    assert torch.isclose(one, total(ours[order], theirs[order], answers[order]), atol=1e-6)
    assert not torch.isclose(one, total(ours, theirs[order], answers), atol=1e-4)
    assert torch.isclose(one, total(ours, 7 * theirs + 3, answers), atol=1e-3), "no unit"


def test_losses_by_hand(arms):
    z, t = torch.randn(8, 10, generator=DICE), torch.randn(8, 10, generator=DICE)
    y, d = torch.randint(10, (8,), generator=DICE), torch.rand(8, 3, generator=DICE)
    step = lambda k: torch.full((8, 1), float(k))  # noqa: E731
    r = arms[ex.LEVELS].recipe
    answers = kd_loss(z, t, y, r.temperature, r.alpha)
    whole = losses.of("distances")(torch.cat([z, d[:, :1], step(1)], 1), t, y, r)
    assert torch.isclose(whole, answers + r.soft_scale * d[:, 0].mean())
    bce = F.binary_cross_entropy_with_logits
    zero, one = torch.zeros(8), torch.ones(8)
    r = arms[ex.OPPONENT].recipe
    game = bce(d[:, 0], zero) + bce(d[:, 1], one) + r.soft_scale * bce(d[:, 2], one)
    assert torch.isclose(
        losses.of("opponent")(torch.cat([z, d, step(1)], 1), t, y, r), answers + game
    )
    r = replace(arms[ex.FIRST].recipe, n_train=80, batch_size=8, epochs=3)  # 30 steps
    for k, expected in ((1, r.soft_scale * d[:, 0].mean()), (10, r.soft_scale * d[:, 0].mean()),
                        (11, answers), (30, answers)):  # fmt: skip
        found = losses.of("hint-first")(torch.cat([z, d[:, :1], step(k)], 1), t, y, r)
        assert torch.isclose(found, expected), k


def test_a_curriculum_grows_from_the_easy_images_to_all(arms):
    z, t = torch.randn(10, 10, generator=DICE), torch.randn(10, 10, generator=DICE)
    y = torch.randint(10, (10,), generator=DICE)
    r = replace(arms[ex.EASY].recipe, n_train=80, batch_size=10, epochs=10)  # 80 steps
    order = t.softmax(1)[range(10), y].argsort(descending=True)
    for k, n in ((1, 3), (21, 6), (41, 10), (80, 10)):  # .3, .3 + .7 * .25 / .5 = .65, 1, 1
        kept = order[: round(inside.EASY * 10) if k == 1 else n]
        found = losses.of("easy-first")(torch.cat([z, torch.full((10, 1), float(k))], 1), t, y, r)
        assert torch.isclose(found, kd_loss(z[kept], t[kept], y[kept], r.temperature, r.alpha)), k
        found = losses.of("some-first")(torch.cat([z, torch.full((10, 1), float(k))], 1), t, y, r)
        assert torch.isclose(found, kd_loss(z[:n], t[:n], y[:n], r.temperature, r.alpha)), k


def test_a_run_looks_inside_resumes_and_needs_its_teachers_network(store, tmp_path):
    arms = {a.name: a.recipe for a in experiments.arms("12", "smoke")}
    teacher = replace(arms[ex.TEACHER], n_train=50)
    recipe = replace(arms[ex.HINT], teacher=(teacher,), n_train=50, epochs=2)
    assert recipe.looks_inside and not arms[ex.ANSWERS].looks_inside
    record = runs.run(recipe, store)
    assert record.failure is None and store.weights(teacher) is not None
    dataset, known = data.load(recipe.dataset), runs.knowledge_of(recipe, store)
    assert known.complete and known.nets, "the answers are stored, and yet the network is there"
    whole = fit(recipe, dataset, known.lesson, teacher=known.nets[0])
    assert [e["train_loss"] for e in whole.curve] == [e["train_loss"] for e in record.curve]

    class Stop(Exception):
        pass

    def stop(done):
        if done > 1:
            raise Stop

    path = tmp_path / "half.ckpt"
    with pytest.raises(Stop):
        fit(recipe, dataset, known.lesson, path, on_step=stop, teacher=known.nets[0])
    again = fit(recipe, dataset, known.lesson, path, teacher=known.nets[0])
    for a, b in zip(whole.net.state_dict().values(), again.net.state_dict().values(), strict=True):
        assert torch.equal(a, b)
    with pytest.raises(ValueError, match="looks inside"):
        fit(recipe, dataset, known.lesson)


def test_several_teachers_or_the_posterior_cannot_be_looked_into():
    arms = {a.name: a.recipe for a in experiments.arms("12", "smoke")}
    hint, teacher = arms[ex.HINT], arms[ex.TEACHER]
    for given in (None, "posterior", (teacher, replace(teacher, seed=1))):
        with pytest.raises(ValueError, match="teacher = .* must be one Recipe"):
            replace(hint, teacher=given, n_views=0, bits=16)


def test_a_network_that_cannot_look_inside_is_refused(store):
    arms = {a.name: a.recipe for a in experiments.arms("12", "smoke")}
    plain = replace(
        arms[ex.HINT],
        model="resnet8-w2",
        teacher=(replace(arms[ex.TEACHER], n_train=50),),
        n_train=50,
    )
    with pytest.raises(ValueError, match="meet"):
        runs.run(plain, store)


def test_the_teachers_stored_answers_are_those_of_its_committed_weights():
    recipe = {a.name: a.recipe for a in experiments.arms("12", "laptop")}[ex.ANSWERS]
    store = Store()
    if not (data.folder() / "cifar-10-batches-py" / "test_batch").exists():
        pytest.skip("CIFAR-10 is not under the data folder")
    net = runs.trained(recipe.teachers[0], store)
    dataset = data.load("cifar10")
    with torch.no_grad():
        z = forward(net, data.normalise(dataset.test.images[:200], dataset), "float32")
    stored = Knowledge(recipe, dataset, store).on_test()[:200]
    assert (z.argmax(1) == stored.argmax(1)).float().mean() > 0.97  # stored in bfloat16's wake


def test_solutions(solutions):
    answers, _, attention = ex.PUBLISHED.values()
    ahead, p = solutions.sign_test(answers, attention)
    assert ahead == 6 and math.isclose(p, 16 / 128)
    assert math.isclose(solutions.sign_test(range(1, 8), [0] * 7)[1], 2 / 128)
    with_map, without = solutions.with_and_without_adaptor()
    assert with_map < 1e-6 and abs(without - 2) < 0.3
    turn, _ = torch.linalg.qr(torch.randn(5, 5, generator=DICE))
    assert (
        solutions.change_of_attention(turn)
        < 1e-6
        < 0.01
        < solutions.change_of_attention(torch.diag(torch.arange(1.0, 6)))
    )
    seems, honest = solutions.seeming_gain()
    assert abs(seems - 0.465) < 0.01 and abs(honest) < 0.01
