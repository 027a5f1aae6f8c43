"""Chapter 08: a small student that lost to its twin; its grid, its width, its patience."""

from functools import partial

from kdutils.experiments import Arm, Profile
from kdutils.recipes import Recipe

from . import cifar
from .cifar import scores

TITLE = "Small students, honest efficiency"
MEASURES_TIME = True  # a report runs this chapter alone

# images: None for all 45,000. step: of the temperatures and weights, every so many. rounds: of
# timing, for one image and for 128.
BUDGET = {
    "smoke": {
        "images": 300,
        "batch_size": 25,
        "epochs": 3,
        "teacher": "seed003-teacher-w8",
        "width": 8,
        "widths": (4, 8),
        "longer": (2,),
        "step": 4,
        "rounds": (50, 4),
        "views": {"n_views": 2, "bits": 8},
    },
    "laptop": {
        "images": None,
        "batch_size": 128,
        "epochs": 15,
        "teacher": "seed003-teacher",
        "width": 16,
        "widths": (8, 16, 24, 32),
        "longer": (2, 4),
        "step": 1,
        "rounds": (200, 12),
        "views": {"n_views": 8, "bits": 8},
    },
    "paper": {
        "images": None,
        "batch_size": 128,
        "epochs": 15,
        "teacher": "seed003-teacher",
        "width": 16,
        "widths": (8, 16, 24, 32, 48, 64),
        "longer": (2, 4, 8),
        "step": 1,
        "rounds": (200, 12),
        "views": {"n_views": 32, "bits": 16},
    },
}

SOURCE = "ajitashwath/model-distillation: one run, last epoch, on the test set"
WEAK, STRONG = "its own teacher", "a strong teacher"
HARD, FROM_WEAK, FROM_STRONG = "hard labels", f"from {WEAK}", f"from {STRONG}"
LEARNS = (HARD, FROM_WEAK, FROM_STRONG)
AS_IS, PLAIN = "seed003-student", "seed003-plain"  # with its dropout, and without
DROPOUT = {AS_IS: "", PLAIN: ", no dropout"}
TEMPERATURES, ALPHAS = (1.0, 2.0, 3.0, 4.0, 5.0), (0.1, 0.3, 0.5, 0.7, 0.9)
T, ALPHA = 4.0, 0.7  # the published pair
# what the project printed: accuracy, MB, parameters, milliseconds a batch of 128, "efficiency"
PRINTED = {
    "teacher": (83.13, 17.81, 4_664_970, 111.29, 0.75),
    HARD: (72.70, 0.41, 106_826, 27.76, 2.62),
    FROM_WEAK: (70.86, 0.41, 106_826, 25.82, 2.74),
}

# what the first page shows: arm, or first and second arm of a gain, and the metric
HEADLINES = {
    "CIFAR-10: a small student, distilled minus hard labels": (FROM_WEAK, HARD, "test_accuracy"),
    "CIFAR-10: the same with a strong teacher, without dropout, by a better schedule in both": (
        "from a strong teacher, no dropout, one-cycle SGD",  # `best_name`, which is made below
        "hard labels, no dropout, one-cycle SGD",
        "test_accuracy",
    ),
}


def network(p: Profile, model: str, **changes) -> Recipe:
    """The project's way to train all its networks: Adam, halved after each third of the epochs."""
    b = BUDGET[p.name]
    base = {
        "dataset": p.datasets["cifar10"],
        "model": model,
        "n_train": b["images"],
        "views": "crop-flip",
        "epochs": b["epochs"],
        "batch_size": b["batch_size"],
        "lr": 1e-3,
        "optimizer": "adam",
        "weight_decay": 1e-4,
        "schedule": "step",
        "precision": p.precision,
    }
    return Recipe(**(base | changes))


def teacher(p: Profile) -> Recipe:
    """The project's own teacher, which it calls ResNet-18; it sees other views than students."""
    return network(p, BUDGET[p.name]["teacher"], view_stream=1)


def of_width(p: Profile, kind: str, width: int | None = None) -> str:
    """The name of a network: `AS_IS` or `PLAIN`, the profile's width unless told. 16 is its own."""
    width = width or BUDGET[p.name]["width"]
    return kind if width == 16 else f"{kind}-w{width}"


def learner(p: Profile, model: str, learns: str, **changes) -> Recipe:
    """A student by its network and by what it learns from, one of `LEARNS`."""
    if learns == HARD:
        return network(p, model, **changes)
    says = {"teacher": (teacher(p) if learns == FROM_WEAK else cifar.teacher(p),)}
    says |= {"temperature": T, "alpha": ALPHA} | BUDGET[p.name]["views"]
    return network(p, model, **(says | changes))


def cell_name(temperature: float, alpha: float) -> str:
    """The name of a cell of the project's grid."""
    return f"T = {temperature:g}, α = {alpha:g}"


def arms(p: Profile) -> list[Arm]:
    """The three published rows; without dropout; with a strong teacher; grid, width, patience."""
    b = BUDGET[p.name]
    accuracy = {name: row[0] for name, row in PRINTED.items()}
    table = partial(Arm, "A student and its twin", source=SOURCE)
    kept = {"once": True, "keep_logits": True}
    out = [
        table("teacher", teacher(p), scores(accuracy["teacher"]), **kept),
        Arm("A student and its twin", STRONG, cifar.teacher(p), scores(), **kept),
    ]
    for kind, without in DROPOUT.items():
        for learns in LEARNS:
            beside = scores(accuracy.get(learns + without), taught=learns != HARD)
            student = learner(p, of_width(p, kind), learns)
            out.append(table(f"{learns}{without}", student, beside))
    return out + _grid(p, b["step"]) + _schedule(p) + _widths(p)


def _grid(p: Profile, step: int) -> list[Arm]:
    """The grid that the project proposes: its own teacher, its own student."""
    cells = [(t, a) for a in ALPHAS[::step] for t in TEMPERATURES[::step]]
    return [
        Arm(
            "Temperature and alpha",
            cell_name(t, a),
            learner(p, of_width(p, AS_IS), FROM_WEAK, temperature=t, alpha=a),
            scores(taught=True),
            select="T and alpha",
            setting=cell_name(t, a),
        )
        for t, a in cells
    ]


# another recipe for the same epochs: its rate and weight decay, too
ONE_CYCLE = {"optimizer": "sgd", "lr": 0.1, "weight_decay": 5e-4, "schedule": "one-cycle"}


def best_name(learns: str, times: int = 1) -> str:
    """The name of a student without dropout, by one-cycle SGD, of so many times the epochs."""
    more = f", {times} times the epochs" if times > 1 else ""
    return f"{learns}, no dropout, one-cycle SGD{more}"


def _schedule(p: Profile) -> list[Arm]:
    """One-cycle SGD, for the project's epochs and for longer."""
    b = BUDGET[p.name]
    return [
        Arm(
            "One-cycle SGD",
            best_name(learns, times),
            learner(p, of_width(p, PLAIN), learns, **ONE_CYCLE, epochs=times * b["epochs"]),
            scores(taught=learns != HARD),
        )
        for times in (1, *b["longer"])
        for learns in (HARD, FROM_STRONG)
    ]


def _widths(p: Profile) -> list[Arm]:
    """The student narrower and wider, with and without the strong teacher, all else the same."""
    return [
        Arm(
            "Width",
            width_name(learns, width),
            learner(p, of_width(p, PLAIN, width), learns, **ONE_CYCLE),
            scores(taught=learns != HARD),
        )
        for width in BUDGET[p.name]["widths"]
        for learns in (HARD, FROM_STRONG)
    ]


def width_name(learns: str, width: int) -> str:
    """The name of a student of this width, in channels of its first convolution."""
    return f"{learns}, width {width}"
