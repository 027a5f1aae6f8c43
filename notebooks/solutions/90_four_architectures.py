# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3 (ipykernel)
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Solution of the appendix


# %%
def true_depth(named):
    """The layers of a "PreResNet-<named>" of the poster's code.

    It takes (named - 2) / 6 blocks a stage, in three stages. From 44 on they are bottlenecks of 3
    layers; below, of 2, as the name supposes. The stem and the last layer make two more.
    """
    layers = 3 if named >= 44 else 2
    return 3 * layers * ((named - 2) // 6) + 2


# %%
if __name__ == "__main__":
    print({named: true_depth(named) for named in (20, 44, 56, 110)})
