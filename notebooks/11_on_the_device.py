# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3 (ipykernel)
#     language: python
#     name: python3
# ---

# %% [markdown]
# # 11 · Does the student survive the trip to a phone?
#
# A student is trained small so that it can leave. On a phone or a camera there is no Python and no
# PyTorch, and often no room for 32-bit numbers. So the network is exported to a file, its numbers are
# rounded to 8 bits, and a small runtime executes it. Each of these steps can change its answers. Does
# anything of what the teacher gave survive them?
#
# This chapter takes the small student of [chapter 08](08_small_students.ipynb) as far as a file that a phone could
# run. (It does not run it on one.) It checks every step by numbers, and the file classifies your own pictures without
# PyTorch. The student's teacher here is the strong one of that chapter, not the project's own.
#
# **You will be able to**
#
# - fold a batch norm into the convolution before it;
# - write 8-bit rounding by hand, and say how large its error can be;
# - export a network, and check, on a thousand images, that the file computes the same;
# - measure what 8 bits cost in accuracy, over seeds, and what they save.
#
# You need [chapter 08](08_small_students.ipynb) (the student, and how to time it).
#
# *Time:* half a minute on `smoke`, one to two minutes on `laptop`, which uses trained networks of this repository; the
# second cell says how long they trained.

# %% tags=["parameters"]
PROFILE = "laptop"  # "smoke": seconds, toy data. "laptop": real data, recorded runs
SEEDS = None  # None: the profile's own. Or a list, such as [0, 1, 2]
TRAIN = False  # True: train what the store lacks. Smoke runs always do

# %%
from kdutils.experiments import Lab

lab = Lab("11", PROFILE, SEEDS, TRAIN)
lab

# %% [markdown]
# ## Predict first
#
# Write down five guesses. They are answered by number in section 7.
#
# 1. The exported file and PyTorch compute the same logits, up to rounding. How large is the largest
#    difference, over a thousand images?
# 2. All weights, and all values that pass from layer to layer (the *activations*), are rounded to 8 bits.
#    How many of 10,000 test images change their answer? How many points of accuracy are lost?
# 3. Eight bits are a quarter of 32. How many times smaller is the file?
# 4. How many times faster is the 8-bit student, one image at a time?
# 5. The distilled student in 8 bits: what share of its teacher's accuracy above guessing does it keep, and
#    what share of the teacher's file and time does it take?
#
# ## 1. Batch norm disappears
#
# After training, a batch norm is a fixed scale and shift for each channel. The convolution before it is
# linear, so the two can become one:
#
# $$ \gamma\,\frac{(w * x + b) - \mu}{\sqrt{v + \epsilon}} + \beta
#    = \underbrace{\frac{\gamma\, w}{\sqrt{v + \epsilon}}}_{w'} * x
#    + \underbrace{\frac{\gamma\,(b - \mu)}{\sqrt{v + \epsilon}} + \beta}_{b'} , $$
#
# with the averages $\mu$ and $v$ that training kept of its batches' means and variances. An exporter does
# this for you.
#
# **Your turn.** Fold a batch norm into its convolution.

# %% tags=["your-turn"]
import torch
from torch import nn


def fold(conv: nn.Conv2d, norm: nn.BatchNorm2d) -> nn.Conv2d:
    """One convolution that does what both do in evaluation mode."""
    folded = nn.Conv2d(conv.in_channels, conv.out_channels, conv.kernel_size, conv.stride, conv.padding)  # fmt: skip
    scale = norm.weight / (norm.running_var + norm.eps).sqrt()  # [channels]
    # your turn: folded.weight.data [out, in, k, k] and folded.bias.data [out]
    folded.weight.data = conv.weight.data * scale.data[:, None, None, None]
    folded.bias.data = (conv.bias.data - norm.running_mean) * scale.data + norm.bias.data
    # end
    return folded


# %% tags=["check", "nbval-check-output"]
dice = torch.Generator().manual_seed(0)
conv, norm = nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8).eval()
for values in (norm.weight.data, norm.bias.data, norm.running_mean):
    values.copy_(torch.randn(8, generator=dice))
norm.running_var.uniform_(0.5, 2.0, generator=dice)
x = torch.randn(4, 3, 10, 10, generator=dice)
assert torch.allclose(fold(conv, norm)(x), norm(conv(x)), atol=1e-5), "the sum over a patch differs"
assert not torch.allclose(fold(conv, norm)(x), norm.train()(conv(x)), atol=0.1)  # batch statistics
print("fold holds in evaluation mode, and only there.")

# %% [markdown]
# The second assertion is a warning. In training mode a batch norm uses the statistics of the batch, so
# the folded network computes something else. Forgetting `net.eval()` before an export is a classic
# mistake. It raises no error, at most a warning; `device.export` below calls it for you.
#
# ## 2. Export, and check it
#
# The file should take what a camera gives: pixels from 0 to 255. So scale and normalisation become part of the
# network. The order of the colours, the layout and the crop stay with whoever calls it: a camera that gives blue first
# raises no error. `examples/classify.py` shows all three. We export to ONNX, an open format for networks. We
# run the file with `onnxruntime` and compare all logits with PyTorch's.

# %%
import numpy as np
import pandas as pd
from experiments import device

from kdutils import data
from kdutils.runs import trained
from kdutils.training import predict

ex, budget = lab.experiments, lab.experiments.BUDGET[PROFILE]
dataset = lab.dataset("cifar10")
test = dataset.test.take(slice(budget["test"]))  # images uint8 [N, 3, 32, 32]
folder = data.ROOT / "build" / "device" / PROFILE

files, nets, apart, largest = {}, {}, {}, 0.0
for arm in (ex.HARD, ex.DISTILLED):
    for record in lab.records(arm):
        if lab.store.weights(record.recipe) is None:
            continue  # its record is here, its network is not
        net = nets[arm, record.recipe.seed] = trained(record.recipe, lab.store).cpu()
        path = device.export(net, dataset, folder / f"{arm}, seed {record.recipe.seed}.onnx")
        files[arm, record.recipe.seed] = path
        in_torch = predict(net, test.images[:1000], dataset)  # [1000, 10]
        largest = max(largest, in_torch.abs().max().item())
        apart[path.name] = (device.predict(path, test.images[:1000]) - in_torch).abs().max().item()
if not any(arm == ex.DISTILLED for arm, _ in files):
    raise LookupError(
        f"No distilled network is stored at the seeds {lab.seeds}: TRAIN = True trains."
    )
assert max(apart.values()) < 1e-4
print(
    f"{len(files)} networks exported. Largest difference of any logit: {max(apart.values()):.1e}."
)
print(f"The logits themselves reach {largest:.0f}.")

# %% [markdown]
# Two programs that add the same numbers in another order differ in the last digits. That is what you
# see. We draw the line at $10^{-4}$. Only an image whose two largest logits lie closer together than twice that could get
# another answer. Above the line the file computes something
# else, even if the accuracy looks right.
#
# ## 3. Eight bits by hand
#
# Choose a range $[a, b]$ that contains zero and cut it into 255 steps of size $s = (b - a) / 255$. A
# number becomes the number of the nearest mark, an integer from 0 to 255:
#
# $$ q = \mathrm{clip}\!\left(\mathrm{round}\!\left(\tfrac{x}{s}\right) + z,\ 0,\ 255\right),
#    \qquad z = \mathrm{round}\!\left(-\tfrac{a}{s}\right),
#    \qquad \hat x = s\,(q - z) . $$
#
# The integer $z$ stands for zero. Zero must be exact, because padding, and everything that a ReLU cuts
# off, is zero. Inside the range the error is at most half a step. Outside, it grows with the distance.
# (This is for activations, which are not negative after a ReLU: *uint8*. Weights lie about evenly on both
# sides of zero, so they get $z = 0$ and the integers from −127 to 127: *int8*. Section 4 has a reason to
# use only half of them.)
#
# **Your turn.** Write both directions.


# %% tags=["your-turn"]
def to_8_bits(x: torch.Tensor, low: float, high: float) -> tuple[torch.Tensor, float, int]:
    """x in 255 steps from low to high: q, uint8; the step s; the integer z of zero."""
    # your turn: s, z and q as above
    step = (high - low) / 255
    zero = round(-low / step)
    return ((x / step).round() + zero).clamp(0, 255).to(torch.uint8), step, zero
    # end


def from_8_bits(q: torch.Tensor, step: float, zero: int) -> torch.Tensor:
    """The float numbers that q stands for."""
    # your turn: mind that uint8 cannot go below zero
    return step * (q.int() - zero).float()
    # end


# %% tags=["check", "nbval-check-output"]
x, low, high = torch.randn(1000, generator=dice), -1.9, 2.4  # -low / s is 112.67
q, step, zero = to_8_bits(x, low, high)
assert abs(step - 4.3 / 255) < 1e-9, "255 steps, not 256"
assert zero == 113, "the nearest integer to -a / s, not the next below"
assert q.dtype == torch.uint8 and q.min() == 0 and q.max() == 255, "what lies outside is clipped"
assert from_8_bits(to_8_bits(torch.zeros(1), low, high)[0], step, zero) == 0, "zero must be exact"
by_torch = torch.fake_quantize_per_tensor_affine(x, 4.3 / 255, 113, 0, 255)
assert torch.allclose(from_8_bits(q, step, zero), by_torch, atol=1e-6), "torch rounds otherwise"
inside = (x > low) & (x < high)
assert (from_8_bits(q, step, zero) - x)[inside].abs().max() <= step / 2 + 1e-6
print(f"A step is {step:.4f}; the largest error inside the range is at most half of it.")

# %% [markdown]
# The gain is not only the size. A product of two rounded numbers is a product of integers,
# $s_x s_w (q_x - z_x)(q_w - z_w)$. So a whole convolution can add up integers and scale once, at the end.
# Small chips do this fast, and with little energy.

# %%
a, w = (
    torch.rand(1, 64, generator=dice),
    torch.randn(64, 10, generator=dice),
)  # activations, weights
(qa, sa, za), (qw, sw, zw) = to_8_bits(a, 0.0, 1.0), to_8_bits(w, float(w.min()), float(w.max()))
integers = (qa.int() - za) @ (qw.int() - zw)  # int32 [1, 10]: no rounding happens here
in_float = from_8_bits(qa, sa, za).double() @ from_8_bits(qw, sw, zw).double()
assert torch.allclose(sa * sw * integers.double(), in_float, atol=1e-6)
print(f"error of the product: {(in_float - (a @ w).double()).abs().max():.3f}, of numbers of size "
      f"{(a @ w).abs().mean():.1f}")  # fmt: skip

# %% [markdown]
# ### One step for all filters, or one for each?
#
# A layer's filters differ in size. With one step for all of them, the largest filter sets the step, and a
# small filter has only a few levels left. A step for each filter (*per channel*) costs one number a filter.
# Here are the folded filters of a trained student.

# %%
first = next(net for (arm, _), net in nets.items() if arm == ex.DISTILLED)
layers = [m for m in first.features if isinstance(m, nn.Conv2d | nn.BatchNorm2d)]
rows = []
for k, (conv, norm) in enumerate(zip(layers[::2], layers[1::2], strict=True), 1):
    w = fold(conv, norm).weight.detach().flatten(1)  # [filters, weights of each]
    size = w.abs().amax(dim=1).clamp(min=1e-12)  # [filters]
    for what, step in (("one step", size.max() / 127), ("per channel", size[:, None] / 127)):
        error = ((w / step).round() * step - w).norm(dim=1) / w.norm(dim=1).clamp(min=1e-12)
        rows.append((f"convolution {k}", what, float(error.median()), float(error.max())))
columns = ["layer", "steps", "median filter", "worst filter"]
errors = pd.DataFrame(rows, columns=columns).pivot(index="layer", columns="steps")
errors.map("{:.2%}".format)

# %% [markdown]
# The error of a filter is relative to its own norm. Look at the worst filter.
#
# ## 4. Eight bits for the whole network
#
# The ranges of the weights are known. The ranges of the *activations* depend on the image, so they are
# measured: a few hundred training images go through the network, and the smallest and largest values of
# each layer are kept (*calibration*). This is **post-training quantisation**. It needs no labels and no
# training. `onnxruntime` does it; our `device.quantise` is a few lines around it. Three things are
# computed in float32: the normalisation of the pixels, the average over all positions (what goes in and comes out is
# rounded), and the ten logits. Rounded logits can be *equal*, and then their order in the file would choose the class. A
# chip that has integers only would need the other two changed, too.
#
# ### Sums that do not fit
#
# A convolution adds hundreds of products of two 8-bit numbers, and such a sum needs 32 bits. A processor with *8-bit dot
# products* (VNNI on Intel and AMD) adds four products to a sum of 32 bits in one step. An older one has a
# step that adds *two* products in **16** bits first, one of them the sign. What lies above 32,767 or below −32,768
# is cut off, without any message. One product always fits (255 · 127 = 32,385). Do two?

# %% tags=["check", "nbval-check-output"]
most = torch.iinfo(torch.int16).max
for largest in (127, 64):
    a, w = (
        torch.tensor([255, 255]),
        torch.tensor([largest, largest]),
    )  # uint8 and int8, at their ends
    pair = int((a * w).sum())
    print(f"weights to {largest}: two products reach {pair:,}; 16 bits keep {min(pair, most):,}")
assert 2 * 255 * 127 > most >= 2 * 255 * 64, "half of the range always fits"

# %% [markdown]
# So `device.quantise` rounds weights to the integers from −64 to 64. That costs one of the eight bits: steps are twice
# as large as in the table of section 3. But no sum of two is cut off on any processor. We also write each file with
# the whole range, to see what *your* processor makes of it.

# %%
from pathlib import Path

calibration = dataset.train.images[: budget["calibration"]]
rows = []
for (arm, seed), path in files.items():
    small = device.quantise(path, calibration, path.with_suffix(".int8.onnx"))
    coarse = device.quantise(path, calibration, path.with_suffix(".one.onnx"), per_channel=False)
    whole = device.quantise(path, calibration, path.with_suffix(".whole.onnx"), whole_range=True)
    answers = [device.predict(p, test.images).argmax(dim=1) for p in (path, small, coarse, whole)]
    right = [100 * float((answer == test.labels).double().mean()) for answer in answers]
    changed = int((answers[0] != answers[1]).sum())
    rows.append((arm, seed, *right, changed, path.stat().st_size, small.stat().st_size))
columns = ["arm", "seed", "float32", "int8", "one step a layer", "whole range", "answers changed", "bytes", "bytes int8"]  # fmt: skip
by_run = pd.DataFrame(rows, columns=columns)
dots = (info := Path("/proc/cpuinfo")).exists() and "vnni" in info.read_text()
print("8-bit dot products on this processor:", "yes" if dots else "none known")
by_run.drop(columns=["bytes", "bytes int8"]).set_index(["arm", "seed"]).round(2)

# %% [markdown]
# Accuracies in percent, on the test images; *one step a layer* and *whole range* are int8, too. (A record counts
# from logits that are stored in 16 bits, so a single image may be counted otherwise there.) Compare *answers changed*
# with the loss: images that change from
# right to wrong and from wrong to right cancel in the accuracy. Is a loss left? And does anything of what
# the teacher gave survive? That is a question about differences of differences: what int8 changed for the
# distilled student, less what it changed for the student of hard labels with the same seed.
# *Whole range minus half* holds two things: finer steps, which should help a little, and sums cut off. Far below zero,
# it speaks for sums that this processor cuts off; about zero does not prove that it never does.

# %%
from experiments import pieces

from kdutils import metrics, tables

distilled, hard = (
    by_run[by_run["arm"] == arm].set_index("seed") for arm in (ex.DISTILLED, ex.HARD)
)
asked = {
    "int8 minus float32, distilled": distilled["int8"] - distilled["float32"],
    "int8 minus float32, hard labels": hard["int8"] - hard["float32"],
    "one step a layer minus one a filter, distilled": distilled["one step a layer"]
    - distilled["int8"],
    "whole range minus half, distilled": distilled["whole range"] - distilled["int8"],
    "the teacher's gain in float32": (distilled["float32"] - hard["float32"]).dropna(),
    "the teacher's gain in int8": (distilled["int8"] - hard["int8"]).dropna(),
}
asked["the gain in int8, less that in float32"] = (
    asked["the teacher's gain in int8"] - asked["the teacher's gain in float32"]
)
said = {name: pieces.points(x) for name, x in asked.items()}
pieces.family(asked)

# %% [markdown]
# ## 5. What does it cost?
#
# All networks now run under the same runtime, on one thread, one image at a time, in turns and in random
# order ([chapter 08](08_small_students.ipynb) says why). The teacher's cost does not depend on its weights,
# so we export the same architecture untrained, for its cost alone; its accuracy comes from its record. On
# `laptop` the teacher answers twice for each image, once for its mirror image, so half of its time is that
# habit. An almost empty network, which normalises the pixels and returns their mean, shows
# what a call costs before the first layer. The runtime's work *between* layers is not in it. The teacher in 8 bits is there,
# too, for its cost alone.

# %%
from kdutils import models

recipe = lab.arms[ex.TEACHER].recipe
big = device.export(models.build(recipe.model).eval(), dataset, folder / "teacher.onnx")
big8 = device.quantise(big, calibration[:100], big.with_suffix(".int8.onnx"), per_channel=False)
nothing = device.export(
    ex.Nothing(classes := len(dataset.classes)), dataset, folder / "nothing.onnx"
)
one = files[next(key for key in files if key[0] == ex.DISTILLED)]
small = one.with_suffix(".int8.onnx")
paths = {"teacher, float32": big, "teacher, int8": big8, "student, float32": one,
         "student, float32, again": one, "student, int8": small, "student, int8, again": small,
         "student, int8, 3rd": small, "an almost empty network": nothing}  # fmt: skip
runs = {name: device.session(path) for name, path in paths.items()}


def measure(images: int, rounds: int) -> pd.DataFrame:
    """Milliseconds of a call of each network, a row a round; all take turns."""
    pixels = test.images[:images].numpy()
    calls = {name: (lambda run=run: run(pixels)) for name, run in runs.items()}
    return device.in_turns(calls, rounds)


single, batch = measure(1, budget["rounds"]), measure(128, 12)
cost = pd.DataFrame({
    "KiB": {name: path.stat().st_size / 1024 for name, path in paths.items()},
    "ms, median": single.median(),
    "ms, 95th percentile": single.quantile(0.95),
    "images a second, 128 at once": 128_000 / batch.median(),
    "peak memory (MiB)": {name: device.peak_memory(path) for name, path in paths.items()},
})  # fmt: skip
took = cost["ms, median"]
alike = took[[name for name in paths if paths[name] == small]]  # one file, three names
cost.map(lambda x: f"{x:,.0f}" if x > 100 else f"{x:.3g}")

# %% [markdown]
# *Student, int8*, *again* and *3rd* are one file under three names: A/A controls, which show what this timing cannot
# resolve. Read them column by column: what the timing resolves in the median it may not resolve in the slow calls
# or in the memory. Memory is the peak of a process that holds nothing but the runtime and this network, less what it
# held before.
#
# Why is the file not exactly four times smaller? Besides the weights it holds the graph, the names of the
# layers and the steps, and biases stay in 32 bits. Eight bits help the time in two ways: the processor may
# multiply small integers faster, and a quarter of the bytes has to be moved. They do not help with what the runtime spends
# on starting each layer. And rounding, and turning integers back into floats, takes time of its own. So expect more of
# them where arithmetic takes most of the time. Compare what they save for the teacher with what they save for the
# student, and one image with 128.
#
# ## 6. What is kept, and for how much?

# %%
import matplotlib.pyplot as plt
from IPython.display import Markdown, display

from kdutils import figures

top, guess = lab.mean(ex.TEACHER, "test_accuracy"), 100 / classes
kinds = {
    "teacher, float32": ("teacher, float32", [top]),
    "hard labels, float32": ("student, float32", list(hard["float32"])),
    "hard labels, int8": ("student, int8", list(hard["int8"])),
    "distilled, float32": ("student, float32", list(distilled["float32"])),
    "distilled, int8": ("student, int8", list(distilled["int8"])),
}
kinds = {name: row for name, row in kinds.items() if row[1]}
rows, whole = {}, cost.loc["teacher, float32"]
for name, (which, found) in kinds.items():
    share = cost.loc[which] / whole
    rows[name] = {
        "accuracy (%)": f"{tables.interval(found, 'test_accuracy')} (n = {len(found)})",
        "of the teacher's": f"{(np.mean(found) - guess) / (top - guess):.1%}",
        "of its file": f"{share['KiB']:.1%}",
        "of its time": f"{share['ms, median']:.1%}",
    }
print(f"Shares of the teacher's accuracy count from guessing, {guess:.0f} %.")
pd.DataFrame(rows).T

# %% tags=["hide-input"]
fig, axes = plt.subplots(1, 2, figsize=(9, 3.6), sharey=True)
labels = {"KiB": "file (KiB)", "ms, median": "latency, one image, one thread (ms)"}
for ax, kind in zip(axes, labels, strict=True):
    for style, (name, (which, found)) in enumerate(kinds.items()):
        figures.dot(ax, cost.loc[which, kind], np.mean(found), style, yerr=metrics.shown_ci(found)[1], label=name)  # fmt: skip
    ax.set(xlabel=labels[kind])
    figures.log_x(ax)
axes[0].set(ylabel="test accuracy (%)")
fig.legend(*axes[0].get_legend_handles_labels(), loc="outside upper right", ncols=3)
words = "; ".join(f"{name} {np.mean(found):.2f}" for name, (_, found) in kinds.items())
figures.count(fig, {len(distilled)}, f"{recipe.dataset}, profile {PROFILE}")
figures.show(fig, name="11_cost", alt=f"Accuracy against size and latency. {words}.")

# %% [markdown]
# ### The file runs without PyTorch
#
# `examples/classify.py` needs numpy, Pillow and `onnxruntime`. We save a test image as a picture and hand
# it to a fresh process. Try it with a photograph of your own; the repository holds the file
# `examples/student.int8.onnx`. But mind what a classifier is: it must choose among its ten classes. A face
# gets one of them, too, and often a high probability.

# %%
import subprocess
import sys

from PIL import Image

picture = folder / "picture.png"
Image.fromarray(test.images[0].permute(1, 2, 0).numpy()).save(picture)
script = data.ROOT / "examples" / "classify.py"
call = [sys.executable, str(script), str(paths["student, int8"]), str(picture)]
done = subprocess.run(call, capture_output=True, text=True, check=True)
here = device.predict(paths["student, int8"], test.images[:1]).argmax()
assert done.stdout.split()[0] == dataset.classes[here], "the script and this page disagree"
print(f"The label is: {dataset.classes[test.labels[0]]}\n\n{done.stdout}")
wrong = subprocess.run([*call[:-1], str(script)], capture_output=True, text=True)
print(wrong.stderr.replace(str(script), "classify.py"))

# %% [markdown]
# The network's classes and the size of its images are stored in the file, so the script needs no list of
# its own. The second call got a file that is no picture, and says so.
#
# ### ExecuTorch
#
# PyTorch has a runtime of its own for phones, ExecuTorch, whose files end in `.pte`. It is an optional
# package here: `%pip install -e '..[executorch]'` in a cell of this notebook. Where it is installed, the table
# compares the student of section 5 in both runtimes: one image at a time, on one thread, in turns. The first two rows
# are one file under two names: they say what the timing cannot resolve.

# %%
from functools import partial
from importlib.util import find_spec

if find_spec("executorch"):
    pte = device.export_executorch(first, dataset, folder / "student.pte")
    there = device.predict(one, test.images[:100])
    apart_too = (device.predict_executorch(pte, test.images[:100]) - there).abs().max().item()
    assert apart_too < 1e-4
    print(f"Largest difference of any logit from ONNX's, over 100 images: {apart_too:.1e}.")
    pixels, files_too = (
        test.images[:1].numpy(),
        {"ONNX, float32": one, "ONNX, again": one, "ExecuTorch, float32": pte},
    )
    both = (device.session(one), device.session(one), device.session_executorch(pte))
    calls = {k: partial(run, pixels) for k, run in zip(files_too, both, strict=True)}
    times = device.in_turns(calls, budget["rounds"])
    display(pd.DataFrame({
        "KiB": {name: path.stat().st_size / 1024 for name, path in files_too.items()},
        "ms, median": times.median(), "ms, 95th percentile": times.quantile(0.95),
    }).map("{:.3g}".format))  # fmt: skip
else:
    print("executorch is not installed here: no .pte file is written.")

# %% [markdown]
# ## 7. What we saw
#
# Your predictions, one by one.

# %% tags=["hide-input"]
smaller = by_run["bytes"].mean() / by_run["bytes int8"].mean()
faster = took["student, float32"] / took["student, int8"]
again = alike.max() / alike.min() - 1
last = rows["distilled, int8"]
Markdown(f"""
1. {max(apart.values()):.1e}, over {len(files)} networks and {min(1000, len(test)):,} images each.
2. {distilled["answers changed"].mean():.0f} of {len(test):,} answers change, on average. int8 minus float32, in points: {said["int8 minus float32, distilled"]}. The whole range of the weights less half of it, on this processor: {said["whole range minus half, distilled"]}.
3. {smaller:.2f} times smaller.
4. {faster:.2f} times as fast, on this machine. The same file under {len(alike)} names: up to {again:.1%} apart.
5. {last["of the teacher's"]} of the teacher's accuracy, for {last["of its file"]} of its file and {last["of its time"]} of its time. In float32 the student takes {rows["distilled, float32"]["of its time"]}; the teacher in 8 bits takes {took["teacher, int8"] / took["teacher, float32"]:.0%}.

The teacher's gain, in points: {said["the teacher's gain in float32"]} in float32, {said["the teacher's gain in int8"]} in int8. What int8 did to it: {said["the gain in int8, less that in float32"]}.
""")

# %% [markdown]
# How to read these answers, whatever the numbers are:
#
# - **Answer 1 is a test, not a result.** Run it after every export. A file can compute something else
#   without failing.
# - **Changed answers are not lost points.** Rounding moves images that were close to a boundary, in both
#   directions. Only the difference of the accuracies, over several networks, is a loss.
# - **A gain survives if the rounding hits both students alike.** The last line above says how far it did,
#   with an interval. How much of a loss that interval leaves open matters more than whether it holds zero.
# - **Shares have a denominator.** Answer 5 is relative to *this* teacher under *this* runtime, and combines three
#   effects: a smaller network, fewer bits, and a teacher that may answer twice.
#
# ## 8. Where it can mislead
#
# - **A laptop is no phone.** The timings are of this processor. A phone has other instructions, smaller
#   caches and a heat limit. Measure on the device that you ship.
# - **One network for the cost, several for the accuracy.** Cost does not depend on the weights. Accuracy
#   does, so it has an interval.
# - **The teacher is n = 1**, and all distilled students learned from it.
# - **Calibration images are training images.** If the pictures of the device look different, their
#   activations may leave the measured ranges, and are clipped.
# - **Accuracy is not all.** Rounding can change how sure a network is. Measure how well its confidence fits,
#   too ([chapter 07](07_confusion_matrices.ipynb)).
# - **Peak memory counts the runtime.** Compare it with the row of the almost empty network.
# - **Integers can overflow.** Our files keep half of the weights' range for that reason (`reduce_range` of
#   `onnxruntime`). A file from elsewhere may not. It may then lose accuracy on some processors and not on others,
#   so measure on the one that you ship to.
#
# ## Exercises
#
# Solutions: [solutions/11_on_the_device.py](solutions/11_on_the_device.py).
#
# 1. *(5 minutes, easy)* Compute the size that the weights alone should have in 8 bits, from the
#    parameters, with 32-bit biases. What share of the file is something else? *Check:* for 1,000 weights
#    and 10 biases it is 1,040 bytes.
#    [Solution](solutions/11_on_the_device.py#exercise-1).
# 2. *(10 minutes, medium)* Quantise `x` of section 3 with ranges from ±.5 to ±6. The mean squared error
#    has a minimum: why? *Check:* for normal numbers the best range lies between ±3 and ±5.
#    [Solution](solutions/11_on_the_device.py#exercise-2).
# 3. *(15 minutes, medium)* Round the weights of a network to $b$ bits per channel in PyTorch (leave the
#    activations alone), for $b$ from 8 to 2. At how many bits does its accuracy first fall by more than a
#    point? *Check:* the error of the weights about doubles with each bit less.
#    [Solution](solutions/11_on_the_device.py#exercise-3).
# 4. *(20 minutes, hard)* A softmax of int8 logits: how far can rounding move a probability? Derive a
#    bound from the step $s$ of the logits. *Check:* for every class,
#    $e^{-s} \le \hat p / p \le e^{s}$ if each logit moves by at most $s / 2$.
#    [Solution](solutions/11_on_the_device.py#exercise-4).
#
# ## Summary
#
# - In evaluation mode a batch norm is part of the convolution before it.
# - Eight bits are a step and a zero. The error inside the range is at most half a step.
# - Export, then compare logits, then compare answers, then measure accuracy over seeds.
# - Report size, time and memory under one runtime, with an A/A control.
#
# ## Sources
#
# - B. Jacob et al. (2018), *Quantization and training of neural networks for efficient
#   integer-arithmetic-only inference*, [arXiv:1712.05877](https://arxiv.org/abs/1712.05877).
# - R. Krishnamoorthi (2018), *Quantizing deep convolutional networks for efficient inference*,
#   [arXiv:1806.08342](https://arxiv.org/abs/1806.08342).
# - ONNX, [onnx.ai](https://onnx.ai); ONNX Runtime, [onnxruntime.ai](https://onnxruntime.ai);
#   ExecuTorch, [docs.pytorch.org/executorch](https://docs.pytorch.org/executorch/).
