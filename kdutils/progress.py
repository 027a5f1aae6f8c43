"""One progress bar with the time left, for JupyterLab and the terminal; it leaves nothing behind.

tqdm counts and estimates. In a notebook its line is one display that is cleared at the end, so that
no half-drawn bar is saved with the outputs; headless runs (TQDM_DISABLE=1) show nothing.
"""

import os
import sys
import time

from tqdm import tqdm


def _in_notebook() -> bool:
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython else None
    return shell is not None and hasattr(shell, "kernel")


class Progress:
    """A bar over `total` steps, used as a context manager; `step` moves it by one."""

    def __init__(self, label: str, total: int, initial: int = 0):
        self.label, self.total, self.initial, self.done = label, total, initial, initial
        self.silent = os.environ.get("TQDM_DISABLE", "0") not in ("", "0")
        self.start = self.shown = time.perf_counter()
        self.handle = self.bar = None

    def __enter__(self) -> "Progress":
        if self.silent:
            return self
        if _in_notebook():
            from IPython.display import display

            self.handle = display({"text/plain": self._line("")}, raw=True, display_id=True)
        elif sys.stderr.isatty():
            self.bar = tqdm(
                desc=self.label, total=self.total, initial=self.initial, leave=False, unit="epoch"
            )
        return self

    def _line(self, note: str) -> str:
        return tqdm.format_meter(
            self.done, self.total, time.perf_counter() - self.start, ncols=100, prefix=self.label,
            unit="epoch", postfix=note, initial=self.initial,
        )  # fmt: skip

    def step(self, note: str = "") -> None:
        """One step further, with a word on how it stands."""
        self.done += 1
        if self.bar is not None:
            self.bar.set_postfix_str(note, refresh=False)
            self.bar.update()
        elif self.handle is not None and time.perf_counter() - self.shown > 0.2:
            self.shown = time.perf_counter()
            self.handle.update({"text/plain": self._line(note)}, raw=True)

    def __exit__(self, *_) -> None:
        if self.bar is not None:
            self.bar.close()
        elif self.handle is not None:
            from IPython.display import clear_output

            clear_output()
