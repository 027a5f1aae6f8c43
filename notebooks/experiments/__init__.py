"""The course: what each chapter trains, and the data sets and networks that only the course has.

One module a chapter, its arms with each profile's budget beside them. To import this package lets
recipes name `bayes10`, the deep networks, those of chapters 08, 09 and 12, and pre-trained ones.
"""

from . import bayes10, inside, n10, networks, pretrained, seed003, shapes, strangers

__all__ = [
    "bayes10",
    "inside",
    "n10",
    "networks",
    "pretrained",
    "seed003",
    "shapes",
    "strangers",
]
