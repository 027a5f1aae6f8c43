"""A sample of the campaign `make damage`, and that it sees a reader that sleeps."""

import damage
import pytest
from safetensors.torch import load

from kdutils.store import Store


def test_every_damage_is_found(capsys):
    assert damage.run(n=120, seed=1) == 0
    said = capsys.readouterr().out
    kinds = ("record", "logits", "weights", "knowledge of several views", "knowledge of one view")
    for kind in (*kinds, "checkpoint"):
        assert f"{kind:28}{'10 of 10':>18}{'10 of 10':>20}" in said
    assert "120 of 120 damages were found." in said


def test_a_reader_that_checks_nothing_is_reported(capsys, monkeypatch):
    def unchecked(self, recipe, kind):
        return load((self.local / f"{recipe.id}.{kind}.safetensors").read_bytes())

    monkeypatch.setattr(Store, "_tensors", unchecked)
    assert damage.run(n=48, seed=0) == 1
    assert "48 of 48" not in capsys.readouterr().out


def test_a_campaign_of_nothing_is_refused():
    with pytest.raises(ValueError, match="n = 0 must be at least 1"):
        damage.run(n=0)
