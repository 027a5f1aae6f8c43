"""The README's tables are the records'; its commands and links exist."""

import re

import pytest

from book import readme
from kdutils import ROOT
from kdutils.commands import results


def test_the_readme_says_what_the_records_say():
    assert readme.README.read_text(encoding="utf-8") == readme.fresh()


def test_every_file_that_the_readme_names_exists():
    text = readme.README.read_text(encoding="utf-8")
    links = [link for link in re.findall(r"\]\(([^)]+)\)", text) if "://" not in link]
    assert len(links) >= 4
    for link in links:
        assert (ROOT / link).exists(), link


def test_every_make_target_that_the_readme_names_exists():
    text = readme.README.read_text(encoding="utf-8")
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for target in set(re.findall(r"^make (\w+)", text, re.MULTILINE)):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target


def test_a_block_without_markers_is_an_error():
    text = "a\n<!-- x -->\nold\n<!-- /x -->\nb"
    assert readme.with_blocks(text, [("x", "new")]) == "a\n<!-- x -->\nnew\n<!-- /x -->\nb"
    with pytest.raises(ValueError, match="<!-- y -->"):
        readme.with_blocks(text, [("y", "new")])


@pytest.mark.parametrize(
    ("published", "mean", "half", "kind", "said"),
    [
        (0.95, 1.48, 0.48, "gain", "ours is higher"),
        (0.94, -0.03, 0.15, "gain", "ours is lower, and not distinguishable from zero"),
        (0.1, 0.05, 0.15, "gain", "agrees, and not distinguishable from zero"),
        (146, 154.8, 9.1, "errors", "agrees"),
        (206, 62.0, 2.3, "errors", "we count fewer"),
        (206, 62.0, None, "errors", "too few seeds to judge"),
        (0.95, None, None, "gain", "not recorded"),
        (None, 1.4, 0.9, "gain", "distinguishable from zero"),
        (None, -0.4, 0.9, "gain", "not distinguishable from zero"),
    ],
)
def test_a_verdict_says_what_the_interval_allows(published, mean, half, kind, said):
    assert results._verdict(published, mean, half, kind) == said
