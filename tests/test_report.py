"""The report and its pages: what is checked before anything runs, what a failure leaves, links,
formulas, figures, scripts; on three small notebooks."""

import importlib.util
import os
import re
import sys
from pathlib import Path
from types import SimpleNamespace

import nbformat
import numpy as np
import papermill
import pytest
from docutils import nodes
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output
from papermill.exceptions import PapermillExecutionError
from sphinx.errors import ExtensionError

from book import build, report, series
from kdutils import figures
from kdutils.experiments import parse_seeds

PARAMETERS = 'PROFILE = "laptop"\nSEEDS = None  # the profile\'s own\nTEMPERATURES = [1, 2]'

TEXT = r"""# What does a *teacher* know?

Let $z_i < z_j$ be logits; a price of \$5 and `$x$` in code are no formulas.

$$p_i = \frac{e^{z_i/T}}{\sum_j e^{z_j/T}}$$

\begin{align*}
a &= b \\
  &= \operatorname{softmax}(c)
\end{align*}

See [the next one](02_fails.ipynb).

## A section

## A section

```python
cost = "$5 and $6"
```
"""

FIGURE = """import matplotlib.pyplot as plt
from kdutils import figures
figures.theme()
fig, ax = plt.subplots()
ax.plot([0, 1], [0, 1])
figures.show(fig, alt="A straight line that rises from nought to one & <more>")"""

NOISE = """import sys
from tqdm import tqdm
for _ in tqdm(range(3)):
    pass
print("careful: a warning", file=sys.stderr)
print("interpreter", sys.executable)"""

SCRIPTS = """from IPython.display import HTML, display
display(HTML("<p>seen<script>document.title = 'taken over'</script></p>"))
HTML("<div class=\\"kdt\\"><script>if (1 < 2 && 3) { document.title; }</script></div>")"""


def _write(folder: Path, name: str, *cells) -> None:
    nb = new_notebook(cells=list(cells))
    nb.metadata["kernelspec"] = {"name": "nowhere", "display_name": "?", "language": "python"}
    nbformat.write(nb, folder / name)


def _parameters():
    return new_code_cell(PARAMETERS, metadata={"tags": ["parameters"]})


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """Three small notebooks, the second of which fails, and the report made of them."""
    folder = tmp_path_factory.mktemp("notebooks")
    out = tmp_path_factory.mktemp("report")
    _write(
        folder,
        "01_works.ipynb",
        new_markdown_cell(TEXT),
        _parameters(),
        new_markdown_cell(
            "## Exercises\n\n1. *(easy)* Do it.\n2. *(hard)* Do more.\n"
            "   [Solution](solutions/01_works.py#exercise-2).\n\nThat was it."
        ),
        new_code_cell("print(PROFILE, SEEDS)"),
        new_code_cell(FIGURE, metadata={"tags": ["hide-input"]}),
        new_code_cell(NOISE),
        new_code_cell("1 / 0", metadata={"tags": ["raises-exception"]}),
        new_code_cell(SCRIPTS),
    )
    _write(
        folder,
        "02_fails.ipynb",
        new_markdown_cell("# It fails"),
        _parameters(),
        new_code_cell("print('before the error')"),
        new_code_cell(
            "\n# here it stops\nimport matplotlib.pyplot as plt\nplt.plot([0, 1])\n"
            "raise RuntimeError('no such luck\\nand more')"
        ),
        new_code_cell("print('never')"),
    )
    _write(
        folder,
        "03_dies.ipynb",
        new_markdown_cell("# It dies"),
        _parameters(),
        new_code_cell("import os; os._exit(1)"),
        new_code_cell("print('never')"),
    )
    (folder / "solutions").mkdir()
    solved = "# %% [markdown]\n# # Solutions\n#\n# ## Exercise 2\n#\n# So.\n\n# %%\n1\n"
    (folder / "solutions" / "01_works.py").write_text(solved)
    said = []
    environment = dict(os.environ)
    failed = report.run(
        {"PROFILE": "smoke", "SEEDS": [0, 1]}, folder=folder, out=out, say=said.append
    )
    assert dict(os.environ) == environment
    return {"folder": folder, "out": out, "said": said, "failed": failed}


def _page(site, name):
    return (site["out"] / name).read_text(encoding="utf-8")


def test_a_failing_notebook_is_named_with_its_cell_and_the_others_run(site):
    assert site["failed"] == 2
    first, second, third = site["said"][:3]
    assert re.fullmatch(r"01_works: \d+\.\d s", first)
    assert "02_fails: FAILED" in second
    assert "cell 4 (`# here it stops`): RuntimeError: no such luck" in second
    assert "cell 3 (`import os; os._exit(1)`): DeadKernelError" in third
    assert site["said"][-1] == "1 of 3 notebooks ran; failed: 02, 03."


def test_an_error_that_the_text_wants_is_no_failure(site):
    page = _page(site, "01_works.html")
    assert "ZeroDivisionError" in page and "This chapter failed" not in page


def test_what_finished_is_kept_and_no_partial_file_stays(site):
    stems = ("01_works", "02_fails", "03_dies")
    kept = sorted(path.name for path in (site["out"] / "notebooks").iterdir())
    assert kept == [f"{stem}.ipynb" for stem in stems]
    for stem, status in zip(stems, ("done", "failed", "failed"), strict=True):
        nb = nbformat.read(site["out"] / "notebooks" / f"{stem}.ipynb", as_version=4)
        assert nb.metadata["kdutils"]["status"] == status
        assert (site["out"] / f"{stem}.html").exists()


def test_a_failed_page_says_so_and_ends_with_the_failing_cell(site):
    page = _page(site, "02_fails.html")
    assert "This chapter failed" in page and "no such luck" in page
    assert "before the error" in page and "RuntimeError" in page
    assert "papermill" not in page and "never" not in page
    assert '<img alt="An unfinished figure."' in page


def test_toy_data_is_said_loudly_on_every_page_that_shows_it(site):
    for name in ("01_works.html", "02_fails.html"):
        assert "Toy data: these numbers are not results." in _page(site, name)


def test_the_report_ends_by_naming_both_editions(site):
    assert "profile smoke" in site["said"][3] and "index.html" in site["said"][3]
    assert "make book" in site["said"][4]


def test_an_image_keeps_its_description(site):
    alts = re.findall(r'<img alt="([^"]*)"', _page(site, "01_works.html"))
    assert alts == ["A straight line that rises from nought to one &amp; &lt;more&gt;"]


def test_formulas_become_mathml_and_code_does_not(site):
    page = _page(site, "01_works.html")
    assert page.count("<math ") == 3
    assert page.count('display="block"') == 2
    assert r'alttext="z_i &lt; z_j"' in page
    assert "$x$" in page and "$5 and" in page
    assert "$5 and $6" in re.sub("<[^>]+>", "", page)


def test_chapters_can_be_clicked(site):
    page = _page(site, "01_works.html")
    assert re.search(r'href="02_fails.html"[^>]*>(<[^>]*>)*the next one', page)


def test_an_exercise_leads_to_its_solution_where_there_is_one(site):
    page = _page(site, "01_works.html")
    assert re.findall(r'href="(solutions/[^"]*)"[^>]*>(?:<[^>]*>)*Solution<', page) == [
        "solutions/01_works.html#exercise-2"
    ]
    assert 'id="exercise-2"' in _page(site, "solutions/01_works.html")


def test_progress_bars_do_not_show_and_warnings_stay(site):
    nb = nbformat.read(site["out"] / "notebooks" / "01_works.ipynb", as_version=4)
    streams = [o for c in nb.cells for o in c.get("outputs", []) if o.get("name") == "stderr"]
    assert [o.text for o in streams] == ["careful: a warning\n"]


def test_notebooks_run_on_this_very_interpreter_whatever_kernel_they_name(site):
    nb = nbformat.read(site["out"] / "notebooks" / "01_works.ipynb", as_version=4)
    texts = [o.text for c in nb.cells for o in c.get("outputs", []) if o.get("name") == "stdout"]
    assert texts == ["smoke [0, 1]\n", f"interpreter {sys.executable}\n"]


def test_only_the_courses_own_script_runs_others_are_text(site):
    page = _page(site, "01_works.html")
    assert "<script>if (1 < 2 && 3) { document.title; }</script>" in page
    assert "<script>document.title" not in page


def test_drawing_code_is_folded_and_papermills_names_do_not_show(site):
    page = _page(site, "01_works.html")
    assert len(re.findall(r'<details class="[^"]*\bhide\b', page)) == 1
    assert "Set for this report" in page and "# Parameters" not in page


def test_what_was_not_run_shows_the_notebook_as_it_was_saved(site, tmp_path):
    failed = report.run({}, only=["02"], folder=site["folder"], out=tmp_path, say=lambda _: None)
    assert failed == 1
    assert [path.name for path in (tmp_path / "notebooks").iterdir()] == ["02_fails.ipynb"]
    saved = (tmp_path / "01_works.html").read_text(encoding="utf-8")
    assert "Run on" not in saved and "<img" not in saved  # saved without outputs
    assert "Run on" in (tmp_path / "02_fails.html").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"PROFILE": "smok"}, r"PROFILE = 'smok'.*'smoke'.*'laptop'.*'paper'"),
        ({"SEEDS": [0, "a"]}, r"SEEDS = \[0, 'a'\]: give a list"),
        ({"EPOCHS": 3}, r"Notebook 01 has no parameter 'EPOCHS' \(given: 3\).*TEMPERATURES"),
        ({"TEMPERATURES": "hot"}, r"TEMPERATURES = 'hot' does not fit; its default is \[1, 2\]"),
    ],
)
def test_bad_values_are_refused_before_anything_runs(site, tmp_path, values, message):
    with pytest.raises(ValueError, match=message):
        report.run(values, folder=site["folder"], out=tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_an_unknown_notebook_number_is_answered_with_those_that_exist(site):
    with pytest.raises(ValueError, match="no notebook '07'.*01 What does a teacher know"):
        series.choose(["7"], site["folder"])
    assert [n.number for n in series.choose(["3", "01"], site["folder"])] == ["01", "03"]


def test_settings_are_read_as_python_values():
    parsed = series.parse(["T=2.5", "SEEDS=[0, 1]", "PROFILE=laptop", "NAME=a=b"])
    assert parsed == {"T": 2.5, "SEEDS": [0, 1], "PROFILE": "laptop", "NAME": "a=b"}
    assert parse_seeds("0,1,2") == [0, 1, 2] and parse_seeds("4") == [4]
    for wrong in ("T", "=3", "2T=1"):
        with pytest.raises(ValueError, match="NAME=VALUE"):
            series.parse([wrong])
    for wrong in ("0,x", "1.5", "", "0,0"):
        with pytest.raises(ValueError, match="SEEDS"):
            parse_seeds(wrong)


@pytest.fixture(scope="module")
def mathml():
    """From a formula to its MathML, as Sphinx calls it."""
    spec = importlib.util.spec_from_file_location("conf", build.PARTS / "conf.py")
    conf = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(conf)

    def made(latex: str) -> str:
        page = SimpleNamespace(body=[])
        with pytest.raises(nodes.SkipNode):
            conf._formula(page, nodes.math_block("", latex), display=True)
        return page.body[0]

    return made


@pytest.mark.parametrize(
    "latex",
    [
        r"\nosuch{x}",
        r"\frac{a",
        "}",
        "",
        r"\begin{foo}x\end{foo}",
        r"\begin{aligned} a &= b \end{aligned}",
        "a & b",
    ],
)
def test_a_formula_that_cannot_be_shown_is_an_error(mathml, latex):
    with pytest.raises(ExtensionError, match="formula"):
        mathml(latex)


def _broken(folder, *cells):
    (folder / "solutions").mkdir(exist_ok=True)
    _write(folder, "01_a.ipynb", new_markdown_cell("# A"), *cells)
    with pytest.raises(ValueError) as stopped:
        build.render(folder, None, folder / "out")
    return str(stopped.value)


def _shown(**data):
    return new_code_cell("1", outputs=[new_output("display_data", data=data)])


def test_what_cannot_be_shown_stops_the_book_and_is_named(tmp_path):
    sound = _shown(**{"text/plain": "1"})
    said = _broken(tmp_path, sound, new_markdown_cell(r"so $\nosuch$ it is"))
    assert "01_a.ipynb, cell 3" in said and r"`\nosuch`" in said
    assert "01_a.ipynb has no outputs" in _broken(tmp_path, new_code_cell("1"))
    said = _broken(tmp_path, _shown(**{"image/png": "iVBORw0KGgo=", "text/plain": "a plot"}))
    assert "01_a.ipynb, code cell 1: a figure without alt text" in said
    assert "nowhere.ipynb" in _broken(tmp_path, sound, new_markdown_cell("[x](nowhere.ipynb)"))


def test_aligned_formulas_keep_their_columns(mathml):
    made = mathml(r"\begin{align*} a &= b \\ c &= d \end{align*}")
    assert made.count("<mtr>") == 2 and "&</mi>" not in made


def test_a_saved_figure_has_the_same_bytes_each_time(tmp_path, monkeypatch):
    import matplotlib.pyplot as plt

    monkeypatch.setenv("KDUTILS_FIGURES", str(tmp_path))
    made = []
    with plt.rc_context():
        figures.theme()
        for _ in range(2):
            fig, ax = plt.subplots()
            ax.plot(np.arange(5), np.arange(5) ** 2)
            figures.show(fig, alt="A line that rises with its square", name="curve")
            made.append([(tmp_path / f"curve.{kind}").read_bytes() for kind in ("svg", "png")])
    assert made[0] == made[1]


def test_a_file_in_the_place_of_the_report_is_refused_and_kept(site, tmp_path):
    (tmp_path / "out").write_text("mine")
    with pytest.raises(ValueError, match="out is a file"):
        report.run({}, folder=site["folder"], out=tmp_path / "out")
    assert (tmp_path / "out").read_text() == "mine"


def test_papermill_alone_is_refused_a_parameter_that_the_chapter_does_not_have(tmp_path):
    """As in `papermill 01.ipynb out.ipynb -p WRONG 1`, where papermill itself only warns."""
    source = (
        'lab = Lab("01", PROFILE, SEEDS, TRAIN)',
        "PROFILE = 'smoke'\nSEEDS = [0]\nTRAIN = False",
    )
    _write(
        tmp_path,
        "01_a.ipynb",
        new_code_cell(source[1], metadata={"tags": ["parameters"]}),
        new_code_cell(f"from kdutils.experiments import Lab\n{source[0]}"),
    )
    path, kernel = str(tmp_path / "01_a.ipynb"), {"kernel_name": "python3", "progress_bar": False}
    with series.this_interpreter(), pytest.raises(PapermillExecutionError) as stopped:
        papermill.execute_notebook(path, path, parameters={"WRONG": 1, "SEEDS": [1]}, **kernel)
    assert stopped.value.ename == "ValueError"
    said = stopped.value.evalue
    assert "WRONG" in said and all(name in said for name in ("PROFILE", "SEEDS", "TRAIN"))


def test_lines_differ_without_colour():
    import matplotlib.pyplot as plt

    with plt.rc_context():
        figures.theme()
        fig, ax = plt.subplots()
        lines = [ax.plot([0, 1], [k, k])[0] for k in range(len(figures.COLORS))]
        looks = {(line.get_marker(), str(line._unscaled_dash_pattern)) for line in lines}
        plt.close(fig)
    assert len(looks) == len(figures.COLORS)


def test_two_run_at_once_and_what_measures_time_runs_alone(tmp_path, monkeypatch):
    cell = (
        "import os, time\nstart = time.time()\ntime.sleep(1)\n"
        "print(os.environ.get('OMP_NUM_THREADS'), start, time.time())"
    )
    for number in ("01", "02", "03"):
        texts = new_markdown_cell(f"# Number {number}"), _parameters(), new_code_cell(cell)
        _write(tmp_path, f"{number}_clock.ipynb", *texts)
    chapters = {"02": SimpleNamespace(MEASURES_TIME=True), "03": SimpleNamespace()}
    monkeypatch.setattr(report.experiments, "chapters", lambda: chapters)
    monkeypatch.setattr(report.build, "render", lambda *_: None)
    monkeypatch.setattr(report.os, "cpu_count", lambda: 8)
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    said = []
    out = tmp_path / "out"
    assert not report.run({"PROFILE": "smoke"}, folder=tmp_path, out=out, say=said.append)
    assert [line[:2] for line in said[:3]] == ["01", "03", "02"]
    assert os.environ["OMP_NUM_THREADS"] == "7"

    def printed(number):
        nb = nbformat.read(out / "notebooks" / f"{number}_clock.ipynb", as_version=4)
        threads, *times = nb.cells[-1].outputs[0].text.split()
        return threads, *map(float, times)

    assert [printed(n)[0] for n in ("01", "02", "03")] == ["4", "7", "4"]
    assert printed("02")[1] > max(printed("01")[2], printed("03")[2])
