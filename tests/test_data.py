"""Data sets, their fixed splits, and the error where there is neither file nor network."""

import hashlib
import time

import pytest
import torch
from conftest import needs_mnist
from sklearn.datasets import load_digits

from kdutils import data


def digest(split: data.Split) -> str:
    return hashlib.sha256(split.images.numpy().tobytes()).hexdigest()


def test_digits_are_scikit_learns_in_the_form_of_mnist():
    digits = data.load("digits")
    sizes = [len(s) for s in (digits.train, digits.val, digits.test)]
    assert sizes == [1100, 197, 500]
    assert digits.in_shape == (1, 28, 28) and digits.train.images.dtype == torch.uint8
    labels = torch.cat([s.labels for s in (digits.train, digits.val, digits.test)])
    assert torch.equal(labels.bincount(), torch.tensor(load_digits().target).bincount())
    images = torch.cat([s.images for s in (digits.train, digits.val, digits.test)])
    # enlarged three times, an image keeps its mean brightness: 64 cells of 16 are 576 pixels of 255
    ours = images.double().sum() / 255 / 576
    theirs = torch.tensor(load_digits().images).sum() / 16 / 64
    assert float(ours) == pytest.approx(float(theirs), rel=0.002)


def test_splits_are_disjoint_and_the_same_every_time():
    digits = data.load("digits")
    rows = [
        {image.numpy().tobytes() for image in s.images}
        for s in (digits.train, digits.val, digits.test)
    ]
    distinct = len({image.tobytes() for image in load_digits().images})
    assert sum(map(len, rows)) == len(rows[0] | rows[1] | rows[2]) == distinct
    data.load.cache_clear()
    assert digest(data.load("digits").val) == digest(digits.val)


def test_normalise_uses_mean_and_deviation_of_the_pixels():
    digits = data.load("digits")
    x = data.normalise(digits.train.images, digits)
    black = (0 - 0.1307) / 0.3081
    assert x.dtype == torch.float32 and float(x.min()) == pytest.approx(black)


def test_an_unknown_data_set_is_refused():
    with pytest.raises(ValueError, match="not a data set of the course"):
        data.load("imagenet")


@pytest.mark.parametrize("name", ["mnist", "cifar10", "cifar100"])
def test_without_file_and_network_an_error_names_folder_and_ways_out(name, tmp_path, monkeypatch):
    monkeypatch.setenv("KDUTILS_DATA", str(tmp_path))
    for proxy in ("http_proxy", "https_proxy"):  # a closed port: nothing is reached
        monkeypatch.setenv(proxy, "http://127.0.0.1:9")
        monkeypatch.setenv(proxy.upper(), "http://127.0.0.1:9")
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    data.load.cache_clear()
    start = time.perf_counter()
    with pytest.raises(data.MissingData) as error:
        data.load(name)
    assert time.perf_counter() - start < 10
    text = str(error.value)
    assert str(tmp_path) in text and "KDUTILS_DATA" in text and 'PROFILE = "smoke"' in text
    assert name.upper() in text
    data.load.cache_clear()


@needs_mnist
def test_mnist_is_split_55_5_10_thousand_and_holds_every_image_once():
    mnist = data.load("mnist")
    assert [len(s) for s in (mnist.train, mnist.val, mnist.test)] == [55_000, 5_000, 10_000]
    # the published counts of the training digits (LeCun, Cortes, Burges)
    counts = [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]
    assert mnist.all.labels.bincount().tolist() == counts
    assert int((mnist.test.labels == 3).sum()) == 1010
    pixels = data.normalise(mnist.all.images[:20_000], mnist)
    assert abs(float(pixels.mean())) < 0.01 and abs(float(pixels.std()) - 1) < 0.01
