"""The demo, top to bottom: simulate scans, train with and without the unlabelled ones, predict, compare."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter

import numpy as np
import SimpleITK as sitk

from nnunetv2_muduo.datasets.phantom import write_phantom_dataset
from nnunetv2_muduo.datasets.simulated_dataset import ORGANS
from nnunetv2_muduo.demo.commands import run_command
from nnunetv2_muduo.evaluation.comparison import Comparison, compare_predictions
from nnunetv2_muduo.evaluation.comparison_figure import draw_comparison
from nnunetv2_muduo.files import write_text
from nnunetv2_muduo.nnunet_files import read_plans_file
from nnunetv2_muduo.settings import Settings
from nnunetv2_muduo.trainer_folder import trainer_folder

DATASET = "Dataset221_Phantom"
CONFIGURATION = "3d_fullres"
FOLD = "0"
METHODS = {"supervised": "nnUNetTrainerMuDuoSupervised", "MuDuo": "nnUNetTrainerMuDuo"}


@dataclass(frozen=True)
class DemoSize:
    """How much is simulated and trained.

    Attributes:
        labelled, unlabelled, test: number of simulated scans.
        spacing_in_mm: of the scans, in all directions.
        preset: what `muduo plan` merges into the plans.
        assignments: further `muduo plan --set KEY=VALUE`.
        seed: of the scans and of the trainings.
    """

    labelled: int = 5
    unlabelled: int = 16
    test: int = 6
    spacing_in_mm: float = 10.0
    preset: str = "demo"
    assignments: tuple[str, ...] = ()
    seed: int = 0


def write_phantoms(folder: Path, size: DemoSize) -> None:
    """The demo's own scans: drawn persons."""
    write_phantom_dataset(
        folder,
        labelled=size.labelled,
        unlabelled=size.unlabelled,
        test=size.test,
        seed=size.seed,
        spacing_in_mm=(size.spacing_in_mm, size.spacing_in_mm, size.spacing_in_mm),
    )


def run_demo(
    out: Path, *, size: DemoSize | None = None, write_scans: Callable[[Path, DemoSize], None] = write_phantoms
) -> Comparison:
    """Run everything that is not finished yet under `out` and print the comparison.

    Args:
        out: keeps everything.
        size: how much is simulated and trained.
        write_scans: writes the raw dataset, with the labels `ORGANS` and labelled test cases, into a folder, and keeps
            what is there.

    Returns:
        Dice per organ and test case of both methods.

    Raises:
        UserError: if a command fails or `out` holds scans of another demo.
    """
    start, size = perf_counter(), size or DemoSize()
    out = out.resolve()
    environment = _environment(out)
    print(f"MuDuo demo in {out} (delete the folder to start anew; a second run continues where this one stops)")
    raw = Path(environment["nnUNet_raw"]) / DATASET
    _headline(1, f"Simulate {size.labelled} labelled, {size.unlabelled} unlabelled and {size.test} test PET/CT scans")
    write_scans(raw, size)
    _headline(2, "Plan with stock nnU-Net, then make the plans small and name the stand-in teachers")
    _plan(out, environment, size)
    for number, (method, trainer) in enumerate(METHODS.items(), start=3):
        _headline(number, f"Train and predict: {method}")
        _train(out, environment, trainer)
        _predict(out, environment, trainer, raw, method)
    comparison = _compare(out, raw)
    minutes = (perf_counter() - start) / 60
    print(f"\n{comparison.as_table()}\n\nDone in {minutes:.1f} minutes. Table and figure: {out}/comparison.md, .png")
    print("The teachers here are stand-ins, small networks trained on simulated images: see README.md, Teachers.")
    return comparison


def _environment(out: Path) -> dict[str, str]:
    names = ("nnUNet_raw", "nnUNet_preprocessed", "nnUNet_results")
    environment = {name: str(out / name) for name in names}
    for folder in environment.values():
        Path(folder).mkdir(parents=True, exist_ok=True)
    environment["nnUNet_extTrainer"] = str(trainer_folder())
    environment["nnUNet_n_proc_DA"] = os.environ.get("nnUNet_n_proc_DA", "1")
    environment["nnUNet_def_n_proc"] = os.environ.get("nnUNet_def_n_proc", "1")  # a worker starts slower than it works
    for name, value in environment.items():
        print(f"  export {name}={value}")
    return environment


def _headline(number: int, text: str) -> None:
    print(f"\n[{number}/5] {text}", flush=True)


def _plan(out: Path, environment: dict[str, str], size: DemoSize) -> None:
    done = out / "planned.txt"
    if done.is_file():
        print("  already planned")
        return
    log = out / "logs" / "plan.txt"
    number = DATASET[7:10]
    run_command(
        ["nnUNetv2_plan_and_preprocess", "-d", number, "-c", CONFIGURATION, "-np", "2", "-npfp", "2"],
        log_file=log,
        environment=environment,
    )
    assignments = [f"seed={size.seed}", *size.assignments]
    plan = ["muduo", "plan", "-d", number, "-c", CONFIGURATION, "--preset", size.preset, "--set", *assignments]
    run_command(plan, log_file=log, environment=environment)
    write_text(done, "\n".join(assignments) + "\n")


def _train(out: Path, environment: dict[str, str], trainer: str) -> None:
    results = (
        Path(environment["nnUNet_results"]) / DATASET / f"{trainer}__nnUNetPlans__{CONFIGURATION}" / f"fold_{FOLD}"
    )
    if (results / "validation" / "summary.json").is_file():
        print("  already trained")
        return
    command = ["nnUNetv2_train", DATASET, CONFIGURATION, FOLD, "-tr", trainer, "-device", "cpu"]
    if any(results.glob("checkpoint_*.pth")):
        command.append("--c")
    log_file = out / "logs" / f"{trainer}.txt"
    run_command(command, log_file=log_file, environment=environment, steps=_epochs(environment, trainer))


def _epochs(environment: dict[str, str], trainer: str) -> int:
    """How many epochs the plans ask for, those of the prompt generator among them where it is trained."""
    plans = Path(environment["nnUNet_preprocessed"]) / DATASET / "nnUNetPlans.json"
    settings = Settings.from_plans(read_plans_file(plans))
    prompts = settings.prompt_epochs if trainer == METHODS["MuDuo"] else 0
    return (settings.num_epochs or 0) + (prompts or 0)


def _predict(out: Path, environment: dict[str, str], trainer: str, raw: Path, method: str) -> None:
    target = out / "predictions" / method
    cases = [path.name for path in (raw / "labelsTs").glob("*.nii.gz")]
    if all((target / case).is_file() for case in cases):
        print("  already predicted")
        return
    command = ["nnUNetv2_predict", "-d", DATASET[7:10], "-c", CONFIGURATION, "-f", FOLD, "-tr", trainer]
    command += ["-i", str(raw / "imagesTs"), "-o", str(target), "-device", "cpu", "-npp", "0", "-nps", "0"]
    run_command(
        [*command, "--disable_tta", "--continue_prediction"],
        log_file=out / "logs" / f"{trainer}_predict.txt",
        environment=environment,
    )


def _compare(out: Path, raw: Path) -> Comparison:
    _headline(5, "Compare on the test cases")
    folders = {method: out / "predictions" / method for method in METHODS}
    organs = {name: label for name, label in ORGANS.items() if label}
    comparison = compare_predictions(raw / "labelsTs", folders, labels=organs, file_ending=".nii.gz")
    write_text(out / "comparison.md", comparison.as_table() + "\n")
    case = comparison.cases[0]
    paths = {"reference": raw / "labelsTs", **folders}
    ct = sitk.ReadImage(str(raw / "imagesTs" / f"{case}_0000.nii.gz"))
    draw_comparison(
        out / "comparison.png",
        comparison,
        ct=sitk.GetArrayFromImage(ct),
        pet=_read(raw / "imagesTs" / f"{case}_0001.nii.gz"),
        label_maps={name: _read(folder / f"{case}.nii.gz") for name, folder in paths.items()},
        aspect=ct.GetSpacing()[2] / ct.GetSpacing()[0],
        case=case,
    )
    return comparison


def _read(path: Path) -> np.ndarray:
    return sitk.GetArrayFromImage(sitk.ReadImage(str(path)))
