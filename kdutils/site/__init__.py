"""The course as files to read: notebooks run by papermill, pages, the pairs of .py and .ipynb.

In: the notebooks and what the store holds. Out: `build/`, the README's tables, synchronised pairs.
"""
