"""The README's tables are the records'; its commands and links exist."""

import re

import pytest

from kdutils import ROOT
from kdutils.site import readme


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
