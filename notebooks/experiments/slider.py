"""A slider for the temperature that works in JupyterLab and in a saved page without a kernel.

In: the logits of one image and the names of its classes. Out: HTML with all it needs inside. The
probabilities of every position are computed here, by softmax; the script in `slider.html` makes the
control and shows them. Without a script (a notebook not yet trusted) the table for T = 1 stands.
"""

import base64
import hashlib
import io
import json
import math
from dataclasses import dataclass
from pathlib import Path

import matplotlib.image
import torch
from jinja2 import Template

from kdutils.losses import soft_targets

TEMPERATURES = tuple(2 ** (k / 4) for k in range(-8, 25))  # 0.25 to 64, four steps to a doubling
START = TEMPERATURES.index(1.0)
_TEXT = Path(__file__).with_suffix(".html").read_text(encoding="utf-8")
_PAGE = Template(_TEXT, autoescape=True, trim_blocks=True)


@dataclass(frozen=True)
class TemperatureSlider:
    """What a cell shows: move the slider and see the softmax of `logits` at that temperature.

    logits: one number a class. classes: their names, in the same order. label: the true class's
    name, marked in the table, or None. picture: uint8 [3, H, W] to show beside it, with `alt`
    saying what it is. Raises ValueError where these do not fit together.
    """

    logits: tuple[float, ...]
    classes: tuple[str, ...]
    label: str | None = None
    picture: torch.Tensor | None = None
    alt: str = ""

    def __post_init__(self) -> None:
        n = len(self.logits)
        if n != len(self.classes) or n < 2 or not all(map(math.isfinite, self.logits)):
            raise ValueError(
                f"logits = {self.logits} must be at least two finite numbers, one for each of "
                f"{len(self.classes)} class names."
            )
        if self.label is not None and self.label not in self.classes:
            raise ValueError(f"label = {self.label!r} is none of the classes {self.classes}.")
        if self.picture is not None and not self.alt:
            raise ValueError("a picture needs alt = a few words that say what it shows.")

    def probabilities(self) -> torch.Tensor:
        """Softmax at each of TEMPERATURES: float64 [temperatures, classes]."""
        z = torch.tensor(self.logits, dtype=torch.float64)
        return torch.stack([soft_targets(z, t) for t in TEMPERATURES])

    def __repr__(self) -> str:
        names = zip(self.probabilities()[START].tolist(), self.classes, strict=True)
        top = ", ".join(f"{name} {p:.3f}" for p, name in sorted(names, reverse=True)[:3])
        return f"A slider for the temperature T. At T = 1 the softmax gives: {top}."

    def _repr_html_(self) -> str:
        q = self.probabilities()
        entropies = torch.special.entr(q).sum(1).tolist()  # nats
        states = [
            {
                "t": f"{t:.2f}".rstrip("0").rstrip("."),
                "p": [f"{p:.4f}" for p in row],
                "h": f"{h:.2f}",
            }
            for t, row, h in zip(TEMPERATURES, q.tolist(), entropies, strict=True)
        ]
        given = json.dumps([self.logits, self.classes])
        return _PAGE.render(
            slider=self,
            key="kdt-" + hashlib.sha256(given.encode()).hexdigest()[:8],
            states=states,
            start=START,
            widths=[f"{100 * p:.2f}" for p in q[START].tolist()],
            most=f"{math.log(len(self.classes)):.2f}",
            picture=None if self.picture is None else self._png(),
        )

    def _png(self) -> str:
        stream = io.BytesIO()
        pixels = self.picture.permute(1, 2, 0).contiguous().numpy()
        matplotlib.image.imsave(stream, pixels, format="png", metadata={"Software": None})
        return base64.b64encode(stream.getvalue()).decode()
