"""Notebook 04: the poster's six rows of CNN5, its faults one at a time, and 5 % of the labels."""

from functools import partial

from ..profiles import Profile
from .arm import Arm
from .cifar import as_published, scores, student, taught, teacher

POSTER = (
    "peterliht/knowledge-distillation-pytorch: one run, best epoch by the test set; the settings "
    "of the distilled rows are the best of 29, 40 and 45 on the test set"
)
FEW = 0.05

# the settings behind the poster's largest gain: no dropout, best of 40
PUBLISHED_T, PUBLISHED_ALPHA = 1.5, 0.5
ORDERS = {"aligned": "matched", "of other images": "reshuffled"}
SCALES = {"batch mean": 1.0, "elementwise mean": 0.1}
CHOICES = {
    "epoch by validation": "test_accuracy_chosen_epoch",
    "best test epoch": "test_accuracy_best_epoch",
}
SHARES = {"5 % of the images": 0.05, "20 % of the images": 0.2}


def anatomy_name(logits: str, mean: str) -> str:
    """The name of an arm of the anatomy, less its share of the images."""
    return f"logits {logits}, {mean}"


def arms(p: Profile) -> list[Arm]:
    """The arms of this notebook; budget and schedule are one within a table's share of images."""
    table = partial(Arm, 4, "Six rows of CNN5", keep_logits=True)
    plain = partial(Arm, 4, "Six rows of CNN5")
    drop = {"dropout": (0.0, 0.5)}
    few = student(p, FEW)
    out = [
        table("teacher", teacher(p), scores(), once=True),
        plain("CNN5, dropout .5", student(p, **drop), scores(83.51), POSTER),
        table("CNN5, no dropout", student(p), scores(84.74), POSTER),
        plain("CNN5 distilled, dropout .5", taught(p, **drop), scores(84.49, True), POSTER),
        table("CNN5 distilled, no dropout", taught(p), scores(85.69, True), POSTER),
        plain("CNN5, 5 % of the labels", few, scores(65.86), POSTER),
        plain(
            "CNN5 distilled, 5 % of the labels", taught(p, FEW), scores(66.71, taught=True), POSTER
        ),
    ]
    rest = partial(Arm, 4, "What the teacher can give")
    out += [
        rest(
            "5 % of the labels, the teacher answers for all images",
            taught(p, n_labels=few.n_train),
            scores(taught=True),
        ),
        rest("no labels at all", taught(p, alpha=1.0), scores(taught=True)),
        rest(
            "5 % of the labels, permuted teacher",
            taught(p, FEW, teacher_order="permuted"),
            scores(taught=True),
        ),
    ]
    long = partial(Arm, 4, "Patience")
    patient = {"epochs": p.budget["cifar_patient_epochs"]}
    out += [
        long("CNN5, patient", student(p, **patient), scores()),
        long("CNN5 distilled, patient", taught(p, **patient), scores(taught=True)),
    ]
    views = {"n_views": p.budget["cifar_views"]}
    for share in list(SHARES)[-p.budget["cifar_anatomy_parts"] :]:
        part = SHARES[share]
        cut = partial(Arm, 4, f"Anatomy of a false gain, {share}")
        base = partial(as_published, p, part, watch_test=True, **views)
        watched = {name: None for name in CHOICES.values()}
        out.append(cut(f"hard labels, {share}", base(), watched))
        for logits, order in ORDERS.items():
            for mean, scale in SCALES.items():
                recipe = base(
                    teacher=(teacher(p),),
                    temperature=PUBLISHED_T,
                    alpha=PUBLISHED_ALPHA,
                    bits=p.budget["cifar_bits"],
                    teacher_order=order,
                    soft_scale=scale,
                )
                name = f"{anatomy_name(logits, mean)}, {share}"
                out.append(cut(name, recipe, watched))
    return out
