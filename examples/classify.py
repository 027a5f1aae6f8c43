"""Classify an image file with an exported network: numpy, Pillow and onnxruntime, no PyTorch.

    python examples/classify.py examples/student.int8.onnx photo.png

The network says for itself what it needs: the file holds its classes and the size of its images.
It knows no others: a picture of anything else gets one of these classes, too, often surely.
"""

import argparse
import sys

import numpy as np
import onnxruntime
from PIL import Image, ImageOps, UnidentifiedImageError


def load(path: str) -> tuple[onnxruntime.InferenceSession, list[str], int]:
    """The network, its classes, and the height and width of its images. ValueError for others."""
    try:
        session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    except Exception as why:  # onnxruntime's own exceptions have no common class
        raise ValueError(f"{path} is no network that onnxruntime can read: {why}") from None
    named = session.get_modelmeta().custom_metadata_map.get("classes")
    classes = named.split(",") if named else []
    take, give = session.get_inputs()[0], session.get_outputs()[0]
    fits = len(take.shape) == 4 and take.shape[1:3] == [3, take.shape[3]]
    if not (fits and take.type == "tensor(uint8)" and classes and give.shape[-1] == len(classes)):
        raise ValueError(
            f"{path} takes {take.type} {take.shape}, gives {give.shape} and names {len(classes)} "
            "classes. It must take uint8 pixels [batch, 3, size, size] and name the class of each "
            "logit: export it as chapter 11 does."
        )
    return session, classes, take.shape[3]


def pixels(path: str, size: int) -> np.ndarray:
    """An image file as uint8 [1, 3, size, size]: upright, on white, cut to a square, scaled."""
    try:
        with Image.open(path) as image:
            if image.mode.startswith(("I", "F")):
                raise ValueError(f"{path} has 16 or 32 bits a value; save it with 8 bits.")
            upright = ImageOps.exif_transpose(image).convert("RGBA")
    except FileNotFoundError:
        raise ValueError(f"{path} does not exist. Name a picture, such as photo.png.") from None
    except (UnidentifiedImageError, Image.DecompressionBombError, OSError) as why:
        raise ValueError(f"{path} is no picture that Pillow can read: {why}") from None
    white = Image.new("RGBA", upright.size, "white")
    solid = Image.alpha_composite(white, upright).convert("RGB")
    square = ImageOps.fit(solid, (size, size), Image.Resampling.BOX)
    return np.asarray(square).transpose(2, 0, 1)[None]


def classify(model: str, picture: str) -> list[tuple[str, float]]:
    """Classes and their probabilities, the most likely first."""
    session, classes, size = load(model)
    (logits,) = session.run(None, {session.get_inputs()[0].name: pixels(picture, size)})
    p = np.exp(logits[0] - logits[0].max())
    p /= p.sum()
    return [(classes[k], float(p[k])) for k in p.argsort()[::-1]]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", help="an .onnx file that chapter 11 exported")
    parser.add_argument("picture", help="an image file: PNG, JPEG, ...")
    given = parser.parse_args()
    try:
        for name, p in classify(given.model, given.picture)[:3]:
            print(f"{name:12} {p:.1%}")
    except ValueError as why:
        print(why, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
