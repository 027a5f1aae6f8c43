# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3 (ipykernel)
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Solutions of chapter 08
#
# Each exercise is a function; the tests run them.

# %%
from collections.abc import Callable

import numpy as np
import pandas as pd
from scipy import stats

# %% [markdown]
# ## Exercise 1
#
# Whoever guesses among ten classes is right in 10 % of the cases and needs no network. So the part of the
# accuracy that a network has *earned* starts there. Of 73.13 earned points the published student keeps
# 60.86, which is 83.2 % and not 85.2 %.


# %%
def kept(teacher: float, student: float, guessing: float = 0.0) -> float:
    """The share of the teacher's accuracy above guessing that the student keeps, in percent."""
    return 100 * (student - guessing) / (teacher - guessing)


def smaller(teacher: int, student: int) -> tuple[float, float]:
    """By how many percent the student is smaller, and how many times smaller."""
    return 100 * (1 - student / teacher), teacher / student


# %% [markdown]
# ## Exercise 2
#
# The simulation answers to within its own luck: a share of 4,000 draws is known to about a point. The formula
# behind it: with $n$ seeds an arm, the two-sample $t$ has $2n - 2$ degrees of freedom, and if the true difference
# is $\delta$, it follows a *non-central* $t$ distribution with parameter $\delta / (\sigma \sqrt{2 / n})$. The
# *power*, the probability to find the difference, is the probability that $t$ lies outside the critical values.


# %%
def power_by_drawing(n: int, gap: float, sigma: float, draws: int = 4_000) -> float:
    """How often a two-sample t-test with n seeds an arm gives p < .05."""
    dice = np.random.default_rng(0)
    first, second = dice.normal(0, sigma, (n, draws)), dice.normal(gap, sigma, (n, draws))
    return float((stats.ttest_ind(first, second).pvalue < 0.05).mean())


def seeds_needed(gap: float, sigma: float, power: float = 0.8, level: float = 0.05) -> int:
    """The fewest seeds an arm with which a two-sample t-test finds this gap so often."""
    for n in range(2, 10_000):
        free, shift = 2 * n - 2, gap / (sigma * (2 / n) ** 0.5)
        limit = stats.t.ppf(1 - level / 2, free)
        found = stats.nct.sf(limit, free, shift) + stats.nct.cdf(-limit, free, shift)
        if found >= power:
            return n
    raise ValueError(f"a gap of {gap} at sigma = {sigma} takes more than 10,000 seeds an arm.")


# %% [markdown]
# ## Exercise 3
#
# In turns, the two calls of a round are neighbours, now one first and now the other, so the slowing cancels in
# the medians. In blocks, the twin's calls come when the machine is already slower by a factor of $1.01^{\text{rounds}}$.


# %%
def drift(latencies: Callable, rounds: int = 30, slower: float = 1.01) -> tuple[float, float]:
    """How far a call seems from itself, in percent: in turns, and one block after the other."""

    class Machine:
        """A clock that only calls move, each a little slower than the last."""

        now, takes = 0.0, 0.001

        def call(self) -> None:
            self.now += self.takes
            self.takes *= slower

    def apart(found: pd.DataFrame) -> float:
        first, second = found.median()
        return 100 * abs(second / first - 1)

    turns, blocks = Machine(), Machine()
    together = latencies(dict.fromkeys("ab", turns.call), 0, rounds, clock=lambda: turns.now)
    parts = [latencies({k: blocks.call}, 0, rounds, clock=lambda: blocks.now) for k in "ab"]
    return apart(together), apart(pd.concat(parts, axis=1))


# %% [markdown]
# ## Exercise 4
#
# Interpolate on a logarithmic scale, because the parameters grow by factors. Beyond the widest student
# nothing is known, so the answer there is NaN.


# %%
def worth_in_parameters(parameters, accuracy, size: float, distilled: float) -> float:
    """How many times as many parameters a hard-label student needs to equal a distilled one.

    parameters, accuracy: of the hard-label students, both rising. size, distilled: parameters and
    accuracy of the distilled one. NaN where no hard-label student is so accurate; ValueError where
    the accuracies do not rise.
    """
    if not (np.diff(accuracy) > 0).all():
        raise ValueError(f"the accuracies {list(accuracy)} do not rise: nothing can be read off.")
    if not accuracy[0] <= distilled <= accuracy[-1]:
        return float("nan")
    return float(np.exp(np.interp(distilled, accuracy, np.log(parameters))) / size)
