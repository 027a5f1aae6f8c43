"""Data sets, their fixed splits, and the error where there is neither file nor network."""

import hashlib
import http.server
import socket
import threading
import time
from dataclasses import replace

import numpy as np
import pytest
import torch
import torchvision
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
    data._loaded.cache_clear()
    assert digest(data.load("digits").val) == digest(digits.val)


def test_normalise_uses_mean_and_deviation_of_the_pixels():
    digits = data.load("digits")
    x = data.normalise(digits.train.images, digits)
    black = (0 - 0.1307) / 0.3081
    assert x.dtype == torch.float32 and float(x.min()) == pytest.approx(black)


def test_an_unknown_data_set_is_refused():
    with pytest.raises(ValueError, match=r"'imagenet' is not.*'mnist'.*data\.register"):
        data.load("imagenet")


@pytest.mark.parametrize("name", ["mnist", "cifar10", "cifar100"])
def test_without_file_and_network_an_error_names_folder_and_ways_out(name, tmp_path, monkeypatch):
    monkeypatch.setenv("KDUTILS_DATA", str(tmp_path))
    for proxy in ("http_proxy", "https_proxy"):  # a closed port: nothing is reached
        monkeypatch.setenv(proxy, "http://127.0.0.1:9")
        monkeypatch.setenv(proxy.upper(), "http://127.0.0.1:9")
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    data._loaded.cache_clear()
    start = time.perf_counter()
    with pytest.raises(data.MissingData) as error:
        data.load(name)
    assert time.perf_counter() - start < 10
    text = str(error.value)
    assert str(tmp_path) in text and "KDUTILS_DATA" in text and 'PROFILE = "smoke"' in text
    assert name.upper() in text and "Errno" not in text.split("Two ways out")[1]
    data._loaded.cache_clear()


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


@pytest.fixture
def far_away(tmp_path, monkeypatch):
    """A server on this machine stands in for the home of CIFAR-10: it answers once it is let go."""
    asked, let_go = [], threading.Event()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):  # noqa: N802
            asked.append(self.path)
            let_go.wait(10)
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"not CIFAR")

        do_HEAD = do_GET  # noqa: N815

        def log_message(self, *args):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        monkeypatch.setenv("no_proxy", "*")
        url = f"http://127.0.0.1:{server.server_port}/cifar.tar.gz"
        monkeypatch.setattr(torchvision.datasets.CIFAR10, "url", url)
        monkeypatch.setenv("KDUTILS_DATA", str(tmp_path / "data"))
        data._loaded.cache_clear()
        yield asked, let_go
        let_go.set()
        server.shutdown()


def test_an_archive_that_is_not_the_data_set_is_refused(far_away, tmp_path):
    asked, let_go = far_away
    let_go.set()
    with pytest.raises(data.MissingData, match="download failed"):
        data.load("cifar10")
    assert asked and set(asked) == {"/cifar.tar.gz"}
    archive = tmp_path / "data" / torchvision.datasets.CIFAR10.filename
    assert archive.read_bytes() == b"not CIFAR"  # it was fetched, and its checksum compared


def test_a_server_that_does_not_answer_is_given_up(far_away, monkeypatch):
    monkeypatch.setattr(data, "PATIENCE", 0.3)
    start = time.perf_counter()
    with pytest.raises(data.MissingData, match="timed out"):
        data.load("cifar10")
    assert far_away[0] and time.perf_counter() - start < 5
    assert socket.getdefaulttimeout() is None


def arrays(n=40, shape=(28, 28), seed=0):
    rng = np.random.default_rng(seed)
    return rng.integers(0, 256, (n, *shape), dtype=np.uint8), np.arange(n) % 4


@pytest.mark.parametrize("shape", [(16, 16), (16, 16, 3), (3, 16, 16)])
def test_a_data_set_from_arrays_keeps_every_image_and_its_label(shape):
    x, y = arrays(40, shape)
    made = data.from_arrays("mine", x, y, x[:10], y[:10], n_val=8)
    assert [len(s) for s in (made.train, made.val, made.test)] == [32, 8, 10]
    channels = 1 if len(shape) == 2 else 3
    assert made.in_shape == (channels, 16, 16) and made.classes == ("0", "1", "2", "3")
    want = x[:, None] if len(shape) == 2 else x if shape[0] == 3 else np.moveaxis(x, 3, 1)
    label_of = {image.tobytes(): label for image, label in zip(want, y, strict=True)}
    both = made.all
    assert len(label_of) == len(both) == 40
    for image, label in zip(both.images, both.labels, strict=True):
        assert label_of.pop(image.numpy().tobytes()) == int(label)
    pixels = made.train.images.numpy() / 255
    assert made.mean == pytest.approx(pixels.mean((0, 2, 3)), abs=1e-4)
    assert made.std == pytest.approx(pixels.std((0, 2, 3)), abs=1e-3)
    again = data.from_arrays("mine", torch.tensor(x), y.tolist(), x[:10], y[:10])
    assert len(again.val) == 4 and set(map(bytes_of, again.val.images)) <= set(
        map(bytes_of, made.val.images)
    )


def bytes_of(image):
    return image.numpy().tobytes()


X, Y = arrays()


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"images": X / 255}, r"train: images torch.float64 .*expected .*uint8.*0 to 255"),
        ({"images": X[:, :, :20]}, r"\[40, 1, 28, 20\].*expected square"),
        ({"images": arrays(40, (27, 27))[0]}, r"\[40, 1, 27, 27\].*even size up to 32"),
        ({"images": arrays(40, (64, 64))[0]}, r"\[40, 1, 64, 64\].*up to 32: pad or resize"),
        (
            {"test_images": arrays(40, (28, 28, 3))[0]},
            r"test: images of \[3, 28, 28\].*\[1, 28, 28\]",
        ),
        ({"labels": Y[:30]}, r"images .*\[40, 1, 28, 28\], labels torch.int64 \[30\].*each image"),
        ({"labels": Y / 2}, "labels torch.float64.*whole number"),
        ({"labels": Y - 1}, "labels from -1 to 2; expected .* 0 to 2"),
        ({"classes": ["a", "b"]}, "labels from 0 to 3; expected .* 0 to 1"),
        ({"images": np.zeros_like(X)}, r"std = \(0.0,\).*above 0"),
        ({"n_val": 40}, "n_val = 40; expected 1 to 39"),
        ({"n_val": 0}, "n_val = 0"),
        ({"images": X[:0], "labels": Y[:0]}, "at least one image"),
    ],
)
def test_what_does_not_fit_together_is_named(given, message):
    good = {"images": X, "labels": Y, "test_images": X, "test_labels": Y % 3}
    with pytest.raises(ValueError, match=message):
        data.from_arrays("mine", **(good | given))


def test_a_data_set_checks_itself_however_it_was_made():
    digits = data.load("digits")
    with pytest.raises(ValueError, match="digits: mean = .*each of 1 channels"):
        replace(digits, mean=(0.1, 0.2, 0.3))
    with pytest.raises(ValueError, match="val: .*torch.int32"):
        replace(digits, val=data.Split(digits.val.images, digits.val.labels.int()))


def test_a_readers_data_set_is_loaded_once_and_under_its_name(clean_registries):
    calls = []

    def load():
        calls.append(1)
        return data.from_arrays("whatever", X, Y, X, Y)

    assert data.register("mine", load) is load
    assert data.load("mine").name == "mine" and data.load("mine") is data.load("mine")
    assert len(calls) == 1

    def load():
        return X, Y

    data.register("mine", load, replace=True)
    with pytest.raises(ValueError, match="returned a tuple, not a data.Dataset"):
        data.load("mine")
