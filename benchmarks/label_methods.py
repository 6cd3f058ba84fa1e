"""The methods and the sizes that `label_efficiency.py` compares.

A method is a trainer, a table of settings and where it starts from; all of them share a size's schedule, so that their
students take equally many steps with the same optimiser.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

from nnunetv2_muduo.presets import load_preset

Split: TypeAlias = Literal["held out", "on training cases", "with held out"]
Unlabelled: TypeAlias = Literal["without labels", "predicted labels", "long student's labels", "true labels"]
SPLITS: tuple[Split, ...] = ("held out", "on training cases", "with held out")
MUDUO, SUPERVISED = "nnUNetTrainerMuDuo", "nnUNetTrainerMuDuoSupervised"
FOUR_TIMES = ", four times the steps"  # how titles of long trainings end


@dataclass(frozen=True)
class Size:
    """How large scans, network and trainings are.

    Attributes:
        name: of the size, and of its folder and result files.
        spacing_in_mm: of the scans, in all directions.
        patch_size: (z, y, x) voxels; 384 mm along z and x is the edge of the stand-in teachers' cubes.
        features, max_features: of the planned network's first and widest stages.
        batch_size: labelled patches a step; as many unlabelled ones.
        epochs, iterations: of the student.
        prompt_epochs: of the prompt generator, equally many iterations each; it is trained once for all methods, and
            longer than the student, because teachers can only be as good as their prompts.
        pretraining_epochs: of the masked autoencoder, equally many iterations each.
        block: (z, y, x) voxels that the masked autoencoder hides at a time.
        learning_rate: of AdamW, the student's and the prompt generator's.
    """

    name: str
    spacing_in_mm: float
    patch_size: tuple[int, int, int]
    features: int
    max_features: int
    batch_size: int
    epochs: int
    iterations: int
    prompt_epochs: int
    pretraining_epochs: int
    block: tuple[int, int, int]
    learning_rate: float

    def schedule(self, *, seed: int) -> dict[str, Any]:
        """The settings that all methods share."""
        return {
            "num_epochs": self.epochs,
            "iterations_per_epoch": self.iterations,
            "val_iterations_per_epoch": 2,
            "prompt_epochs": self.prompt_epochs,
            "optimizer": "adamw",
            "initial_lr": self.learning_rate,
            "mirroring": False,
            "unlabelled_batch_size": max(2, self.batch_size),
            "report_every": max(1, self.epochs // 5),
            "report_patches": 12,
            "seed": seed,
        }


# 12 mm: a patch of 32 voxels is as long as the teachers' cubes of 48 voxels of 8 mm, small organs still have some ten
# voxels, and a step takes a second on a CPU core.
SMALL = Size("small", 12.0, (32, 24, 32), 16, 96, 2, 20, 25, 30, 20, (4, 4, 4), 3e-3)
LARGE = Size("large", 4.0, (96, 64, 96), 32, 320, 2, 40, 250, 40, 40, (8, 8, 8), 1e-3)
SMOKE = Size("smoke", 12.0, (32, 24, 32), 4, 16, 2, 2, 2, 1, 1, (4, 4, 4), 3e-3)  # only to see that everything runs
SIZES = {size.name: size for size in (SMALL, LARGE, SMOKE)}


@dataclass(frozen=True)
class Method:
    """How a student is trained.

    Attributes:
        title: for tables and figures.
        trainer: class that nnU-Net finds by this name.
        settings: for plans["muduo"], beside the size's schedule.
        pretrained: start from a masked autoencoder of the unlabelled scans.
        unlabelled: "predicted labels": train on the unlabelled scans as the supervised student labels them, too;
            "long student's labels": as that of four times the steps does;
            "true labels": as they truly are, which is what labelling them all would bring.
        split: which cases are trained on and which the teacher report is made on. "held out": two labelled cases beyond
            the budget, on which nothing is trained; "on training cases": on the budget's own; "with held out": the two
            are trained on as well, which a comparison owes to methods that report on them.
        longer: so many times the steps of the others.
        jitter: number of a draw that changes the seed's initial weights by as much as rounding does; 0: unchanged.
    """

    title: str
    trainer: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    pretrained: bool = False
    unlabelled: Unlabelled = "without labels"
    split: Split = "held out"
    longer: int = 1
    jitter: int = 0

    def settings_in(self, size: Size, *, seed: int) -> dict[str, Any]:
        """All of plans["muduo"] in a run."""
        settings = {**size.schedule(seed=seed), **self.settings}
        return settings | {"num_epochs": self.longer * settings["num_epochs"]}


# Short trainings want the unlabelled scans early and with full weight (plans/demo.json); the published schedule ramps
# up over all of 30,000 steps to a tenth.
AT_ONCE = {"consistency_weight": 1.0, "ramp_fraction": 0.3}
GENTLE = {"consistency_weight": 0.1, "ramp_fraction": 0.3}
# The averaged student is as good a voice as each teacher where trainings are long, and three are better than two.
VOTE = {"student_share": 0.333, "reliability": "none"}
MUTUAL = load_preset("few_labels_long").muduo
BEST = {"fusion": "report", "prompts_label": True, "reliability": "gate"}  # each organ labelled by whoever is best
TURNED = {"spatial_augmentation": True}
TEACHERS = {"ct_teacher": "standin_ct", "pet_teacher": "standin_pet", "grid": "1.5mm"}  # tiles of the teachers' spacing
OURS = {**TEACHERS, **load_preset("few_labels").muduo}
_SCHEDULE = ("num_epochs", "iterations_per_epoch", "unlabelled_batch_size")  # equal for all methods here
PUBLISHED = {**TEACHERS, **{k: v for k, v in load_preset("published").muduo.items() if k not in _SCHEDULE}}


def _ours(title: str, **changes: Any) -> Method:
    return Method(f"MuDuo, {title}", MUDUO, {**OURS, **changes})


MAIN: dict[str, Method] = {
    "supervised": Method("supervised", SUPERVISED),
    "muduo": Method("MuDuo", MUDUO, OURS),
    "self-training": Method("self-training", SUPERVISED, unlabelled="predicted labels"),
    "mean-teacher": Method("Mean Teacher", "nnUNetTrainerMeanTeacher", AT_ONCE),
    "ua-mt": Method("UA-MT", "nnUNetTrainerUAMT", AT_ONCE),
    "cps": Method("CPS", "nnUNetTrainerCPS", AT_ONCE),
    "semisam": Method("SemiSAM", "nnUNetTrainerSemiSAM", {**TEACHERS, **AT_ONCE}),
    "muduo-published": Method("MuDuo, published settings", MUDUO, PUBLISHED),
    "muduo-mae": Method("MuDuo from MAE weights", MUDUO, OURS, pretrained=True),
    "supervised-mae": Method("supervised from MAE weights", SUPERVISED, pretrained=True),
    "supervised-held-out": Method("supervised, 2 more labelled cases", SUPERVISED, split="with held out"),
    "all-labels": Method("supervised, all scans labelled", SUPERVISED, unlabelled="true labels"),
}
LONG: dict[str, Method] = {  # half an hour each on a core, where those above take minutes
    "supervised-long": Method("supervised, four times the steps", SUPERVISED, longer=4),
    "muduo-long": Method("MuDuo, four times the steps", MUDUO, OURS, longer=4),
    "muduo-gate-fusion-report-prompts-long": Method(
        "MuDuo, organs labelled by the best or by the prompts, gated, four times the steps",
        MUDUO,
        {**OURS, **BEST},
        longer=4,
    ),
    "muduo-vote-long": Method("MuDuo, the student votes, four times the steps", MUDUO, {**OURS, **VOTE}, longer=4),
    "muduo-mutual-long": Method(
        "MuDuo, the student votes and prompts, four times the steps", MUDUO, {**OURS, **MUTUAL}, longer=4
    ),
    "muduo-turned-long": Method(
        "MuDuo, unlabelled patches turned, four times the steps", MUDUO, {**OURS, **TURNED}, longer=4
    ),
    "muduo-ct-only-long": Method(
        "MuDuo, CT teacher only, four times the steps", MUDUO, {**OURS, "pet_teacher": None}, longer=4
    ),
    "muduo-pet-only-long": Method(
        "MuDuo, PET teacher only, four times the steps", MUDUO, {**OURS, "ct_teacher": None}, longer=4
    ),
    "muduo-mutual-ct-only-long": Method(
        "MuDuo, student and CT teacher, four times the steps",
        MUDUO,
        {**OURS, **MUTUAL, "pet_teacher": None},
        longer=4,
    ),
    "muduo-mutual-pet-only-long": Method(
        "MuDuo, student and PET teacher, four times the steps",
        MUDUO,
        {**OURS, **MUTUAL, "ct_teacher": None},
        longer=4,
    ),
    "self-training-long": Method(
        "self-training, four times the steps", SUPERVISED, unlabelled="long student's labels", longer=4
    ),
    "mean-teacher-long": Method("Mean Teacher, four times the steps", "nnUNetTrainerMeanTeacher", AT_ONCE, longer=4),
    "ua-mt-long": Method("UA-MT, four times the steps", "nnUNetTrainerUAMT", AT_ONCE, longer=4),
    "cps-long": Method("CPS, four times the steps", "nnUNetTrainerCPS", AT_ONCE, longer=4),
    "semisam-long": Method("SemiSAM, four times the steps", "nnUNetTrainerSemiSAM", {**TEACHERS, **AT_ONCE}, longer=4),
    "all-labels-long": Method(
        "supervised, all scans labelled, four times the steps", SUPERVISED, unlabelled="true labels", longer=4
    ),
}
ABLATIONS: dict[str, Method] = {
    "muduo-no-report": _ours("teachers trusted on every organ", reliability="none"),
    "muduo-own-report": Method("MuDuo, report on training cases", MUDUO, OURS, split="on training cases"),
    "muduo-ct-only": _ours("CT teacher only", pet_teacher=None),
    "muduo-pet-only": _ours("PET teacher only", ct_teacher=None),
    "muduo-no-filter": _ours("no filter", min_prompt_iou=0.0),
    "muduo-top-half": _ours("published filter (top half)", keep_fraction=0.5, min_prompt_iou=0.0),
    "muduo-fixed-threshold": _ours("fixed threshold 0.5", min_iou=0.5, min_prompt_iou=0.0),
    "muduo-one-point": _ours("one point", points=1),
    "muduo-student-prompts": _ours("CT prompts from the student", ct_prompt="student"),
    "muduo-random-points": _ours("random points", point_strategy="random"),
    "muduo-uptake-points": _ours("points by uptake", point_strategy="uptake"),
    "muduo-centroid-points": _ours("points at the centroid", point_strategy="centroid"),
    "muduo-first-points": _ours("first points, as published", point_strategy="first"),
    "muduo-random-fusion": _ours("random fusion, as published", fusion="random"),
    "muduo-fusion-report": _ours("organs labelled by the best", fusion="report"),
    "muduo-gate-fusion-report": _ours("organs labelled by the best, gated", fusion="report", reliability="gate"),
    "muduo-gate-fusion-report-prompts": _ours("organs labelled by the best or by the prompts, gated", **BEST),
    "muduo-gate": _ours("organs gated by the report", reliability="gate"),
    "muduo-gate-ct-only": _ours("organs gated, CT teacher only", reliability="gate", pet_teacher=None),
    "muduo-gate-pet-only": _ours("organs gated, PET teacher only", reliability="gate", ct_teacher=None),
    "muduo-patch-grid": _ours("teachers on resized patches", grid="patch"),
    "muduo-published-half": Method(
        "MuDuo, published settings, half the weight", MUDUO, {**PUBLISHED, "consistency_weight": 0.1}
    ),
    "muduo-vote": _ours("the student votes", **VOTE),
    "muduo-mutual": _ours("the student votes and prompts", **MUTUAL),
    "muduo-turned": _ours("unlabelled patches turned", **TURNED),
    "muduo-gentle": _ours("a tenth of the weight", **GENTLE),
    "mean-teacher-gentle": Method("Mean Teacher, a tenth of the weight", "nnUNetTrainerMeanTeacher", GENTLE),
    "mean-teacher-ema": Method(
        "Mean Teacher, predicting with the EMA", "nnUNetTrainerMeanTeacher", {**AT_ONCE, "predict_with": "ema"}
    ),
    "ua-mt-gentle": Method("UA-MT, a tenth of the weight", "nnUNetTrainerUAMT", GENTLE),
    "cps-gentle": Method("CPS, a tenth of the weight", "nnUNetTrainerCPS", GENTLE),
    "semisam-pet": Method(
        "SemiSAM with the PET generalist", "nnUNetTrainerSemiSAM", {**TEACHERS, **AT_ONCE, "generalist": "pet"}
    ),
    "semisam-gentle": Method("SemiSAM, a tenth of the weight", "nnUNetTrainerSemiSAM", {**TEACHERS, **GENTLE}),
}
METHODS = MAIN | LONG | ABLATIONS
# whose predictions are the labels of the unlabelled scans
LABELLERS: dict[Unlabelled, str] = {"predicted labels": "supervised", "long student's labels": "supervised-long"}
