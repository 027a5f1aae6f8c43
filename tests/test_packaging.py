"""pyproject.toml, requirements.lock and environment.yml: one set of packages, each of them used."""

import ast
import re
import subprocess
import sys
import tomllib
from importlib import metadata

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import Version

import kdutils
from kdutils import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
LOCK = (ROOT / "requirements.lock").read_text()
WANTED = {canonicalize_name(r.name): r for r in map(Requirement, PROJECT["dependencies"])}
PYTHONS = ("3.11", "3.12", "3.13")
SYSTEMS = {"linux": "Linux", "darwin": "Darwin", "win32": "Windows"}

# What a package is imported as, where that is another name.
IMPORTED_AS = {
    "open_clip_torch": "open_clip",
    "scikit-learn": "sklearn",
    "ipython": "IPython",
    "pyyaml": "yaml",
    "pillow": "PIL",
    "jupyter-client": "jupyter_client",
    "axe-playwright-python": "axe_playwright_python",
}
# Used as programs or plugins: where, instead of an import.
CALLED_IN = {
    "onnxscript": ("notebooks/experiments/device.py", "dynamo=True"),  # torch's exporter needs it
    "jupyterlab": ("book/series.py", "jupyterlab"),
    "ipykernel": ("book/series.py", 'kernel_name="python3"'),
    "myst-nb": ("book/conf.py", "myst_nb"),
    "furo": ("book/conf.py", '"furo"'),
    "sphinx-copybutton": ("book/conf.py", "sphinx_copybutton"),
    "ruff": ("tests/test_packaging.py", '"ruff"'),
    "nbval": ("book/checks.py", "--nbval"),
    "pytest-xdist": ("book/checks.py", "--dist"),
}


def _locked():
    """Package → its pinned lines, and the set of packages that pyproject.toml itself asked for."""
    pinned, direct, name = {}, set(), None
    for line in LOCK.splitlines():
        if line and not line.startswith((" ", "#")):
            requirement = Requirement(line)
            name = canonicalize_name(requirement.name)
            pinned.setdefault(name, []).append(requirement)
        elif name and re.search(r"\bkdutils \(pyproject\.toml\)", line):
            direct.add(name)
    return pinned, direct


def test_the_lock_answers_exactly_what_pyproject_asks_for():
    pinned, direct = _locked()
    assert direct == set(WANTED)
    for name, requirement in WANTED.items():
        for pin in pinned[name]:
            version = str(pin.specifier).removeprefix("==")
            assert requirement.specifier.contains(version), f"{name} {version}"


def test_the_lock_gives_every_python_and_system_exactly_one_version():
    pinned, _ = _locked()
    for name, pins in pinned.items():
        assert all(re.fullmatch(r"==[^*,]+", str(pin.specifier)) for pin in pins), name
        for python in PYTHONS:
            for system, platform in (
                ("linux", "Linux"),
                ("darwin", "Darwin"),
                ("win32", "Windows"),
            ):
                where = {
                    "python_version": python,
                    "python_full_version": f"{python}.0",
                    "sys_platform": system,
                    "platform_system": platform,
                }
                fitting = [p for p in pins if p.marker is None or p.marker.evaluate(where)]
                assert len(fitting) <= 1, f"{name} twice for {python} on {system}"
                assert fitting or name not in WANTED, f"{name} missing for {python} on {system}"


def test_the_lock_names_no_machine_and_no_index():
    assert not re.search(r"://|file:|--index|--find-links|(^|\s)/|@ ", LOCK)
    assert re.search(r"^torch==2\.14\.", LOCK, re.M)


def test_conda_installs_the_same_set():
    environment = yaml.safe_load((ROOT / "environment.yml").read_text())
    *conda, pip = environment["dependencies"]
    assert pip == {"pip": ["-r requirements.lock", "-e ."]}
    assert conda[1] == "pip" and len(conda) == 2
    python = conda[0].removeprefix("python=")
    assert python in PYTHONS


def test_the_pythons_are_the_same_everywhere():
    allowed = SpecifierSet(PROJECT["requires-python"])
    versions = [f"3.{minor}" for minor in range(9, 16)]
    assert tuple(v for v in versions if Version(f"{v}.5") in allowed) == PYTHONS
    assert "(3, 11) <= v <= (3, 13)" in (ROOT / "Makefile").read_text()


@pytest.mark.parametrize("name", sorted(WANTED))
def test_the_tests_run_on_the_locked_version(name):
    pinned, _ = _locked()
    installed = metadata.version(name).split("+")[0]
    assert any(pin.specifier.contains(installed) for pin in pinned[name]), installed


def _imports():
    """Top-level packages that the series imports → one file that does."""
    found = {}
    folders = [ROOT / name for name in ("kdutils", "book", "tests", "notebooks", "examples")]
    files = [path for folder in folders for path in folder.rglob("*.py")]
    for path in files:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and node.level == 0:
                names = [node.module]
            else:
                continue
            for name in names:
                found.setdefault(name.split(".")[0], path.relative_to(ROOT))
    return found


def test_whatever_is_imported_is_asked_for():
    ours = {"kdutils", "book", "experiments", *(p.stem for p in (ROOT / "tests").glob("*.py"))}
    extras = PROJECT["optional-dependencies"].values()
    optional = {Requirement(text).name for texts in extras for text in texts}
    asked = {IMPORTED_AS.get(name, name) for name in {*WANTED, *optional}}
    known = asked | set(sys.stdlib_module_names) | ours
    assert {n: str(p) for n, p in _imports().items() if n not in known} == {}


def test_whatever_is_asked_for_is_used():
    imported = _imports()
    for name in WANTED:
        if name in CALLED_IN:
            file, text = CALLED_IN[name]
            assert text in (ROOT / file).read_text(), name
        else:
            assert IMPORTED_AS.get(name, name) in imported, f"nothing imports {name}"


def test_the_version_is_the_same_everywhere():
    assert PROJECT["version"] == kdutils.__version__
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert str(citation["version"]) == kdutils.__version__


def test_both_licences_are_there():
    assert "MIT License" in (ROOT / "LICENSE").read_text()
    assert "https://creativecommons.org/licenses/by/4.0/" in (ROOT / "LICENSE-text").read_text()


@pytest.mark.parametrize("arguments", [["check"], ["format", "--check"]])
def test_ruff_finds_nothing(arguments):
    command = [sys.executable, "-m", "ruff", *arguments, "."]
    found = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert found.returncode == 0, found.stdout
