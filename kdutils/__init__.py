"""Knowledge distillation as a lab course: recipes in, records out, notebooks that read them."""

from pathlib import Path

__version__ = "0.1.0"
ROOT = Path(__file__).resolve().parent.parent  # the repository: data/, figures/, notebooks/, runs/
