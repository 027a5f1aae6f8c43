"""A view is a pure function of (seed, epoch, index)."""

import numpy as np
import pytest
import torch

from kdutils import views

N = 60
MOVING = [kind for kind in views.KINDS if kind != "none"]


def images(size: int = 28, channels: int = 1, n: int = N) -> torch.Tensor:
    rng = np.random.default_rng(0)
    return torch.tensor(rng.integers(0, 256, (n, channels, size, size)), dtype=torch.uint8)


@pytest.mark.parametrize("kind", views.KINDS)
def test_pixels_do_not_depend_on_order_or_batch_size(kind):
    x, index = images(), torch.arange(N)
    whole = views.apply(x, kind, seed=3, epoch=5, index=index)
    order = torch.randperm(N, generator=torch.Generator().manual_seed(1))
    for size in (1, 7, N):
        parts = [views.apply(x[i], kind, 3, 5, index[i]) for i in order.split(size)]
        assert torch.equal(torch.cat(parts), whole[order])


@pytest.mark.parametrize("kind", views.KINDS)
def test_pixels_do_not_depend_on_the_number_of_threads(kind):
    x, index = images(), torch.arange(N)
    one = views.apply(x, kind, 0, 0, index)
    torch.set_num_threads(2)
    try:
        assert torch.equal(views.apply(x, kind, 0, 0, index), one)
    finally:
        torch.set_num_threads(1)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device on this machine")
@pytest.mark.parametrize("kind", views.KINDS)
def test_pixels_do_not_depend_on_the_device(kind):
    x, index = images(32, 3), torch.arange(N)
    cpu = views.apply(x, kind, 3, 5, index)
    assert torch.equal(views.apply(x.cuda(), kind, 3, 5, index.cuda()).cpu(), cpu)


@pytest.mark.parametrize("kind", MOVING)
def test_seed_epoch_and_index_each_change_the_view(kind):
    x = images(n=1).expand(N, -1, -1, -1)
    index = torch.arange(N)
    view = views.apply(x, kind, 0, 0, index)
    assert not torch.equal(view, views.apply(x, kind, 1, 0, index))
    assert not torch.equal(view, views.apply(x, kind, 0, 1, index))
    assert len({row.numpy().tobytes() for row in view}) > 10


@pytest.mark.parametrize("kind", MOVING)
def test_every_intermediate_of_a_warp_is_exact(kind):
    """The same warp in float64 gives the same bits: nothing was rounded on the way in float32.

    Views of whole pixels are read without a warp, and must give what the warp gives.
    """
    x, index = images(32, 3), torch.arange(N)
    weights = views._weights(views.KINDS[kind], 2, 9, index)
    basis = views._basis(torch.device("cpu"))[: weights.shape[2]]
    fields = weights.double() @ basis.double()
    assert torch.equal(fields, (weights @ basis).double())
    moved = torch.floor((fields + 32) / 64) / 64
    at = torch.arange(32.0, dtype=torch.float64)
    grid_x = (2 * (moved[:, 0].view(-1, 32, 32) + at) + 1) / 32 - 1
    grid_y = (2 * (moved[:, 1].view(-1, 32, 32) + at[:, None]) + 1) / 32 - 1
    grid = torch.stack([grid_x, grid_y], dim=3)
    exact = torch.nn.functional.grid_sample(x.double(), grid, align_corners=False)
    assert torch.equal(exact.round().to(torch.uint8), views.apply(x, kind, 2, 9, index))


def test_jitter_is_a_shift_by_whole_pixels_up_to_two():
    x = images(n=400)
    view = views.apply(x, "jitter", 0, 0, torch.arange(400)).numpy()
    padded = np.pad(x.numpy(), ((0, 0), (0, 0), (2, 2), (2, 2)))
    seen = set()
    for i in range(400):
        found = [
            (dy, dx)
            for dy in range(5)
            for dx in range(5)
            if np.array_equal(padded[i, 0, dy : dy + 28, dx : dx + 28], view[i, 0])
        ]
        assert len(found) == 1
        seen |= set(found)
    assert len(seen) == 25


def test_crop_flip_is_a_padded_crop_of_the_image_or_its_mirror():
    x = images(32, 3, 40)
    view = views.apply(x, "crop-flip", 0, 0, torch.arange(40)).numpy()
    mirrored = 0
    for i in range(40):
        crops = {}
        for flip in (False, True):
            image = x[i].numpy()[:, :, ::-1] if flip else x[i].numpy()
            padded = np.pad(image, ((0, 0), (4, 4), (4, 4)))
            for dy in range(9):
                for dx in range(9):
                    crops[padded[:, dy : dy + 32, dx : dx + 32].tobytes()] = flip
        assert view[i].tobytes() in crops
        mirrored += crops[view[i].tobytes()]
    assert 8 <= mirrored <= 32  # half of 40, within four standard deviations


def test_the_hash_is_uniform_and_its_bits_are_independent_of_the_neighbour():
    bits = views.hash32(7, torch.arange(100_000))
    assert int(bits.min()) >= 0 and int(bits.max()) < 2**32
    counts = torch.bincount(bits >> 28, minlength=16).double()
    chi2 = float(((counts - 6250) ** 2 / 6250).sum())
    assert chi2 < 37.7  # the 99.9 % point of chi-squared with 15 degrees of freedom
    flips = torch.stack([(bits[1:] ^ bits[:-1]) >> k & 1 for k in range(32)]).double().mean(1)
    assert (flips - 0.5).abs().max() < 0.01


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"kind": "blur"}, "kind of view"),
        ({"images": torch.zeros(2, 1, 28, 28)}, "uint8"),
        ({"images": torch.zeros(2, 1, 40, 40, dtype=torch.uint8)}, "up to 32"),
        ({"index": torch.arange(3)}, "one for each image"),
    ],
)
def test_bad_input_is_refused(change, message):
    good = {"images": images(n=2), "kind": "jitter", "seed": 0, "epoch": 0}
    with pytest.raises(ValueError, match=message):
        views.apply(**({"index": torch.arange(2)} | good | change))


def test_shift_flip_mirrors_every_image_in_every_second_epoch():
    x = images(n=200)
    index = torch.arange(200)
    padded = torch.nn.functional.pad(x, [2, 2, 2, 2])
    size = x.shape[3]

    def mirrored(epoch: int) -> torch.Tensor:
        view = views.apply(x, "shift-flip", 3, epoch, index)
        is_mirror = torch.zeros(200, dtype=torch.bool)
        is_plain = torch.zeros(200, dtype=torch.bool)
        for dy in range(5):
            for dx in range(5):
                part = padded[:, :, dy : dy + size, dx : dx + size]
                is_plain |= (view == part).flatten(1).all(1)
                is_mirror |= (view == part.flip(3)).flatten(1).all(1)
        assert (is_plain ^ is_mirror).all()
        return is_mirror

    first, second, third = (mirrored(epoch) for epoch in range(3))
    assert torch.equal(first, ~second) and torch.equal(first, third)
    assert 60 < int(first.sum()) < 140  # about half begin mirrored
