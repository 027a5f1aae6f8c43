"""Chapter 01: what a student of 1,000 images gains from targets of different makers."""

from dataclasses import replace
from functools import partial

from kdutils.experiments import Arm, Profile
from kdutils.recipes import Recipe

TITLE = "Soft and hard targets"

BUDGET = {
    "smoke": {"images": 400, "epochs": 8, "teacher": {"model": "mlp-128", "epochs": 2}},
    "laptop": {"images": 1_000, "epochs": 32, "teacher": {"model": "mlp-256", "epochs": 5}},
    "paper": {"images": 1_000, "epochs": 32, "teacher": {"model": "mlp-256", "epochs": 5}},
}

# A label smoothed by this much has the mean entropy of the true posterior (0.15 nats, held by a
# test): as soft as the perfect teacher's answers, without what they say.
SMOOTHING = 0.024

METRICS = {"test_accuracy": None, "test_nll": None, "test_ece": None}
TAUGHT = METRICS | {"test_kl_to_teacher": None}

# how many times the images of the first experiment, and the words for it
SIZES = {"a quarter of the images": 1 / 4, "four times the images": 4}


def student(p: Profile, times: float = 1, **changes) -> Recipe:
    """A small network with one hidden layer; as many steps however many images it learns from."""
    b = BUDGET[p.name]
    base = Recipe(
        dataset=p.datasets["bayes10"],
        model="mlp-32",
        n_train=round(b["images"] * times),
        epochs=round(b["epochs"] / times),
        batch_size=25,
        lr=3e-3,
        precision="float32",
    )
    return replace(base, **changes)


def teacher(p: Profile, times: int) -> Recipe:
    """A wider network of hard labels, on `times` the student's images, in as many steps."""
    b = BUDGET[p.name]
    return Recipe(
        dataset=p.datasets["bayes10"],
        model=b["teacher"]["model"],
        n_train=b["images"] * times,
        epochs=b["teacher"]["epochs"] * 10 // times,
        batch_size=50,
        lr=1e-3,
        view_stream=1,
        precision="float32",
    )


def arms(p: Profile) -> list[Arm]:
    """What they learn from differs, their budget does not."""
    table = partial(Arm, "A first distillation")
    many, same = teacher(p, 10), teacher(p, 1)
    exact = {"teacher": "posterior"}
    out = [
        table("teacher of ten times the images", many, METRICS, keep_logits=True),
        table("teacher of the same images", same, METRICS),
        table("hard labels", student(p), METRICS),
        table("label smoothing", student(p, label_smoothing=SMOOTHING), METRICS),
        table("perfect teacher", student(p, **exact), TAUGHT),
        table("learned teacher", student(p, teacher=many), TAUGHT),
        table("learned teacher of the same images", student(p, teacher=same), TAUGHT),
        table("permuted teacher", student(p, **exact, teacher_order="permuted"), TAUGHT),
    ]
    sized = partial(Arm, "Fewer and more images")
    for size, times in SIZES.items():
        out.append(sized(f"hard labels, {size}", student(p, times), METRICS))
        out.append(sized(f"perfect teacher, {size}", student(p, times, **exact), TAUGHT))
    return out
