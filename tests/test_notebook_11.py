"""Chapter 11: export and 8 bits against PyTorch, the script without it, and the solutions."""

import json
import re
import subprocess
import sys

import numpy as np
import onnx
import pytest
import torch
from conftest import load_solutions
from experiments import device
from PIL import Image
from torch import nn

from kdutils import data, experiments, models
from kdutils.data import ROOT
from kdutils.store import Store
from kdutils.training import predict

SCRIPT, SHIPPED = ROOT / "examples" / "classify.py", ROOT / "examples" / "student.int8.onnx"


@pytest.fixture(scope="module")
def toy():
    return data.load("bayes10-toy")


@pytest.fixture(scope="module")
def net():
    torch.manual_seed(0)
    net = models.build("seed003-plain-w8")
    with torch.no_grad():  # batch norms with statistics of their own, and some training behind them
        for _ in range(20):
            net(torch.randn(64, 3, 32, 32) * 1.5 + 0.3)
    return net.eval()


@pytest.fixture(scope="module")
def exported(net, toy, tmp_path_factory):
    return device.export(net, toy, tmp_path_factory.mktemp("device") / "net.onnx")


@pytest.fixture(scope="module")
def solutions():
    return load_solutions("11_on_the_device")


def test_the_file_computes_what_pytorch_does_at_any_batch_size(net, toy, exported):
    images = toy.test.images[:7]
    for part in (images, images[:1]):
        assert torch.allclose(device.predict(exported, part), predict(net, part, toy), atol=1e-5)


@pytest.mark.parametrize("name", ["fastnet-w8", "cnn5-w4", "resnet8-w4", "seed003-teacher-w4"])
def test_the_networks_of_the_course_can_be_exported(name, toy, tmp_path):
    torch.manual_seed(1)
    net = models.build(name).eval()
    path = device.export(net, toy, tmp_path / "net.onnx")
    images = toy.test.images[:5]
    assert torch.allclose(device.predict(path, images), predict(net, images, toy), atol=1e-4)


def test_eight_bits_keep_the_answers_and_are_smaller(net, toy, exported):
    small = device.quantise(exported, toy.train.images[:100], exported.with_suffix(".int8.onnx"))
    weights = [
        t for t in onnx.load(small).graph.initializer if len(t.dims) == 4 and min(t.dims[:2]) > 1
    ]
    assert weights and {t.data_type for t in weights} == {onnx.TensorProto.INT8}
    z, rounded = (device.predict(path, toy.test.images[:300]) for path in (exported, small))
    noise = (rounded - z).pow(2).mean() / (z - z.mean(dim=0)).pow(2).mean()
    assert 0 < noise < 0.05  # rounded, and still the same network
    assert small.stat().st_size < exported.stat().st_size / 2
    said = {p.key: p.value for p in onnx.load(small).metadata_props}
    assert said["classes"].split(",") == list(toy.classes)
    ties = (rounded == rounded.max(dim=1, keepdim=True).values).sum(dim=1)
    assert (ties == 1).all()  # the logits themselves are not rounded


def test_no_sum_of_two_products_leaves_16_bits_unless_asked(net, toy, exported, tmp_path):
    for whole, largest in ((False, 64), (True, 127)):
        path = tmp_path / f"{whole}.onnx"
        device.quantise(exported, toy.train.images[:50], path, whole_range=whole)
        reached = max(
            int(np.abs(onnx.numpy_helper.to_array(t).astype(int)).max())
            for t in onnx.load(path).graph.initializer
            if t.data_type == onnx.TensorProto.INT8 and t.dims
        )
        assert reached == largest
        assert (2 * 255 * reached <= np.iinfo(np.int16).max) is not whole


def test_a_file_says_nothing_about_the_machine_that_wrote_it(exported):
    assert not any(node.metadata_props for node in onnx.load(exported).graph.node)
    assert b"site-packages" not in exported.read_bytes()


def test_calls_take_turns_in_changing_order():
    order = []
    calls = {name: (lambda name=name: order.append(name)) for name in "abc"}
    taken = device.in_turns(calls, rounds=20, warm_up=2)
    assert taken.shape == (20, 3) and list(taken) == list("abc") and (taken >= 0).all(axis=None)
    rounds = ["".join(order[k : k + 3]) for k in range(0, 66, 3)]
    assert {"".join(sorted(r)) for r in rounds} == {"abc"} and len(set(rounds)) > 3


def test_what_cannot_be_exported_says_what_to_do(toy, tmp_path):
    class Odd(nn.Module):
        def forward(self, x):
            return torch.linalg.eigvals(x[:, 0]).real[:, :10]

    with pytest.raises(ValueError, match="Odd cannot be exported to ONNX.*operators"):
        device.export(Odd(), toy, tmp_path / "odd.onnx")


@pytest.mark.parametrize(
    "pixels",
    [torch.zeros(1, 1, 32, 32, dtype=torch.uint8), torch.zeros(1, 3, 32, 32)],
)
def test_other_channels_and_floats_are_refused(net, toy, pixels):
    with pytest.raises(ValueError, match=r"takes torch.uint8 \[batch, 3, height, width\]"):
        device.Deployed(net, toy)(pixels)


def test_peak_memory_grows_with_the_network(toy, exported, tmp_path):
    large = device.export(models.build("mlp-2000-2000").eval(), toy, tmp_path / "large.onnx")
    extra = device.peak_memory(large) - device.peak_memory(exported)
    weights = (3072 * 2000 + 2000 * 2000) * 4 / 2**20  # 39 MiB
    assert weights / 2 < extra < 4 * weights


def classify(*arguments):
    call = [sys.executable, str(SCRIPT), *map(str, arguments)]
    return subprocess.run(call, capture_output=True, text=True)


def test_the_script_names_the_class_that_the_network_names(toy, exported, net, tmp_path):
    picture = tmp_path / "picture.png"
    for k in range(3):
        Image.fromarray(toy.test.images[k].permute(1, 2, 0).numpy()).save(picture)
        p = predict(net, toy.test.images[k : k + 1], toy).softmax(1)[0]
        first = classify(exported, picture).stdout.splitlines()[0].split()
        assert first == [toy.classes[p.argmax()], f"{p.max():.1%}"]


def test_transparent_pixels_are_white(exported, tmp_path):
    clear, white = tmp_path / "clear.png", tmp_path / "white.png"
    Image.new("RGBA", (40, 40), (0, 0, 0, 0)).save(clear)
    Image.new("RGB", (40, 40), "white").save(white)
    assert classify(exported, clear).stdout == classify(exported, white).stdout != ""


def test_the_script_imports_no_pytorch(exported, tmp_path):
    picture = tmp_path / "picture.jpg"
    Image.new("L", (300, 200), 90).save(picture)  # grey, and no square
    code = (
        "import json, runpy, sys; sys.argv = sys.argv[1:]\n"
        "try: runpy.run_path(sys.argv[0], run_name='__main__')\n"
        "except SystemExit as done: print(json.dumps([done.code, 'torch' in sys.modules]))"
    )
    call = [sys.executable, "-c", code, str(SCRIPT), str(exported), str(picture)]
    done = subprocess.run(call, capture_output=True, text=True, check=True)
    assert json.loads(done.stdout.splitlines()[-1]) == [0, False]


def test_the_script_says_what_is_wrong(exported, tmp_path):
    picture, text = tmp_path / "picture.png", tmp_path / "notes.txt"
    Image.new("RGB", (32, 32)).save(picture)
    text.write_text("not a picture")
    bare = tmp_path / "bare.onnx"  # a network that names no classes
    model = onnx.load(exported)
    del model.metadata_props[:]
    onnx.save(model, bare)
    deep = tmp_path / "deep.png"
    Image.new("I;16", (32, 32)).save(deep)
    short = tmp_path / "short.onnx"  # fewer names than logits
    onnx.helper.set_model_props(model, {"classes": "one,two"})
    onnx.save(model, short)
    for arguments, said in (
        ((exported, deep), "save it with 8 bits"),
        ((short, picture), "names 2 classes.*the class of each"),
        ((exported, text), "no picture that Pillow can read"),
        ((exported, tmp_path / "none.png"), "does not exist"),
        ((text, picture), "no network that onnxruntime can read"),
        ((bare, picture), "names 0 classes. It must take uint8"),
    ):
        done = classify(*arguments)
        assert done.returncode == 1 and "Traceback" not in done.stderr
        assert re.search(said, done.stderr, re.S), done.stderr


def test_the_shipped_file_is_the_recorded_student(toy):
    arms = {a.name: a for a in experiments.arms("11", "laptop")}
    recipe = arms[experiments.chapter("11").DISTILLED].recipe
    cifar = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship")
    said = {p.key: p.value for p in onnx.load(SHIPPED).metadata_props}
    assert said["classes"].split(",") == [*cifar, "truck"]
    store = Store(ROOT / "data" / "records")
    net = models.build(recipe.model)
    net.load_state_dict(store.weights(recipe))
    images = toy.test.images[:200]
    mean, std = (torch.tensor(x)[:, None, None] for x in (data._TEN))
    with torch.no_grad():
        z = net.eval()((images.float() / 255 - mean) / std)
    rounded = device.predict(SHIPPED, images)
    assert np.corrcoef(z.flatten(), rounded.flatten())[0, 1] > 0.97


def test_executorch_computes_what_pytorch_does(net, toy, tmp_path):
    pytest.importorskip("executorch", reason="the optional package executorch is not installed")
    path = device.export_executorch(net, toy, tmp_path / "net.pte")
    images = toy.test.images[:5]
    assert torch.allclose(
        device.predict_executorch(path, images), predict(net, images, toy), atol=1e-4
    )


def test_solution_1_counts_bytes(solutions):
    assert solutions.bytes_in_int8(nn.Sequential(nn.Linear(100, 10))) == 1_040
    plain = models.build("seed003-plain")
    weights = sum(p.numel() for p in plain.parameters() if p.ndim > 1)
    assert solutions.bytes_in_int8(plain) == weights + 4 * (16 + 32 + 64 + 128 + 64 + 10)


def test_solution_2_finds_a_range_between_rounding_and_clipping(solutions):
    def to_int8(x, low, high):
        step = (high - low) / 255
        return ((x / step).round() + 128).clamp(0, 255), step, 128

    def from_int8(q, step, zero):
        return step * (q - zero)

    x = torch.randn(100_000, generator=torch.Generator().manual_seed(0))
    errors = solutions.error_by_range(x, to_int8, from_int8, [0.5, 1, 2, 3, 4, 5, 6])
    assert 3 <= min(errors, key=errors.get) <= 5
    assert errors[6] == pytest.approx((12 / 255) ** 2 / 12, rel=0.05)  # nothing is clipped


def test_solution_3_each_bit_less_doubles_the_error(solutions, net):
    weight = net.features[0].weight
    error = [
        (solutions.with_bits(net, b).features[0].weight - weight).norm().item()
        for b in (8, 7, 6, 5)
    ]
    ratios = np.divide(error[1:], error[:-1])
    assert ((ratios > 1.5) & (ratios < 2.7)).all()


def test_solution_4_the_bound_holds_and_is_nearly_reached(solutions):
    generator = torch.Generator().manual_seed(0)
    z, step = 3 * torch.randn(2000, 10, generator=generator), 0.2
    moved = (z / step).round() * step
    assert 0.6 * step < solutions.largest_ratio(z, moved) <= step
