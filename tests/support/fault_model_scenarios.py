"""Commands that take a trained model elsewhere, or show it, as scenarios for `fault_trials`."""

import json
from pathlib import Path

from evaluated_folders import DATASET as DATASET_JSON
from fault_commands import muduo
from fault_meanings import tensors, without_lines, zipped
from fault_trials import Scenario
from PIL import Image
from planned_dataset import write_planned_dataset
from pretrained_files import pretrained_network, transfer_plans, write_released
from trained_folders import DATASET, write_fold, write_scans
from trained_model import Model

_DICE = {case: {"liver": dice, "spleen": dice, "lesion": dice} for case, dice in (("good", 0.9), ("bad", 0.3))}
_TRAINERS = ("nnUNetTrainer", "nnUNetTrainerMuDuo")


def export(*, again: bool) -> Scenario:
    """`muduo export`, to a new place, or `again` over what the same command wrote before."""

    def run(folder: Path) -> int:
        words = "-d 21 -f 0 1 --zip --overwrite"
        return muduo(folder, "export", *words.split(), "-o", str(folder / "out"))

    def prepare(folder: Path) -> None:
        model = Model(folder / "nnUNet_results")
        for fold in "01":
            model.add_fold(fold)
        assert not again or run(folder) == 0

    trained, exported = "nnUNet_results/*/*", "out/Dataset*/*"
    return Scenario(
        "export" + (" over an earlier one" if again else ""),
        prepare,
        run,
        results=("out/**/*.*",),
        meaning={"out/*.zip": zipped, "**/*.pth": tensors},
        whole=("out/**/*.*",),
        damage=(f"{exported}/*.json", f"{exported}/*/*.pth", "out/*.zip"),
        inputs=(f"{trained}/fold_*/*.pth", f"{trained}/plans.json", f"{trained}/dataset.json"),
    )


def import_mae() -> Scenario:
    """`muduo import-mae` of weights in the released format."""

    def prepare(folder: Path) -> None:
        write_planned_dataset(folder / "nnUNet_preprocessed", transfer_plans())
        write_released(folder / "released.pth", pretrained_network())

    def run(folder: Path) -> int:
        files = (str(folder / "released.pth"), "-o", str(folder / "out" / "imported.pth"))
        return muduo(folder, "import-mae", *files, "-d", "21", "--overwrite")

    return Scenario(
        "import-mae",
        prepare,
        run,
        results=("out/*",),
        meaning={"out/*.pth": tensors},
        whole=("out/*",),
        damage=("out/*",),
        inputs=("released.pth", "nnUNet_preprocessed/*/*.json"),
    )


def report() -> Scenario:
    """`muduo report` of two trainings with pictures of cases and of a trainer, and an evaluation."""

    def prepare(folder: Path) -> None:
        raw, results = folder / "nnUNet_raw", folder / "nnUNet_results"
        write_scans(raw, tuple(_DICE))
        for trainer in _TRAINERS:
            fold = write_fold(results, trainer=trainer, dice=_DICE)
            Image.new("RGB", (40, 30), "white").save(fold / "unlabelled_epoch_2.png")
        evaluated = (str(raw / DATASET / "labelsTr"), str(fold / "validation"))
        (fold / "validation" / "dataset.json").write_text(json.dumps(DATASET_JSON))
        assert muduo(folder, "evaluate", *evaluated, "-o", str(folder / "evaluated"), "-np", "1") == 0

    def run(folder: Path) -> int:
        files = ("--evaluation", str(folder / "evaluated"), "-o", str(folder / "out" / "report.html"))
        return muduo(folder, "report", "-d", "7", "-tr", *_TRAINERS, "--cases", "1", *files)

    fold = "nnUNet_results/*/*/fold_0"
    return Scenario(
        "report",
        prepare,
        run,
        results=("out/*",),
        meaning={"out/*": without_lines("ritten")},
        damage=("out/*",),
        inputs=(
            *(
                f"{fold}/{name}"
                for name in ("*.pth", "*.png", "debug.json", "validation/*.nii.gz", "validation/s*.json")
            ),
            "nnUNet_raw/*/*/*.nii.gz",
            "evaluated/*.json",
        ),
    )
