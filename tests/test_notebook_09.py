"""Chapter 09: its teachers and students, the networks of its own, and its solutions."""

import pytest
import torch
from conftest import differ, load_solutions
from experiments.networks import count_macs
from experiments.shapes import Attention

from kdutils import experiments, models
from kdutils.knowledge import average

ex = experiments.chapter("09")


@pytest.fixture(scope="module")
def solutions():
    return load_solutions("09_big_teachers")


@pytest.fixture(params=experiments.PROFILES)
def profile(request):
    return experiments.get_profile(request.param)


def test_students_differ_in_their_teacher_or_their_shape_alone(profile):
    arms = {arm.name: arm.recipe for arm in ex.arms(profile)}
    hard, strong = arms[ex.HARD], arms[ex.from_teacher(ex.STRONG)]
    for name, recipe in ex.teachers(profile).items():
        assert arms[ex.from_teacher(name)].teachers == (recipe,)
        if name != ex.STRONG:
            assert differ(arms[ex.from_teacher(name)], strong) == {"teacher"}
    learns = {"teacher", "temperature", "alpha"}
    assert learns <= differ(hard, strong) <= learns | {"bits"}
    means = [arms[ex.from_teacher(name)] for name in (ex.LOGITS, ex.PROBABILITIES)]
    assert differ(*means) == {"ensemble"}
    assert means[0].teachers == tuple(ex.teachers(profile).values())
    assert len(arms[ex.from_teacher(ex.PAIR)].teachers) == 2
    for model in ex.BUDGET[profile.name]["shapes"]:
        assert differ(arms[ex.of_shape(model)], hard) == {"model"}
        assert differ(arms[ex.of_shape(model, True)], strong) == {"model"}


def test_teachers_see_all_images_and_students_fewer(profile):
    arms = {arm.name: arm.recipe for arm in ex.arms(profile)}
    few = arms[ex.HARD].n_train
    for recipe in ex.teachers(profile).values():
        assert recipe.n_train is None or recipe.n_train > few


def test_shapes_share_one_budget_of_multiplications(profile):
    budget = count_macs(models.build(ex.student(profile).model))
    for model in ex.BUDGET[profile.name]["shapes"]:
        assert count_macs(models.build(model)) == pytest.approx(budget, rel=0.07)


def test_attention_does_not_know_where_a_token_stands():
    layer, x = Attention(64, 2), torch.randn(2, 9, 64)
    order = torch.randperm(9)
    with torch.no_grad():
        assert torch.allclose(layer(x)[:, order], layer(x[:, order]), atol=1e-6)


def test_attention_is_pytorchs():
    layer, theirs = Attention(64, 2), torch.nn.MultiheadAttention(64, 2, batch_first=True)
    theirs.in_proj_weight.data, theirs.in_proj_bias.data = (
        layer.qkv.weight.data,
        layer.qkv.bias.data,
    )
    theirs.out_proj.load_state_dict(layer.out.state_dict())
    x = torch.randn(3, 5, 64)
    with torch.no_grad():
        assert torch.allclose(layer(x), theirs(x, x, x)[0], atol=1e-5)


def test_a_patch_that_does_not_fit_is_refused():
    with pytest.raises(
        ValueError, match=r"the patch must divide 32 and 32, and 32 must divide .* 40"
    ):
        models.build("vit-4-40-1")
    with pytest.raises(ValueError, match="does not fit images of"):
        models.build("vit-5-32-1")


def test_shapes_by_hand():
    # 3 * 9 * 8 + 8 * 9 * 16 weights, 2 batch norms; 16 * 8 * 8 values after two pools
    net = models.build("convs-2x8-20")
    convs = 27 * 8 + 2 * 8 + 72 * 16 + 2 * 16
    linear = 16 * 64 * 20 + 20 + 2 * 20 + 20 * 10 + 10
    assert models.count_parameters(net) == convs + linear
    deep = models.build("convs-6x4")  # pools after every second of six; averages 16 channels
    assert deep.features(torch.zeros(1, 3, 32, 32)).shape == (1, 16, 4, 4)
    assert deep.classifier[-1].in_features == 16


def test_solution_1_counts_a_transformer(solutions):
    assert solutions.vit_parameters(4, 128, 6) == 810_890
    for patch, width, blocks in ((4, 128, 6), (8, 64, 2)):
        net = models.build(f"vit-{patch}-{width}-{blocks}")
        assert models.count_parameters(net) == solutions.vit_parameters(patch, width, blocks)


def test_solution_2_is_what_the_counter_counts(solutions):
    for patch in (8, 4):
        one, two = (count_macs(models.build(f"vit-{patch}-128-{k}")) for k in (1, 2))
        tokens = (32 // patch) ** 2
        assert 2 * tokens**2 * 128 / (two - one) == pytest.approx(solutions.attention_share(patch))
    assert solutions.attention_share(1) > 0.5 > solutions.attention_share(2)


def test_solution_3_divides_the_means(solutions):
    z = solutions.two_that_divide_the_means()
    named = [int(average(z, kind).argmax()) for kind in ("logits", "probabilities")]
    assert named[0] != named[1] and int(z[0].argmax()) not in named


def test_solution_4_no_mean_is_worse_than_its_members(solutions):
    dice = torch.Generator().manual_seed(0)
    labels = torch.randint(10, (200,), generator=dice)
    for scale in (0.1, 3.0, 30.0):
        z = scale * torch.randn(4, 200, 10, generator=dice)
        assert min(solutions.nll_gaps(z, labels).values()) > 0
    same = z[:1].repeat(4, 1, 1)
    assert solutions.nll_gaps(same, labels)["logits"] == pytest.approx(0, abs=1e-5)
    apart = torch.tensor([[[0.5, 0.3, 0.2]], [[0.5, 0.2, 0.3]]]).log()  # they agree about class 0
    gaps = solutions.nll_gaps(apart, torch.tensor([0]))
    assert gaps["probabilities"] == pytest.approx(0, abs=1e-6) and gaps["logits"] > 0.01
