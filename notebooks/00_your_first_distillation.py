# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3 (ipykernel)
#     language: python
#     name: python3
# ---

# %% tags=["parameters"]
PROFILE = "laptop"  # "smoke": seconds, toy data. "laptop": real data, recorded runs
SEEDS = None  # None: the profile's own. Or a list, such as [0, 1, 2]
TRAIN = False  # True: train what the store lacks. Smoke runs always do

# %%
from kdutils.experiments import Lab

lab = Lab("00", PROFILE, SEEDS, TRAIN)
lab

# %% tags=["tutorial"]
from dataclasses import replace

from torch import nn

from kdutils import models
from kdutils.recipes import Recipe


class TutorialTeacher(nn.Sequential):
    channels_last = True  # a layout in memory: convolutions on a CPU are faster in it

    def __init__(self, in_shape, classes):  # shapes below: of CIFAR-10, in_shape = (3, 32, 32)
        channels, height, width = in_shape
        super().__init__(
            *(nn.Conv2d(channels, 128, 3, padding=1), nn.ReLU()),  # [B, 128, 32, 32]
            *(nn.Conv2d(128, 64, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)),  # [B, 64, 16, 16]
            *(nn.Conv2d(64, 64, 3, padding=1), nn.ReLU()),  # [B, 64, 16, 16]
            *(nn.Conv2d(64, 32, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)),  # [B, 32, 8, 8]
            *(nn.Flatten(), nn.Linear(32 * (height // 4) * (width // 4), 512)),  # [B, 512]
            *(nn.ReLU(), nn.Dropout(0.1), nn.Linear(512, classes)),  # [B, classes]
        )


class TutorialStudent(nn.Sequential):
    channels_last = True

    def __init__(self, in_shape, classes):
        channels, height, width = in_shape
        super().__init__(
            *(nn.Conv2d(channels, 16, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)),
            *(nn.Conv2d(16, 16, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)),  # [B, 16, 8, 8]
            *(nn.Flatten(), nn.Linear(16 * (height // 4) * (width // 4), 256)),  # [B, 256]
            *(nn.ReLU(), nn.Dropout(0.1), nn.Linear(256, classes)),  # [B, classes]
        )


models.register("tutorial-teacher", TutorialTeacher)
models.register("tutorial-student", TutorialStudent)


def recipes(**budget):
    adam = {"optimizer": "adam", "lr": 1e-3, "schedule": "constant", "batch_size": 128}
    teacher = Recipe(model="tutorial-teacher", **adam, **budget)
    alone = Recipe(model="tutorial-student", **adam, **budget)
    taught = replace(alone, teacher=teacher, temperature=2.0, alpha=0.25)
    return teacher, alone, taught
