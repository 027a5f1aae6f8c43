"""The three budgets of the course, in one table.

In: a profile's name and, if the reader turned it, a list of seeds. Out: a checked `Profile`.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from numbers import Integral


@dataclass(frozen=True)
class Profile:
    """How much is spent.

    `datasets` maps the data set that the text speaks of to the one that is loaded; `seeds` are the
    profile's own; `budget` holds what a run may cost (epochs, widths, batch
    sizes; networks by name; `*_images`: 0 for all).
    """

    name: str
    summary: str
    seeds: tuple[int, ...]
    datasets: Mapping[str, str]
    budget: Mapping[str, int | str] = field(default_factory=dict)
    precision: str = "bfloat16"


_REAL = {"mnist": "mnist", "cifar10": "cifar10", "cifar100": "cifar100", "bayes10": "bayes10"}

PROFILES: dict[str, Profile] = {
    "smoke": Profile(
        "smoke",
        "embedded data, no network, seconds a notebook",
        seeds=(0, 1),
        datasets={"mnist": "digits", "cifar10": "bayes10", "bayes10": "bayes10"},
        precision="float32",  # for networks this small, casting costs more than it saves
        budget={
            "mnist_teacher_width": 128, "mnist_student_width": 48, "mnist_batch": 64,
            "mnist_teacher_epochs": 8, "mnist_student_epochs": 6,
            "published_teacher_epochs": 4, "published_student_epochs": 3,
            "bayes10_images": 400, "bayes10_epochs": 8, "bayes10_student_width": 32,
            "bayes10_teacher_width": 128, "bayes10_teacher_epochs": 2,
            "resnet18_width": 4, "resnet18_images": 500, "resnet18_epochs": 2,
            "cifar_images": 500, "cifar_teacher": "cnn5-w16", "cifar_teacher_epochs": 12,
            "cifar_teacher_batch": 50, "cifar_student": "cnn5-w4", "cifar_student_batch": 50,
            "cifar_student_epochs": 4, "cifar_few_epochs": 8, "cifar_patient_epochs": 8,
            "cifar_anatomy_parts": 1, "cifar_sweep_epochs": 6,
            "cifar_views": 3, "cifar_bits": 8, "cifar_sweep_step": 3,
            "deep_student": "resnet8-w2", "deep_wrn": "wrn-10-1-w2",
            "deep_preresnet": "preresnet-11-w2", "deep_densenet": "densenet-10-2",
            "deep_resnext": "resnext-11-2x2-w2", "deep_images": 1_000, "deep_batch": 25,
            "deep_epochs": 1, "deep_teacher_epochs": 1, "deep_views": 1,
        },
    ),
    "laptop": Profile(
        "laptop",
        "real data, minutes a notebook on two CPU cores",
        seeds=(0, 1, 2, 3, 4),
        datasets=_REAL,
        budget={
            "mnist_teacher_width": 1200, "mnist_student_width": 800, "mnist_batch": 512,
            "mnist_teacher_epochs": 60, "mnist_student_epochs": 40,
            "published_teacher_epochs": 50, "published_student_epochs": 10,
            "bayes10_images": 1_000, "bayes10_epochs": 32, "bayes10_student_width": 32,
            "bayes10_teacher_width": 256, "bayes10_teacher_epochs": 5,
            "resnet18_width": 16, "resnet18_images": 2_000, "resnet18_epochs": 8,
            "cifar_images": 0, "cifar_teacher": "fastnet", "cifar_teacher_epochs": 18,
            "cifar_teacher_batch": 256, "cifar_student": "cnn5", "cifar_student_batch": 128,
            "cifar_student_epochs": 30, "cifar_few_epochs": 50, "cifar_patient_epochs": 75,
            "cifar_anatomy_parts": 2, "cifar_sweep_epochs": 15,
            "cifar_views": 8, "cifar_bits": 8, "cifar_sweep_step": 1,
            "deep_student": "resnet8", "deep_wrn": "wrn-10-2",
            "deep_preresnet": "preresnet-20", "deep_densenet": "densenet-22-12",
            "deep_resnext": "resnext-11-4x8-w16", "deep_images": 9_000, "deep_batch": 64,
            "deep_epochs": 15, "deep_teacher_epochs": 30, "deep_views": 8,
        },
    ),
    "paper": Profile(
        "paper",
        "the full budgets; a GPU",
        seeds=(0, 1, 2, 3, 4, 5, 6, 7, 8, 9),
        datasets=_REAL,
        budget={
            "mnist_teacher_width": 1200, "mnist_student_width": 800, "mnist_batch": 512,
            "mnist_teacher_epochs": 200, "mnist_student_epochs": 200,
            "published_teacher_epochs": 50, "published_student_epochs": 10,
            "bayes10_images": 1_000, "bayes10_epochs": 32, "bayes10_student_width": 32,
            "bayes10_teacher_width": 256, "bayes10_teacher_epochs": 5,
            "resnet18_width": 64, "resnet18_images": 10_000, "resnet18_epochs": 30,
            "cifar_images": 0, "cifar_teacher": "resnet18", "cifar_teacher_epochs": 100,
            "cifar_teacher_batch": 128, "cifar_student": "cnn5", "cifar_student_batch": 128,
            "cifar_student_epochs": 30, "cifar_few_epochs": 50, "cifar_patient_epochs": 300,
            "cifar_anatomy_parts": 2, "cifar_sweep_epochs": 30,
            "cifar_views": 32, "cifar_bits": 16, "cifar_sweep_step": 1,
            "deep_student": "resnet18", "deep_wrn": "wrn-28-10",
            "deep_preresnet": "preresnet-164", "deep_densenet": "densenet-100-12",
            "deep_resnext": "resnext-29-8x64", "deep_images": 0, "deep_batch": 128,
            "deep_epochs": 100, "deep_teacher_epochs": 100, "deep_views": 32,
        },
    ),
}  # fmt: skip


def get(profile: str) -> Profile:
    """The profile of that name.

    Raises ValueError for any other name, with the names that exist.
    """
    if not isinstance(profile, str) or profile not in PROFILES:
        allowed = ", ".join(f"{name!r} ({p.summary})" for name, p in PROFILES.items())
        raise ValueError(f"PROFILE = {profile!r} is not a profile. Choose one of: {allowed}.")
    return PROFILES[profile]


def check_seeds(seeds: Iterable[int]) -> tuple[int, ...]:
    """Seeds as a tuple of distinct integers from 0 to 9999; ValueError for anything else."""
    hint = "Give a list of distinct whole numbers from 0 to 9999, such as SEEDS = [0, 1, 2]."
    if isinstance(seeds, str) or not isinstance(seeds, Iterable):
        raise ValueError(f"SEEDS = {seeds!r} is not a list of seeds. {hint}")
    seeds = tuple(seeds)
    for seed in seeds:
        whole = isinstance(seed, Integral) and not isinstance(seed, bool)
        if not whole or not 0 <= seed <= 9999:
            raise ValueError(f"SEEDS holds {seed!r}, which is no seed. {hint}")
    if not seeds or len(set(seeds)) < len(seeds):
        raise ValueError(f"SEEDS = {list(seeds)} is empty or repeats a seed. {hint}")
    return tuple(int(seed) for seed in seeds)


def setup(profile: str, seeds: Iterable[int] | None = None) -> tuple[Profile, tuple[int, ...]]:
    """What a notebook's parameters cell asks for: the profile, and the seeds to use.

    `seeds = None` means the profile's own. Raises ValueError as `get` and `check_seeds` do.
    """
    chosen = get(profile)
    return chosen, chosen.seeds if seeds is None else check_seeds(seeds)


def check_flag(name: str, value: bool) -> bool:
    """A parameter that is True or False; ValueError for anything else."""
    if not isinstance(value, bool):
        raise ValueError(f"{name} = {value!r} must be True or False.")
    return value
