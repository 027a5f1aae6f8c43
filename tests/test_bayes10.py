"""bayes10: the sampler follows its definition, and the posterior is the true one.

The reference below is written from the definition in the module's docstring with nothing but its
constants and canvases: an explicit loop over all latents, in float64, normalisers included.
"""

import hashlib
import math

import numpy as np
import pytest
import torch
from experiments import bayes10, bayes10_scenes
from experiments.bayes10 import CLASSES, posterior, sample
from scipy import stats


def noise_log_normaliser() -> float:
    return math.log(sum(math.exp(-(n**2) / (2 * bayes10.SIGMA**2)) for n in range(-300, 301)))


def latents():
    """Every (pair, level, prior of the other latents, mean image [3, 32, 32])."""
    canvases = bayes10.canvases().astype(np.float64)
    uniform = 1 / (bayes10.LOOKS * len(bayes10.SHIFTS) * 2)
    for pair in range(5):
        for level in range(bayes10.LEVELS):
            for look in range(bayes10.LOOKS):
                for dy, dx in bayes10.SHIFTS:
                    canvas = canvases[pair, level, look]
                    mean = np.empty((3, 32, 32))
                    for row in range(32):
                        mean[:, row] = canvas[:, 1 + row - dy, 1 - dx : 33 - dx]
                    yield pair, level, uniform, mean
                    yield pair, level, uniform, mean[:, :, ::-1]


def posterior_by_the_definition(images: torch.Tensor) -> np.ndarray:
    x = images.numpy().astype(np.float64)
    joint = [[] for _ in CLASSES]  # log p(x, y, latent), a row of images each
    for pair, level, uniform, mean in latents():
        squares = ((x - mean) ** 2).sum(axis=(1, 2, 3))
        log_density = -squares / (2 * bayes10.SIGMA**2) - 3 * 32 * 32 * noise_log_normaliser()
        for y in (2 * pair, 2 * pair + 1):
            prior = 0.1 * bayes10.LEVEL_GIVEN_CLASS[y, level] * uniform
            joint[y].append(math.log(prior) + log_density)
    log_joint = np.stack([np.logaddexp.reduce(np.stack(rows), axis=0) for rows in joint], axis=1)
    return np.exp(log_joint - np.logaddexp.reduce(log_joint, axis=1)[:, None])


@pytest.fixture(scope="module")
def drawn():
    """20,000 fresh images with labels and posterior."""
    images, labels = sample(20_000, seed=2026)
    return images, labels, posterior(images)


def test_posterior_equals_brute_force_over_all_latents():
    images, _ = sample(12, seed=3)
    generator = torch.Generator().manual_seed(0)
    strangers = torch.randint(0, 256, (3, 3, 32, 32), dtype=torch.uint8, generator=generator)
    extremes = torch.stack([torch.zeros_like(images[0]), torch.full_like(images[0], 255)])
    halfway = ((images[:3].int() + images[3:6].int()) // 2).to(torch.uint8)
    asked = torch.cat([images, strangers, extremes, halfway])
    given = posterior(asked)
    assert given.dtype == torch.float64 and given.shape == (len(asked), 10)
    np.testing.assert_allclose(given.numpy(), posterior_by_the_definition(asked), atol=1e-9)
    # to be a test at all, it must have seen doubt as well as certainty
    assert ((given > 0.1) & (given < 0.9)).any() and (given > 0.999).any()


def test_posterior_is_a_distribution_and_does_not_depend_on_the_batch(drawn):
    images, _, probabilities = drawn
    assert (probabilities >= 0).all()
    torch.testing.assert_close(probabilities.sum(1), torch.ones(20_000, dtype=torch.float64))
    alone = torch.cat([posterior(image[None]) for image in images[:20]])
    torch.testing.assert_close(alone, probabilities[:20], rtol=0, atol=1e-12)
    assert posterior(images[:0]).shape == (0, 10)


def test_posterior_is_calibrated(drawn):
    _, labels, probabilities = drawn
    stated = probabilities.numpy()
    hit = np.eye(10)[labels.numpy()]
    edges = np.array([0, 1e-3, 0.01, 0.05, 0.15, 0.35, 0.65, 0.85, 0.95, 0.99, 0.999, 1 + 1e-9])
    groups = [stated >= 0] + [
        (stated >= low) & (stated < high) for low, high in zip(edges, edges[1:], strict=False)
    ]
    groups += [g & (np.arange(10) == y) for g in groups[1:] for y in range(10)]
    tested = 0
    for group in groups:
        p = stated[group]
        spread = math.sqrt((p * (1 - p)).sum())
        # 4.5 standard deviations, and four events of grace where they are too rare for a normal
        assert abs(hit[group].sum() - p.sum()) <= 4.5 * spread + 4
        tested += spread > 5
    assert tested >= 20


def test_bayes_accuracy_lies_between_93_and_97_percent_and_is_what_the_posterior_promises(drawn):
    _, labels, probabilities = drawn
    best, guess = probabilities.max(1)
    accuracy, promised = (guess == labels).double().mean().item(), best.mean().item()
    assert 0.93 < promised < 0.97 and 0.93 < accuracy < 0.97
    assert abs(accuracy - promised) < 4 * (best * (1 - best)).sum().sqrt().item() / len(labels)


def test_only_the_two_classes_of_a_pair_are_ever_confused(drawn):
    _, labels, probabilities = drawn
    pairs = probabilities.view(-1, 5, 2).sum(2)
    assert (pairs.gather(1, labels[:, None] // 2) > 1 - 1e-9).all()
    wrong = probabilities.argmax(1) != labels
    assert all((wrong & (labels == y)).any() for y in range(10))


def test_classes_are_equally_frequent(drawn):
    _, labels, _ = drawn
    assert len(CLASSES) == len(set(CLASSES)) == 10
    assert stats.chisquare(torch.bincount(labels, minlength=10).numpy()).pvalue > 1e-4


def test_the_scenes_are_those_that_the_records_rest_on():
    digest = hashlib.sha256(bayes10.canvases().tobytes()).hexdigest()
    assert digest.startswith("b26162ee273e3158")


def test_painting_the_scenes_gives_the_file():
    painted = bayes10_scenes.scenes()
    # equal where the file was written; a platform whose sines and logarithms differ in their last
    # bit may round a few values of the 554,880 to the next integer
    apart = np.abs(painted.astype(int) - bayes10.canvases())
    assert apart.max() <= 1 and apart.sum() <= 50


def test_no_value_comes_near_the_ends_of_the_range(drawn):
    images, _, _ = drawn
    canvases = bayes10.canvases()
    assert bayes10.MARGIN >= 8 * bayes10.SIGMA
    assert canvases.min() >= bayes10.MARGIN and canvases.max() <= 255 - bayes10.MARGIN
    assert images.min() > 0 and images.max() < 255


def test_images_are_a_mean_plus_discrete_gaussian_noise():
    images, labels = sample(100, seed=5)
    x = images.numpy().astype(np.float64)
    nearest = np.full(len(x), np.inf)
    noise, levels = np.empty_like(x), np.empty((2, len(x)), int)
    for pair, level, _, mean in latents():
        squares = ((x - mean) ** 2).sum(axis=(1, 2, 3))
        closer = squares < nearest
        nearest[closer] = squares[closer]
        noise[closer] = x[closer] - mean
        levels[:, closer] = [[pair], [level]]
    assert (levels[0] == labels.numpy() // 2).all()
    steps = np.arange(-19, 20)
    weights = np.exp(-(np.arange(-300, 301) ** 2) / (2 * bayes10.SIGMA**2))
    expected = weights[300 - 19 : 300 + 20] / weights.sum()
    counts = np.array([(noise == n).sum() for n in steps])
    rest = noise.size - counts.sum()
    result = stats.chisquare(
        np.append(counts, rest), noise.size * np.append(expected, 1 - expected.sum())
    )
    assert result.pvalue > 1e-4
    # over both classes the levels of the continuum are equally frequent
    level_counts = np.bincount(levels[1], minlength=bayes10.LEVELS)
    assert stats.chisquare(level_counts).pvalue > 1e-4
    np.testing.assert_allclose(bayes10.LEVEL_GIVEN_CLASS.sum(1), 1)


def test_a_mirrored_image_has_the_same_posterior(drawn):
    images, _, probabilities = drawn
    mirrored = posterior(images[:200].flip(3))
    torch.testing.assert_close(mirrored, probabilities[:200], rtol=0, atol=1e-9)


@pytest.mark.parametrize("shift", bayes10.SHIFTS)
def test_at_any_shift_a_clean_image_tells_its_level_and_nothing_more(shift):
    dy, dx = shift
    look = 1
    window = bayes10.canvases()[:, :, look, :, 1 - dy : 33 - dy, 1 - dx : 33 - dx]
    given = posterior(torch.from_numpy(window.reshape(-1, 3, 32, 32).copy()))
    given = given.view(5, bayes10.LEVELS, 10)
    for pair in range(5):
        both = bayes10.LEVEL_GIVEN_CLASS[2 * pair : 2 * pair + 2]  # [2, levels]
        expected = torch.from_numpy(both / both.sum(0)).T
        actual = given[pair, :, 2 * pair : 2 * pair + 2]
        torch.testing.assert_close(actual, expected, rtol=0, atol=1e-9)


def test_templates_are_morph_continua_in_which_neighbours_look_most_alike():
    shown = bayes10.templates()
    assert shown.shape == (5, bayes10.LEVELS, 3, 32, 32) and shown.dtype == torch.uint8
    flat = shown.flatten(2).double()
    apart = torch.cdist(flat, flat)  # [5, levels, levels]
    # one step up the continuum always leads further away from its beginning
    assert (apart[:, 0].diff() > 0).all() and (apart[:, -1].diff() < 0).all()
    ends = flat[:, [0, -1]]
    within = (ends[:, 0] - ends[:, 1]).norm(dim=1)
    for pair in range(5):
        others = torch.cat([flat[:pair], flat[pair + 1 :]]).flatten(0, 1)
        assert torch.cdist(ends[pair], others).min() > within[pair]


def test_same_seed_same_images_and_a_longer_sample_begins_with_the_shorter():
    images, labels = sample(700, seed=11)
    assert images.dtype == torch.uint8 and images.shape == (700, 3, 32, 32)
    assert labels.dtype == torch.int64 and labels.shape == (700,)
    torch.manual_seed(5)
    for n in (1, 100, 250, 251, 700):
        again, labels_again = sample(n, seed=11)
        assert torch.equal(again, images[:n]) and torch.equal(labels_again, labels[:n])
    assert not torch.equal(sample(700, seed=12)[1], labels)
    assert not torch.equal(labels[:250], labels[250:500])
    far = sample(250, seed=11 + 2**32)[1]  # no other block of a small seed in disguise
    assert not torch.equal(far, labels[250:500])


def test_what_is_returned_can_be_changed_without_harm():
    before = sample(20, seed=0)[0].clone()
    sample(20, seed=0)[0].zero_()
    bayes10.templates().zero_()
    assert torch.equal(sample(20, seed=0)[0], before)
    with pytest.raises(ValueError, match="read-only"):
        bayes10.canvases()[:] = 0


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        ((0, 1), ValueError, ["n is 0", ">= 1", "n=1000"]),
        ((-5, 1), ValueError, ["n is -5", ">= 1"]),
        ((2.5, 1), TypeError, ["n is 2.5", "float", ">= 1"]),
        ((True, 1), TypeError, ["n is True", "bool"]),
        (("10", 1), TypeError, ["n is '10'", "str"]),
        ((10, None), TypeError, ["seed is None", ">= 0"]),
        ((10, -1), ValueError, ["seed is -1", ">= 0", "seed="]),
    ],
)
def test_sample_refuses_a_bad_count_or_seed_and_says_what_is_allowed(arguments, error, words):
    with pytest.raises(error) as caught:
        sample(*arguments)
    assert all(word in str(caught.value) for word in words)


@pytest.mark.parametrize(
    ("images", "error", "words"),
    [
        (torch.zeros(2, 3, 32, 32), TypeError, ["torch.float32", "torch.uint8", "scaled"]),
        (np.zeros((2, 3, 32, 32), np.uint8), TypeError, ["ndarray", "torch.uint8"]),
        (torch.zeros(3, 32, 32, dtype=torch.uint8), ValueError, ["(3, 32, 32)", "[n, 3, 32, 32]"]),
        (torch.zeros(2, 32, 32, 3, dtype=torch.uint8), ValueError, ["(2, 32, 32, 3)"]),
        (torch.zeros(2, 1, 28, 28, dtype=torch.uint8), ValueError, ["(2, 1, 28, 28)"]),
    ],
)
def test_posterior_refuses_another_dtype_or_shape_and_says_what_is_allowed(images, error, words):
    with pytest.raises(error) as caught:
        posterior(images)
    assert all(word in str(caught.value) for word in words)
