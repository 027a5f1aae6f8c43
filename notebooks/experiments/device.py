"""A trained network leaves PyTorch: as an ONNX file, in float32 and in 8 bits, and what it costs.

In: a network, its data set, a path. Out: files that onnxruntime runs; logits, milliseconds, bytes.
"""

import io
import json
import logging
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pandas as pd
import torch
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static
from onnxruntime.quantization.shape_inference import quant_pre_process
from torch import nn

from kdutils import data

PIXELS, LOGITS = "pixels", "logits"
BATCH = 250  # images a call where all test images are classified
# Run by a process of its own: resident memory before the network, and the peak with it, in MiB.
# A process is made to forget the peak that its imports had.
_PEAK = """
import json, sys
import numpy, onnxruntime

def kib(what):
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith(what))

options = onnxruntime.SessionOptions()
options.intra_op_num_threads = 1
with open("/proc/self/clear_refs", "w") as forget:
    forget.write("5")
before = kib("VmRSS")
session = onnxruntime.InferenceSession(sys.argv[1], options, providers=["CPUExecutionProvider"])
take = session.get_inputs()[0]
pixels = numpy.zeros([1, *take.shape[1:]], dtype=numpy.uint8)
for _ in range(20):
    session.run(None, {take.name: pixels})
print(json.dumps([before / 1024, kib("VmHWM") / 1024]))
"""


class Deployed(nn.Module):
    """What a device needs: pixels in, logits out. The normalisation becomes part of the network.

    pixels: uint8 [B, C, H, W]. Raises ValueError for another type or number of channels.
    """

    def __init__(self, net: nn.Module, dataset: data.Dataset):
        super().__init__()
        self.net = net
        for name in ("mean", "std"):
            self.register_buffer(name, torch.tensor(getattr(dataset, name)).view(1, -1, 1, 1))

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        if pixels.dtype != torch.uint8 or pixels.ndim != 4 or pixels.shape[1] != self.mean.shape[1]:
            raise ValueError(
                f"pixels are {pixels.dtype} {list(pixels.shape)}; this network takes torch.uint8 "
                f"[batch, {self.mean.shape[1]}, height, width]."
            )
        return self.net((pixels.float() / 255 - self.mean) / self.std)


def export(net: nn.Module, dataset: data.Dataset, path: Path) -> Path:
    """Write `Deployed` of a network as ONNX, for any batch size, with the names of its classes.

    Raises ValueError where the exporter cannot take an operator of the network.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    whole = Deployed(net, dataset).cpu().eval()
    example = torch.zeros(2, *dataset.in_shape, dtype=torch.uint8)
    try:
        program = torch.onnx.export(
            whole,
            (example,),
            input_names=[PIXELS],
            output_names=[LOGITS],
            dynamic_shapes={"pixels": {0: torch.export.Dim("batch")}},
            dynamo=True,
            verbose=False,
        )
    except (torch.onnx.errors.OnnxExporterError, NotImplementedError) as why:
        first = str(why).strip().splitlines()[0]
        raise ValueError(
            f"{type(net).__name__} cannot be exported to ONNX: {first} Replace what the exporter "
            "does not know by operators that it does, such as those of torch.nn."
        ) from why
    model = program.model_proto
    for node in model.graph.node:
        del node.metadata_props[:]  # where in the source it comes from: for debugging alone
    onnx.helper.set_model_props(model, {"classes": ",".join(dataset.classes)})
    onnx.save_model(model, path)
    return path


class _Images(CalibrationDataReader):
    """Batches of images, by which the ranges of all activations are measured."""

    def __init__(self, images: torch.Tensor):
        self.parts = iter(images.split(50))

    def get_next(self) -> dict[str, np.ndarray] | None:
        part = next(self.parts, None)
        return None if part is None else {PIXELS: part.numpy()}


def quantise(
    path: Path,
    images: torch.Tensor,
    out: Path,
    per_channel: bool = True,
    whole_range: bool = False,
) -> Path:
    """Write an exported network in 8 bits: weights int8, activations uint8 with measured ranges.

    images: uint8 [N, C, H, W], for calibration; of the training set. per_channel: one step for each
    filter, not one for all weights of a layer. whole_range: weights from -127 to 127, not from -64
    to 64. A processor without 8-bit dot products (VNNI) keeps the sum of two products in 16 bits
    and cuts it off at 32,767: 2 * 255 * 64 fits, 2 * 255 * 127 does not, and such a file may be
    wrong there. The logits stay as the last layer gives them.
    """
    path, out = Path(path), Path(out)
    ready = out.with_suffix(".ready.onnx")  # shapes inferred, batch norms folded
    quant_pre_process(path, ready, skip_symbolic_shape=True)
    quantize_static(
        ready,
        out,
        _Images(images),
        quant_format=QuantFormat.QDQ,
        per_channel=per_channel,
        reduce_range=not whole_range,
        weight_type=QuantType.QInt8,
        activation_type=QuantType.QUInt8,
    )
    ready.unlink()
    model = onnx.load(out)
    _keep_logits(model.graph)
    onnx.helper.set_model_props(model, {p.key: p.value for p in onnx.load(path).metadata_props})
    onnx.save_model(model, out)
    return out


def _keep_logits(graph: onnx.GraphProto) -> None:
    """Take the rounding of the logits off a graph: in 8 bits, two classes are often equally high."""
    made_by = {name: node for node in graph.node for name in node.output}
    back = made_by[LOGITS]
    if back.op_type != "DequantizeLinear":
        return
    rounded = made_by[back.input[0]]
    last = made_by[rounded.input[0]]
    last.output[list(last.output).index(rounded.input[0])] = LOGITS
    for node in (back, rounded):
        graph.node.remove(node)
    used = {name for node in graph.node for name in node.input}
    for constant in [c for c in graph.initializer if c.name not in used]:
        graph.initializer.remove(constant)


def session(path: Path, threads: int = 1) -> Callable[[np.ndarray], np.ndarray]:
    """A network that onnxruntime runs on the CPU: uint8 [B, C, H, W] -> float32 [B, classes]."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    made = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    return lambda pixels: made.run(None, {PIXELS: pixels})[0]


def predict(path: Path, images: torch.Tensor, threads: int = 1) -> torch.Tensor:
    """Logits of an exported network about images uint8 [N, C, H, W]: float32 [N, classes]."""
    run = session(path, threads)
    return torch.cat([torch.from_numpy(run(part.numpy())) for part in images.split(BATCH)])


def in_turns(
    calls: Mapping[str, Callable[[], object]], rounds: int, warm_up: int = 5, seed: int = 0
) -> pd.DataFrame:
    """Milliseconds of each call, a row a round; in a new random order in every round.

    In a fixed order, whoever follows a large network would always find the caches emptied.
    """
    dice, names, taken = np.random.default_rng(seed), list(calls), {name: [] for name in calls}
    for k in range(warm_up + rounds):
        for name in dice.permutation(names):
            start = time.perf_counter()
            calls[name]()
            if k >= warm_up:
                taken[name].append(1000 * (time.perf_counter() - start))
    return pd.DataFrame(taken)


def peak_memory(path: Path) -> float:
    """What a process of onnxruntime alone needs for this network, one image at a time, in MiB.

    The peak of its resident memory less what it holds before the network is loaded; PyTorch is
    not imported there. NaN where the system is not Linux, which alone says this.
    """
    if not Path("/proc/self/clear_refs").exists():
        return float("nan")
    call = [sys.executable, "-c", _PEAK, str(path)]
    done = subprocess.run(call, capture_output=True, text=True, check=True)
    before, most = json.loads(done.stdout)
    return most - before


@contextmanager
def _quiet() -> Iterator[None]:
    """ExecuTorch reports on the processor at length: nothing reaches the page while it works."""
    kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    logging.disable(logging.WARNING)
    os.dup2(nowhere, 2)
    try:
        with redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
            yield
    finally:
        os.dup2(kept, 2)
        logging.disable(logging.NOTSET)
        os.close(kept)
        os.close(nowhere)


def export_executorch(net: nn.Module, dataset: data.Dataset, path: Path) -> Path:
    """Write `Deployed` of a network for PyTorch's own runtime on phones, one image at a time.

    Needs the optional package executorch. XNNPACK computes what it can take.
    """
    whole, one = Deployed(net, dataset).cpu().eval(), torch.zeros(1, *dataset.in_shape).byte()
    with _quiet():
        from executorch.backends.xnnpack.partition.xnnpack_partitioner import XnnpackPartitioner
        from executorch.exir import to_edge_transform_and_lower

        program = torch.export.export(whole, (one,))
        lowered = to_edge_transform_and_lower(program, partitioner=[XnnpackPartitioner()])
        content = lowered.to_executorch().buffer
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    Path(path).write_bytes(content)
    return Path(path)


def session_executorch(path: Path, threads: int = 1) -> Callable[[np.ndarray], np.ndarray]:
    """A .pte file that PyTorch's own runtime runs: uint8 [1, C, H, W] -> float32 [1, classes].

    threads: of all such files of this process.
    """
    with _quiet():
        from executorch.extension.pybindings import portable_lib
        from executorch.runtime import Runtime

        portable_lib._unsafe_reset_threadpool(threads)
        forward = Runtime.get().load_program(str(path)).load_method("forward")
    return lambda pixels: forward.execute([torch.from_numpy(pixels)])[0].numpy()


def predict_executorch(path: Path, images: torch.Tensor) -> torch.Tensor:
    """Logits of a .pte file about images uint8 [N, C, H, W]: float32 [N, classes]."""
    run = session_executorch(path)
    return torch.cat([torch.from_numpy(run(image[None].numpy()).copy()) for image in images])
