"""The slider: numbers by hand, no dead control without a script, a live one in a browser."""

import json
import math
import re

import pytest
import torch
from conftest import CHROMIUM
from experiments import bayes10
from experiments.slider import START, TEMPERATURES, TemperatureSlider

LOGITS = (5.0, 3.0, 0.0, -1.5)
NAMES = ("apple", "pear", "cup & saucer", "bowl")


@pytest.fixture(scope="module")
def page():
    return TemperatureSlider(LOGITS, NAMES, label="pear")._repr_html_()


def by_hand(logits, temperature):
    """The softmax in plain Python."""
    powers = [math.exp(z / temperature) for z in logits]
    return [power / sum(powers) for power in powers]


def without_scripts(page):
    """What JupyterLab leaves of an output that it does not trust."""
    return re.sub(r"<(script|style).*?</\1>", "", page, flags=re.S)


def test_every_position_shows_the_softmax_and_its_entropy(page):
    states = json.loads(re.search(r'class="kdt-states">(.*?)</script>', page)[1])
    assert len(states) == len(TEMPERATURES)
    for state, t in zip(states, TEMPERATURES, strict=True):
        q = by_hand(LOGITS, t)
        assert state["p"] == [f"{p:.4f}" for p in q]
        assert float(state["t"]) == pytest.approx(t, abs=0.005)
        entropy = -sum(p * math.log(p) for p in q if p > 0)
        assert float(state["h"]) == pytest.approx(entropy, abs=0.00501)


def test_without_a_script_the_table_for_t_1_stands_and_no_control(page):
    still = without_scripts(page)
    q = by_hand(LOGITS, 1.0)
    assert re.findall(r'class="kdt-number">([^<]*)<', still) == [f"{p:.4f}" for p in q]
    assert re.findall(r"width:([\d.]+)%\"", still) == [f"{100 * p:.2f}" for p in q]
    assert "<input" not in still and "<label" not in still and "0.25" not in still
    words = " ".join(re.sub(r"<[^>]*>", " ", still).split())
    entropy = -sum(p * math.log(p) for p in q)
    assert words.startswith(f"T = 1: entropy {entropy:.2f} of at most {math.log(4):.2f} nats")
    assert f"pear (label) {q[1]:.4f}" in words


def test_it_fetches_nothing_and_escapes_names(page):
    assert not re.search(r"https?:|src=\"(?!data:)|@import|url\(", page)
    assert "cup &amp; saucer" in page and "cup & saucer" not in page
    assert page == TemperatureSlider(LOGITS, NAMES, label="pear")._repr_html_()


def test_a_picture_comes_with_words_for_it():
    image = bayes10.sample(1, seed=0)[0][0]
    made = TemperatureSlider(LOGITS, NAMES, picture=image, alt='a "small" picture')
    assert 'alt="a &#34;small&#34; picture"' in made._repr_html_()
    assert "data:image/png;base64," in made._repr_html_()
    assert repr(made).startswith("A slider") and "apple 0.8" in repr(made)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (((1.0,), ("a",)), "at least two"),
        (((1.0, 2.0, 3.0), ("a", "b")), "2 class names"),
        (((1.0, math.nan), ("a", "b")), "finite"),
        (((1.0, 2.0), ("a", "b"), "c"), "none of the classes"),
        (((1.0, 2.0), ("a", "b"), "a", torch.zeros(3, 2, 2, dtype=torch.uint8)), "alt"),
    ],
)
def test_what_cannot_be_shown_is_refused(given, message):
    with pytest.raises(ValueError, match=message):
        TemperatureSlider(*given)


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine")
def test_in_a_browser_the_keys_move_it_and_paper_keeps_the_bars(page, tmp_path, browser):
    """The same output twice on a page, as when a cell is shown beside its copy."""
    (tmp_path / "page.html").write_text(f"<!doctype html><meta charset=utf-8>{page}{page}")
    tab = browser.new_page()
    tab.goto((tmp_path / "page.html").as_uri())
    first, second = tab.locator("input").all()
    assert first.get_attribute("id") != second.get_attribute("id")
    assert tab.get_by_label("Temperature T = 1").count() == 2
    # JupyterLab looks for this on the element that has the focus
    assert first.get_attribute("data-lm-suppress-shortcuts") == "true"
    first.focus()
    tab.keyboard.press("ArrowRight")
    t = TEMPERATURES[START + 1]
    shown = tab.locator(".kdt-number").all_inner_texts()
    assert shown[:4] == [f"{p:.4f}" for p in by_hand(LOGITS, t)]
    assert shown[4:] == [f"{p:.4f}" for p in by_hand(LOGITS, 1.0)]
    assert first.get_attribute("aria-valuetext") == f"T = {t:.2f}"
    assert tab.locator(".kdt-live").first.inner_text().startswith(f"T = {t:.2f}: entropy")
    tab.emulate_media(media="print")
    bar = tab.locator(".kdt-bar").first
    style = bar.evaluate("bar => getComputedStyle(bar).printColorAdjust")
    assert style == "exact" and bar.bounding_box()["width"] > 0
    browser.close()
