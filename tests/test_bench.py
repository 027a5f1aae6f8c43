"""`python -m kdutils bench`: what it measures is comparable. No test looks at a time itself."""

import json
import math

import pytest
import torch
import torch.nn.functional as F
from experiments import bench, networks
from torch.utils.data import DataLoader

from kdutils import data, losses, models
from kdutils.commands.cli import main

REPEATS = 6
SPREAD = {"median", "min", "max"}


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """What a quick run prints and writes."""
    out = tmp_path_factory.mktemp("bench") / "new" / "bench.json"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KDUTILS_DEVICE", "cpu")
        status = main(["bench", "--quick", "--repeats", str(REPEATS), "--out", str(out)])
    return status, json.loads(out.read_text())


def test_a_quick_run_writes_every_part_and_says_that_it_means_nothing(written):
    status, result = written
    assert status == 0 and result["quick"] and list(result["parts"]) == list(bench.PARTS)
    assert any("mean nothing" in note for note in result["notes"])
    assert {"date", "device", "threads", "torch", "load", "dataset"} <= set(result)
    text = bench.tables(result)
    for part in result["parts"].values():
        assert all(name in text for name in (*part["ways"], *part["ratios"]))


def test_every_ratio_is_positive_and_lies_in_its_spread(written):
    ratios = {k: v for part in written[1]["parts"].values() for k, v in part["ratios"].items()}
    assert len(ratios) == 3 + 2 + 2 + len(bench.SWEEP)
    for name, ratio in ratios.items():
        assert set(ratio) == SPREAD, name
        assert 0 < ratio["min"] <= ratio["median"] <= ratio["max"] < math.inf, name


def test_every_way_is_timed_as_often_as_asked(written):
    ways = [way for part in written[1]["parts"].values() for way in part["ways"].values()]
    assert len(ways) == 4 + 4 + 1
    for way in ways:
        assert len(way["seconds"]) == REPEATS and min(way["seconds"]) > 0
        assert way["images"] % written[1]["batch"] == 0


def test_an_epoch_and_a_ratio_follow_from_the_seconds(written):
    ways = written[1]["parts"]["b"]["ways"]
    slow, fast = (ways[f"cnn5-w4 {name}"] for name in ("tutorial", "ours"))
    shortest = min(slow["seconds"]) / slow["images"] * 45_000
    assert slow["epoch_seconds"]["min"] == pytest.approx(shortest, rel=0.02)
    by_round = [a / b for a, b in zip(slow["seconds"], fast["seconds"], strict=True)]
    ratio = written[1]["parts"]["b"]["ratios"]["cnn5-w4 tutorial / cnn5-w4 ours"]
    assert slow["images"] == fast["images"]
    assert ratio["max"] == pytest.approx(max(by_round), rel=0.02)


def test_a_sweep_costs_what_its_pieces_cost(written):
    rows = written[1]["parts"]["d"]["rows"]
    assert [row["settings"] for row in rows] == [1, 4, 16, 64]
    first, last = rows[0], rows[-1]
    assert last["live_seconds"]["min"] == pytest.approx(64 * first["live_seconds"]["min"], rel=0.01)
    assert last["stored_seconds"]["min"] < 64 * first["stored_seconds"]["min"]


def test_memory_is_that_of_a_process_of_its_own(written):
    part = written[1]["parts"]["e"]
    assert part["epochs"] == 2 and 0.1 < part["peak_gb"] < 64


def test_both_ways_see_the_same_images():
    bayes10 = data.load("bayes10")
    loader = DataLoader(bench.Pictures(bayes10, 40, augment=False), batch_size=40)
    x, y = next(iter(loader))
    assert torch.allclose(x, data.normalise(bayes10.train.images[:40], bayes10), atol=1e-5)
    assert torch.equal(y, bayes10.train.labels[:40])


def test_the_tutorials_loss_is_ours():
    draw = torch.Generator().manual_seed(3)
    x = torch.randn(32, 3, 32, 32, generator=draw)
    labels = torch.randint(10, (32,), generator=draw)
    torch.manual_seed(5)
    student, teacher = models.build("cnn5-w4").train(), models.build("resnet18-w4").eval()
    with torch.no_grad():
        answer, logits = teacher(x), student(x)
    T, alpha = bench.TEMPERATURE, bench.ALPHA
    ours = losses.kd_loss(logits, answer, labels, T, alpha)
    assert float(bench.tutorial_loss(logits, labels, answer)) == pytest.approx(
        float(ours), abs=1e-5
    )
    p, q = F.softmax(answer / T, dim=1).double(), F.softmax(logits / T, dim=1).double()
    soft = (p * (p.log() - q.log())).sum() / 32 * T**2
    assert float(losses.kd_loss(logits, answer, None, T, 1.0)) == pytest.approx(
        float(soft), abs=1e-5
    )
    assert float(bench.tutorial_loss(logits, labels)) == pytest.approx(
        float(F.cross_entropy(logits, labels))
    )


def test_a_training_step_is_three_forward_passes_less_one_gradient():
    """Two products a layer go backward, but the first layer's input needs no gradient."""
    bayes10 = data.load("bayes10")
    net = models.build("resnet18-w4")
    first = 2 * 32 * 32 * net.stem[0].weight.numel()
    forward = 2 * networks.count_macs(net)
    assert bench.flop_per_image("resnet18-w4", bayes10) == 3 * forward - first


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--only", "a", "z"], "'z'"),
        (["--repeats", "4"], "at least 5"),
        (["--dataset", "mnist"], "'mnist'"),
        (["--out", "."], "folder"),
    ],
)
def test_what_cannot_be_measured_is_refused_at_once(arguments, message, capsys):
    assert main(["bench", *arguments]) == 2
    shown = capsys.readouterr()
    assert shown.out == "" and message in shown.err and shown.err.count("\n") == 1
