"""A slider for the temperature that works in JupyterLab and in a saved page without a kernel.

In: the logits of one image and the names of its classes. Out: HTML with all it needs inside. The
probabilities of every position are computed here, by softmax; the script only shows them. Without a
script (a printed page, a notebook that is not trusted) the table for T = 1 stands there.
"""

import base64
import hashlib
import html
import io
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass

import matplotlib.image
import torch

from .losses import soft_targets

TEMPERATURES = tuple(2 ** (k / 4) for k in range(-8, 25))  # 0.25 to 64, four steps to a doubling
START = TEMPERATURES.index(1.0)


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
        if len(self.logits) != len(self.classes) or len(self.logits) < 2:
            raise ValueError(
                f"{len(self.logits)} logits and {len(self.classes)} class names: give each logit a "
                "name, and at least two of them."
            )
        if not all(math.isfinite(value) for value in self.logits):
            raise ValueError(f"logits = {self.logits} must be finite numbers.")
        if self.label is not None and self.label not in self.classes:
            raise ValueError(f"label = {self.label!r} is none of the classes {self.classes}.")
        if self.picture is not None and not self.alt:
            raise ValueError("a picture needs alt = a few words that say what it shows.")

    def probabilities(self) -> list[list[float]]:
        """Softmax at each of TEMPERATURES: [temperatures][classes]."""
        z = torch.tensor(self.logits, dtype=torch.float64)
        return [soft_targets(z, t).tolist() for t in TEMPERATURES]

    def __repr__(self) -> str:
        names = sorted(zip(self.probabilities()[START], self.classes, strict=True), reverse=True)
        top = ", ".join(f"{name} {p:.3f}" for p, name in names[:3])
        return f"A slider for the temperature T. At T = 1 the softmax gives: {top}."

    def _repr_html_(self) -> str:
        states = [
            {"t": f"{t:.2f}".rstrip("0").rstrip("."), "p": p, "h": f"{_entropy(p):.2f}"}
            for t, p in zip(TEMPERATURES, self.probabilities(), strict=True)
        ]
        mark = ' <span class="kdt-mark">(label)</span>'
        rows = "".join(
            f'<tr><th scope="row">{html.escape(name)}{mark if name == self.label else ""}</th>'
            f'<td class="kdt-number">{p:.4f}</td><td class="kdt-cell" aria-hidden="true">'
            f'<div class="kdt-bar" style="width:{100 * p:.2f}%"></div></td></tr>'
            for name, p in zip(self.classes, states[START]["p"], strict=True)
        )
        for state in states:
            state["p"] = [f"{p:.4f}" for p in state["p"]]
        text = json.dumps([self.logits, self.classes])
        page = _PAGE
        for name, value in {
            "key": "kdt-" + hashlib.sha256(text.encode()).hexdigest()[:8],
            "rows": rows,
            "picture": self._picture(),
            "last": str(len(TEMPERATURES) - 1),
            "start": str(START),
            "entropy": states[START]["h"],
            "most": f"{math.log(len(self.classes)):.2f}",
            "states": json.dumps(states, separators=(",", ":")),
        }.items():
            page = page.replace(f"@{name}@", value)
        return page

    def _picture(self) -> str:
        if self.picture is None:
            return ""
        stream = io.BytesIO()
        pixels = self.picture.permute(1, 2, 0).contiguous().numpy()
        matplotlib.image.imsave(stream, pixels, format="png", metadata={"Software": None})
        data = base64.b64encode(stream.getvalue()).decode()
        return (
            f'<img class="kdt-picture" width="112" height="112" alt="{html.escape(self.alt)}" '
            f'src="data:image/png;base64,{data}">'
        )


def _entropy(probabilities: Sequence[float]) -> float:
    return -sum(p * math.log(p) for p in probabilities if p > 0)


# Text takes the page's colour, so that it reads on light and on dark. The control stays hidden
# until the script runs: a slider that does nothing would be worse than none. The live text speaks
# when a movement ends, not at every step of it.
_PAGE = """\
<div class="kdt" data-kdt="@key@">
<style>
.kdt { max-width: 38rem; font: 14px/1.4 system-ui, sans-serif; color: inherit; }
.kdt-top { display: flex; flex-wrap: wrap; gap: 1rem 1.5rem; align-items: center; }
.kdt img.kdt-picture { image-rendering: pixelated; border-radius: 4px; margin: 0; }
.kdt-side { flex: 1 1 16rem; }
.kdt-control[hidden] { display: none; }
.kdt-control { display: flex; flex-direction: column; gap: .3rem; }
.kdt-control label { font-weight: 600; }
.kdt input[type="range"] { width: 100%; margin: 0; accent-color: #0072B2; }
.kdt-ends { display: flex; justify-content: space-between; opacity: .75; font-size: 12px; }
.kdt p.kdt-live { margin: .5rem 0 0; font-variant-numeric: lining-nums tabular-nums; }
.kdt table.kdt-table { width: 100%; border-collapse: collapse; border: 0; margin: .7rem 0 0;
  font: inherit; table-layout: fixed; }
.kdt-table caption { text-align: left; caption-side: top; padding: 0 0 .35rem; color: inherit; }
.kdt-table tbody :is(th, td) { border: 0; padding: 2px 10px 2px 0; background: none; }
.kdt-table tbody th { width: 7.5rem; text-align: left; font-weight: 400; white-space: nowrap; }
.kdt-mark { opacity: .75; font-size: 12px; }
.kdt-table td.kdt-number { width: 4.2rem; text-align: right;
  font-variant-numeric: lining-nums tabular-nums; }
.kdt-bar { height: 13px; min-width: 1px; background: #0072B2; border-radius: 0 2px 2px 0; }
</style>
<div class="kdt-top">@picture@<div class="kdt-side">
<div class="kdt-control" hidden>
<label for="@key@">Temperature T = <span class="kdt-t">1</span></label>
<input id="@key@" type="range" min="0" max="@last@" step="1" value="@start@" \
aria-valuetext="T = 1">
<div class="kdt-ends" aria-hidden="true"><span>0.25</span><span>1</span><span>4</span>\
<span>16</span><span>64</span></div>
</div>
<p class="kdt-live" aria-live="polite">T = 1: entropy @entropy@ of at most @most@ nats</p>
</div></div>
<table class="kdt-table">
<caption>Softmax of the logits at T = <span class="kdt-t">1</span></caption>
<tbody>@rows@</tbody></table>
<script type="application/json" class="kdt-states">@states@</script>
<script>
(function () {
  document.querySelectorAll('[data-kdt="@key@"]:not([data-ready])').forEach(function (root) {
    var states = JSON.parse(root.querySelector(".kdt-states").textContent);
    var input = root.querySelector("input"), live = root.querySelector(".kdt-live");
    var numbers = root.querySelectorAll(".kdt-number"), bars = root.querySelectorAll(".kdt-bar");
    // The same output may stand on a page twice; each label must find its own slider.
    input.id = "@key@-" + document.querySelectorAll('[data-kdt][data-ready]').length;
    root.querySelector("label").htmlFor = input.id;
    root.setAttribute("data-ready", "");
    function show() {
      var now = states[+input.value];
      root.querySelectorAll(".kdt-t").forEach(function (t) { t.textContent = now.t; });
      input.setAttribute("aria-valuetext", "T = " + now.t);
      now.p.forEach(function (p, k) {
        numbers[k].textContent = p;
        bars[k].style.width = 100 * p + "%";
      });
    }
    function say() {
      var now = states[+input.value];
      live.textContent = "T = " + now.t + ": entropy " + now.h + " of at most @most@ nats";
    }
    input.addEventListener("input", show);
    input.addEventListener("change", say);
    root.querySelector(".kdt-control").hidden = false;
    show();
    say();
  });
})();
</script>
</div>
"""
