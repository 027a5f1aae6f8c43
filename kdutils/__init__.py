"""Helpers of the knowledge-distillation course: a recipe goes in, a record comes out."""

__version__ = "0.1.0"
