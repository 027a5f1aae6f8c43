"""A temperature slider that works without a kernel: in JupyterLab and in an exported page.

In: logits of one image, the names of the classes. Out: HTML with a script of a few lines. The bars
for T = 1 are drawn beforehand, so that a page without scripts shows them too.
"""

import hashlib
import html
import json
import math
from collections.abc import Sequence

import torch

from . import losses

_TEMPLATE = """<div id="{name}" role="group" aria-label="{title}" style="max-width:34rem;
font-family:sans-serif;font-size:14px">
<p style="margin:0 0 .4rem"><strong>{title}</strong></p>
<label>Temperature T = <output>1.00</output><br>
<input type="range" min="-1" max="2" step="0.01" value="0" style="width:100%"
aria-label="temperature, from 0.1 to 100, on a logarithmic scale"></label>
<table role="img" aria-label="{alt}" style="width:100%;border-collapse:collapse;border:0">{rows}
</table>
<p aria-live="polite" style="margin:.4rem 0 0">entropy: <span>{entropy:.3f}</span> nats, of at most
{most:.3f}</p>
</div>
<script>(function(){{
const box = document.getElementById("{name}"), z = {logits};
const input = box.querySelector("input"), bars = box.querySelectorAll("tr");
input.addEventListener("input", function(){{
  const T = Math.pow(10, input.value), top = Math.max(...z);
  const e = z.map(v => Math.exp((v - top) / T)), sum = e.reduce((a, b) => a + b, 0);
  let H = 0;
  e.forEach(function(v, i){{
    const q = v / sum;
    if (q > 0) H -= q * Math.log(q);
    bars[i].querySelector("i").style.width = (100 * q).toFixed(2) + "%";
    bars[i].lastElementChild.textContent = q.toFixed(4);
  }});
  box.querySelector("output").textContent = T.toPrecision(3);
  box.querySelector("p span").textContent = H.toFixed(3);
}});
}})();</script>"""

_ROW = """
<tr style="background:none">
<td style="text-align:right;width:6rem;padding:1px 6px;border:0">{label}</td>
<td style="padding:1px 0;border:0"><i style="display:block;height:14px;background:#0072B2;
width:{width:.2f}%"></i></td>
<td style="width:4rem;padding:1px 6px;border:0;text-align:right">{q:.4f}</td></tr>"""


def temperature_slider(logits: Sequence[float], classes: Sequence[str], title: str) -> str:
    """HTML of a slider over T from 0.1 to 100 and the softmax of these logits at that T.

    logits: one number a class; classes: their names. Raises ValueError where the two differ in
    length or a logit is not finite.
    """
    logits = [round(float(z), 4) for z in logits]
    if len(logits) != len(classes) or not all(map(math.isfinite, logits)):
        raise ValueError(
            f"temperature_slider takes one finite logit a class, not {len(logits)} logits "
            f"{logits} for {len(classes)} classes."
        )
    q = losses.soft_targets(torch.tensor(logits, dtype=torch.float64)).tolist()
    rows = [
        _ROW.format(label=html.escape(name), width=100 * p, q=p)
        for name, p in zip(classes, q, strict=True)
    ]
    said = ", ".join(f"{name} {p:.3f}" for name, p in zip(classes, q, strict=True))
    digest = hashlib.sha256(json.dumps([logits, list(classes), title]).encode()).hexdigest()
    return _TEMPLATE.format(
        name=f"slider-{digest[:8]}",
        title=html.escape(title, quote=True),
        alt=html.escape(f"Soft targets at T = 1: {said}.", quote=True),
        rows="".join(rows),
        entropy=-sum(p * math.log(p) for p in q if p > 0),
        most=math.log(len(q)),
        logits=json.dumps(logits),
    )
