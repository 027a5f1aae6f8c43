"""The course: what each chapter trains, and the data sets and networks that only the course has.

One module a chapter, its arms with each profile's budget beside them. To import this package lets
recipes name `bayes10` and the deep networks.
"""

from . import bayes10, networks

__all__ = ["bayes10", "networks"]
