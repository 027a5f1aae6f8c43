"""Chapter 09: big teachers, transformers and ensembles; students of several shapes."""

from functools import partial

from kdutils.experiments import Arm, Profile
from kdutils.recipes import Recipe

from . import cifar, n08, n10
from .cifar import scores

TITLE = "Big teachers"
MEASURES_TIME = True  # a report runs this chapter alone

# teachers: each has all images of CIFAR-10, students as few as in chapter 10. shapes: about as many
# multiplications each. imagenet: networks whose weights are downloaded.
BUDGET = {
    "smoke": {
        "vit": {"model": "vit-8-32-1", "epochs": 6, "batch_size": 50},
        "resnet50": {"model": "resnet50-w2", "epochs": 2, "batch_size": 50, "lr": 0.1},
        "shapes": ("convs-2x5-20", "convs-4x3"),
        "imagenet": (),
    },
    "laptop": {
        "vit": {"model": "vit-4-128-6", "epochs": 18, "batch_size": 128},
        "resnet50": {"model": "resnet50-w12", "epochs": 10, "batch_size": 128, "lr": 0.1},
        "shapes": ("mlp-2000-2000", "convs-2x40-400", "convs-6x16"),
        "imagenet": (),
    },
    "paper": {
        "vit": {"model": "vit-4-192-9", "epochs": 100, "batch_size": 128},
        "resnet50": {"model": "resnet50", "epochs": 100, "batch_size": 128, "lr": 0.1},
        "shapes": ("mlp-2000-2000", "convs-2x40-400", "convs-6x16"),
        "imagenet": ("resnet50", "inception-v3", "vit-b-16"),
    },
}

HARD = "hard labels"
VIT, RESNET50 = "a vision transformer", "ResNet-50"
WEAK, RESNET18, STRONG = "chapter 08's teacher", "ResNet-18, in short", "chapter 04's teacher"
LOGITS, PROBABILITIES = "all of them, mean of logits", "all of them, mean of probabilities"
CLIP = "CLIP, zero-shot"
PAIR = "a pair of them, mean of logits"
ENSEMBLES = (LOGITS, PROBABILITIES, PAIR)


def teachers(p: Profile) -> dict[str, Recipe]:
    """The teachers by name, trained on CIFAR-10 from scratch."""
    b = BUDGET[p.name]
    larger = cifar.short_resnet18(p)
    adamw = {"optimizer": "adamw", "lr": 1e-3, "weight_decay": 0.05}
    scratch = partial(cifar.teacher, p, views="crop-flip")
    found = {
        VIT: scratch(**b["vit"], **adamw),
        RESNET50: scratch(**b["resnet50"]),
        WEAK: n08.teacher(p),
        RESNET18: larger,
        STRONG: cifar.teacher(p),
    }
    return {name: recipe for name, recipe in found.items() if recipe}


def imagenet(p: Profile) -> dict[str, Recipe]:
    """Teachers with downloaded weights: a linear probe of each; all layers tuned; CLIP as it is."""
    still = partial(cifar.teacher, p, views="none", weight_decay=0.0, batch_size=128)
    found = {}
    for name in BUDGET[p.name]["imagenet"]:
        found[f"{name}, a probe"] = still(model=f"imagenet-{name}", epochs=20, lr=0.1)
        few = {"epochs": 3, "lr": 0.01, "views": "crop-flip", "weight_decay": 5e-4}
        found[f"{name}, tuned"] = still(model=f"tuned-{name}", **few)
    if found:
        found[CLIP] = still(model="clip-cifar10", epochs=1, lr=0.1)
    return found


def members(p: Profile, ensemble: str) -> list[str]:
    """Whose answers an ensemble averages. The pair: the strong teacher and its deepest rival."""
    known = [*teachers(p)]
    return [RESNET18 if RESNET18 in known else RESNET50, STRONG] if ensemble == PAIR else known


def student(p: Profile, *taught_by: Recipe, **changes) -> Recipe:
    """Chapter 10's student on few images, from one teacher or several, with chapter 10's T."""
    if not taught_by:
        return n10.student(p, **({"n_views": n10.BUDGET[p.name]["views"]["n_views"]} | changes))
    says = {"temperature": 4.0, "alpha": 0.5} | n10.BUDGET[p.name]["views"]
    return n10.student(p, **(says | {"teacher": taught_by} | changes))


def from_teacher(name: str) -> str:
    """The name of the student of a teacher."""
    return f"from {name}"


def of_shape(model: str, taught: bool = False) -> str:
    """The name of a student by its shape, and whether the strong teacher teaches it."""
    return f"{model} {from_teacher(STRONG) if taught else HARD}"


def arms(p: Profile) -> list[Arm]:
    """Teachers, a student of each and of all; shapes with and without a teacher; downloads."""
    known, b = teachers(p), BUDGET[p.name]
    own = partial(Arm, "Teachers", once=True, keep_logits=True)
    learns = partial(Arm, "Students")
    out = [own(name, recipe, scores()) for name, recipe in known.items()]
    out.append(learns(HARD, student(p), scores(), keep_logits=True))
    for name, recipe in known.items():
        kept = {"keep_logits": name == STRONG}
        out.append(learns(from_teacher(name), student(p, recipe), scores(taught=True), **kept))
    for name in ENSEMBLES:
        mean = "probabilities" if name == PROBABILITIES else "logits"
        recipe = student(p, *(known[t] for t in members(p, name)), ensemble=mean)
        out.append(learns(from_teacher(name), recipe, scores(taught=True)))
    for model in b["shapes"]:
        shaped = partial(Arm, "Shapes")
        strong = student(p, known[STRONG], model=model)
        out.append(shaped(of_shape(model), student(p, model=model), scores()))
        out.append(shaped(of_shape(model, True), strong, scores(taught=True)))
    for name, recipe in imagenet(p).items():
        fetched = partial(Arm, "Downloaded", optional=True)
        out.append(fetched(name, recipe, scores(), once=True, keep_logits=True))
        out.append(fetched(from_teacher(name), student(p, recipe), scores(taught=True)))
    return out
