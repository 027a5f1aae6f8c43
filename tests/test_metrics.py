"""Metrics against scikit-learn, SciPy and counts by hand."""

from itertools import combinations

import numpy as np
import pytest
import torch
from scipy import stats
from sklearn.calibration import calibration_curve
from sklearn.metrics import accuracy_score, log_loss

from kdutils import metrics

RNG = np.random.default_rng(0)
Z = torch.tensor(RNG.normal(size=(500, 10)))
Y = torch.tensor(RNG.integers(0, 10, 500))


def test_accuracy_errors_and_nll_agree_with_scikit_learn():
    p = torch.softmax(Z, 1).numpy()
    assert metrics.accuracy(Z, Y) == pytest.approx(100 * accuracy_score(Y, p.argmax(1)))
    assert metrics.errors(Z, Y) == int((p.argmax(1) != Y.numpy()).sum())
    assert sum(metrics.errors_by_class(Z, Y)) == metrics.errors(Z, Y)
    assert metrics.nll(Z, Y) == pytest.approx(log_loss(Y, p, labels=range(10)))


def test_calibration_error_of_a_known_case():
    """Ten answers at confidence 0.9, of which seven are right: 20 points off."""
    z = torch.log(torch.tensor([[0.9, 0.1]])).repeat(10, 1)
    y = torch.tensor([0] * 7 + [1] * 3)
    assert metrics.calibration_error(z, y) == pytest.approx(20.0, abs=1e-4)


def test_calibration_error_of_labels_drawn_from_the_stated_probabilities_is_small():
    p = torch.tensor(RNG.dirichlet(np.full(10, 0.3), 40_000))
    y = torch.multinomial(p, 1, generator=torch.Generator().manual_seed(0))[:, 0]
    assert metrics.calibration_error(p.log(), y) < 1.0


def test_calibration_error_agrees_with_scikit_learn():
    confidence, guess = torch.softmax(3 * Z, 1).max(1)
    right, mean = calibration_curve((guess == Y).numpy(), confidence.numpy(), n_bins=15)
    n, _ = np.histogram(confidence.numpy(), bins=15, range=(0, 1))
    by_sklearn = 100 * np.average(np.abs(mean - right), weights=n[n > 0])
    assert metrics.calibration_error(3 * Z, Y) == pytest.approx(by_sklearn)


def test_fitted_temperature_of_a_known_case():
    """All answers at log-odds 4, three of four right: the likeliest T makes 4 / T = log 3."""
    z = torch.tensor([[4.0, 0.0]]).repeat(400, 1)
    y = torch.tensor([0] * 300 + [1] * 100)
    assert metrics.fit_temperature(z, y) == pytest.approx(4 / np.log(3), rel=1e-4)
    assert metrics.fit_temperature(3 * z, y) == pytest.approx(12 / np.log(3), rel=1e-4)
    assert metrics.calibration_error(z * np.log(3) / 4, y) == pytest.approx(0, abs=1e-6)


def test_kl_and_agreement():
    assert metrics.kl_to_teacher(Z + 3.0, Z) == pytest.approx(0, abs=1e-12)
    assert metrics.agreement(2 * Z, Z) == 100
    p, q = torch.softmax(Z, 1), torch.softmax(-Z, 1)
    by_scipy = float(np.mean(stats.entropy(p.numpy(), q.numpy(), axis=1)))
    assert metrics.kl_to_teacher(-Z, Z) == pytest.approx(by_scipy)


def test_mean_ci_is_the_t_interval():
    """Student 1908's sleep data: mean difference 1.58, 95 % interval 0.70 to 2.46."""
    first = [0.7, -1.6, -0.2, -1.2, -0.1, 3.4, 3.7, 0.8, 0.0, 2.0]
    second = [1.9, 0.8, 1.1, 0.1, -0.1, 4.4, 5.5, 1.6, 4.6, 3.4]
    mean, half = metrics.mean_ci(np.subtract(second, first))
    assert mean == pytest.approx(1.58)
    assert (mean - half, mean + half) == pytest.approx((0.7001, 2.4599), abs=1e-3)
    test = metrics.paired_test(second, first)
    assert test["p"] == pytest.approx(0.002833, abs=1e-6) and test["n"] == 10
    assert metrics.mean_ci([4.0]) == (4.0, None)


def test_class_bias_recovers_what_was_taken_away():
    z = 8 * torch.nn.functional.one_hot(Y, 10).double() + torch.tensor(RNG.normal(size=(500, 10)))
    z[:, 3] -= 12.0
    assert metrics.errors_by_class(z, Y)[3] == int((Y == 3).sum())
    bias = metrics.class_bias(z, Y, 3)
    z[:, 3] += bias
    assert 8 < bias < 16 and metrics.errors(z, Y) <= 3


def test_bad_input_never_yields_a_number():
    with pytest.raises(ValueError, match="not finite"):
        metrics.accuracy(torch.full((2, 3), float("nan")), torch.zeros(2, dtype=torch.long))
    with pytest.raises(ValueError, match="not finite"):
        metrics.fit_temperature(torch.full((2, 3), float("inf")), torch.zeros(2, dtype=torch.long))
    with pytest.raises(ValueError, match="N > 0"):
        metrics.errors(torch.zeros(0, 3), torch.zeros(0, dtype=torch.long))
    for values in ([], [1.0, float("nan")]):
        with pytest.raises(ValueError, match="mean_ci"):
            metrics.mean_ci(values)
    with pytest.raises(ValueError, match="same length"):
        metrics.paired_test([1.0, 2.0], [1.0])


def test_holm_is_closed_testing_with_bonferroni():
    assert metrics.holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    p = np.random.default_rng(0).random(6) ** 3
    for i, adjusted in enumerate(metrics.holm(p)):
        groups = [g for k in range(1, 7) for g in combinations(range(6), k) if i in g]
        # a hypothesis falls when Bonferroni rejects each group that holds it
        assert adjusted == pytest.approx(max(min(1, len(g) * min(p[list(g)])) for g in groups))
    assert metrics.holm([]) == []
    for bad in ([0.5, 1.5], [[0.1]], [float("nan")]):
        with pytest.raises(ValueError, match="p-values"):
            metrics.holm(bad)
