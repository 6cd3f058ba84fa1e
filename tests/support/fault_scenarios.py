"""Commands of `muduo` on tiny datasets, as scenarios for `fault_trials`."""

import json
import os
import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch
from autopet_folders import STUDY, write_release
from centre_folders import CT_GRID, a_ct, write_case
from clickable_dataset import DATASET as CLICKABLE
from clickable_dataset import write_clickable_dataset
from evaluated_folders import write_study
from fault_commands import muduo
from fault_mask_scenarios import segment, uncrop
from fault_meanings import arrays, blosc, is_there, pickled, tensors, without_columns, without_lines
from fault_model_scenarios import export, import_mae, report
from fault_trials import Scenario
from phantom_datasets import write_dataset
from planned_dataset import unet_plans, write_planned_dataset
from pseudo_project import DATASET_JSON, PseudoProject, write_project, write_scan, write_teachers
from tiny_teachers import CLICK_UNET

_PUBLISHED = bytes(range(256)) * 400  # stands for the weights of a released teacher


def _preprocess_unlabelled() -> Scenario:
    def prepare(folder: Path) -> None:
        images = folder / "nnUNet_raw" / "Dataset021_Tiny" / "imagesUn"
        images.mkdir(parents=True)
        (images.parent / "dataset.json").write_text(json.dumps(DATASET_JSON))
        for number in range(3):
            write_scan(images, f"pat {number}.v1", seed=number)
        write_planned_dataset(folder / "nnUNet_preprocessed", unet_plans(patch_size=(8, 8, 8)))

    made = "nnUNet_preprocessed/*/*_unlabelled/*"
    return Scenario(
        "preprocess-unlabelled",
        prepare,
        lambda folder: muduo(folder, "preprocess-unlabelled", "-d", "21", "-np", "1"),
        results=(made,),
        meaning={f"{made}.pkl": pickled, f"{made}.b2nd": blosc},
        unit=lambda path: path.removesuffix(".b2nd").removesuffix(".pkl").removesuffix("_seg"),
        whole=(f"{made}.b2nd", f"{made}.pkl"),
        damage=(made,),
        inputs=("nnUNet_raw/*/imagesUn/*",),
    )


def _pseudo_label(*, figures: bool) -> Scenario:
    def prepare(folder: Path) -> None:
        write_project(folder)

    def run(folder: Path) -> int:
        raw = folder / "nnUNet_raw" / "Dataset021_Tiny"
        command = PseudoProject(raw, folder / "predictions", folder / "out").command("--as-labels", "321")
        return muduo(folder, *command, *(["--figures"] if figures else []), "--require-organs", "none")

    made = ("out/labels/*", "out/agreement/*", "out/cases/*.json", "out/cases/*.npz", "out/figures/*")
    laid_out = ("nnUNet_raw/Dataset321*/**/*.*", "out/quality.csv")
    return Scenario(
        "pseudo-label" + (" with pictures" if figures else ""),
        prepare,
        run,
        results=(*made, *laid_out),
        meaning={"out/cases/*.npz": arrays},
        unit=lambda path: path.rsplit("/", 1)[1].split(".v1")[0] if path.startswith("out/") and "v1" in path else None,
        whole=("out/*/*",),
        damage=("out/labels/*", "out/agreement/*", "out/cases/*"),
        inputs=("nnUNet_raw/*/imagesUn/*", "predictions/*", "weights/*"),
    )


def _clicks() -> Scenario:
    def prepare(folder: Path) -> None:
        write_clickable_dataset(folder / "nnUNet_raw")
        write_teachers(folder / "weights")

    def run(folder: Path) -> int:
        words = "--teacher ct.pth --modality CT --clicks 1 2 -device cpu"
        return muduo(folder, "clicks", "-d", CLICKABLE, *words.split(), "-o", str(folder / "out"))

    return Scenario(
        "clicks",
        prepare,
        run,
        results=("out/*",),
        meaning={
            "out/clicks.csv": without_columns("seconds"),
            "out/clicks.md": without_lines("seconds a click"),
            "out/clicks.png": is_there,  # its title and curves are those of the rows
        },
        damage=("out/clicks.csv", "out/clicks.json", "out/cases.json"),
        inputs=("nnUNet_raw/*/imagesTr/*_0000.nii.gz", "nnUNet_raw/*/labelsTr/*", "weights/ct.pth"),
    )


def _finetune() -> Scenario:
    def prepare(folder: Path) -> None:
        (folder / "nnUNet_raw").mkdir()
        write_dataset(folder / "nnUNet_raw", "Dataset301_Good")
        config = {"architecture": "ClickUNet", "config": CLICK_UNET.to_dict()}
        (folder / "net.json").write_text(json.dumps(config))

    def run(folder: Path) -> int:
        torch.set_num_threads(1)
        words = (
            "-d 301 --modality CT --steps 3 --save-every 1 --clicks-per-round 2 --min-voxels 8 --val-crops 1 "
            "--device cpu -np 1"
        )
        files = ("--config", str(folder / "net.json"), "-o", str(folder / "mine"))
        return muduo(folder, "finetune-teacher", *words.split(), *files)

    cases = "mine/cases/*"
    return Scenario(
        "finetune-teacher",
        prepare,
        run,
        results=(cases, "mine/*.pth", "mine/*.csv", "mine/*.png", "weights/*.pth"),
        meaning={
            "**/*.pth": tensors,
            f"{cases}.b2nd": blosc,
            "mine/validation.csv": without_columns("seconds"),
            "mine/*.png": is_there,
        },
        unit=lambda path: path.split(".")[0] if path.startswith("mine/cases/") else None,
        whole=(f"{cases}.b2nd", "weights/*.pth"),
        damage=(cases, "mine/training.pth"),
        inputs=("nnUNet_raw/*/imagesTr/*_0000.nii.gz", "nnUNet_raw/*/labelsTr/*"),
    )


def _harmonise() -> Scenario:
    def prepare(folder: Path) -> None:
        for number in range(4):
            images = {"CTres": a_ct(CT_GRID)} if number % 2 else {}  # to be resampled, or as they are
            write_case(folder / "hospital" / f"patient_{number}", label=number < 2, **images)

    def run(folder: Path) -> int:
        words = "-d Dataset230_PETCT --preset autopet --labels lesion=1 -np 1"
        return muduo(folder, "harmonise", str(folder / "hospital"), *words.split())

    made = "nnUNet_raw/Dataset230_PETCT"
    return Scenario(
        "harmonise",
        prepare,
        run,
        results=(f"{made}/**/*.*",),
        unit=lambda path: path.rsplit("/", 1)[1].split("_0")[0].split(".")[0] if path.count("/") > 2 else None,
        whole=(f"{made}/images*/*", f"{made}/labels*/*"),
        damage=(f"{made}/imagesTr/*", f"{made}/imagesUn/*", f"{made}/labelsTr/*", f"{made}/harmonised/*"),
        inputs=("hospital/*/*",),
    )


def _convert_autopet() -> Scenario:
    def prepare(folder: Path) -> None:
        write_release(folder / "source", {str(number): [STUDY] for number in range(5)})

    def run(folder: Path) -> int:
        words = "-d Dataset221_AutoPET --target lesions --labelled 2 --validation 1 --test 1 -np 1 --copy"
        return muduo(folder, "convert-autopet", str(folder / "source"), *words.split())

    made = "nnUNet_raw/Dataset221_AutoPET"
    return Scenario(
        "convert-autopet",
        prepare,
        run,
        results=(f"{made}/**/*.*", "nnUNet_preprocessed/**/splits_final.json"),
        unit=lambda path: path.rsplit("/", 1)[1].split("_00")[0].split(".")[0] if path.count("/") > 2 else None,
        whole=(f"{made}/images*/*", f"{made}/labels*/*", f"{made}/dataset.json"),
        damage=(f"{made}/imagesTr/*", f"{made}/imagesUn/*", f"{made}/labelsTr/*", f"{made}/autopet/PET*"),
        inputs=("source/*/*/*",),
    )


def _evaluate() -> Scenario:
    def prepare(folder: Path) -> None:
        write_study(folder)

    def run(folder: Path) -> int:
        folders = (str(folder / "reference"), str(folder / "exact"), "--compare", str(folder / "poor"))
        return muduo(folder, "evaluate", *folders, "-o", str(folder / "out"), "-np", "1")

    return Scenario(
        "evaluate",
        prepare,
        run,
        results=("out/**/*.*",),
        whole=("out/**/*.*",),
        damage=("out/**/*.*",),
        inputs=("reference/*", "exact/*", "poor/*.nii.gz"),  # labels are those of the first predictions
    )


def _download() -> Scenario:
    """`muduo weights`, with a careless client of the hub in place of the network: it goes on with what it finds."""

    def fetch(*, repo_id: str, filename: str, local_dir: Path) -> str:
        path = Path(local_dir) / filename
        while (done := path.stat().st_size if path.exists() else 0) < len(_PUBLISHED):
            with path.open("ab") as file:
                file.write(_PUBLISHED[done : done + 20_000])
        return str(path)

    def run(folder: Path) -> int:
        import huggingface_hub

        huggingface_hub.hf_hub_download = fetch
        huggingface_hub.get_hf_file_metadata = lambda url: None
        os.environ.pop("HF_HUB_OFFLINE", None)
        return muduo(folder, "weights", "sam_med3d_turbo")

    return Scenario(
        "weights", lambda folder: None, run, results=("weights/*.pth",), unit=str, whole=("weights/[!.]*.pth",)
    )


def _split() -> Scenario:
    def prepare(folder: Path) -> None:
        write_dataset(folder / "nnUNet_raw", "Dataset301_Good", cases=5)
        shutil.copytree(folder / "nnUNet_raw", folder / "nnUNet_preprocessed")

    return Scenario(
        "split",
        prepare,
        lambda folder: muduo(folder, "split", "-d", "301", "--labelled", "2", "--validation", "1", "--overwrite"),
        results=("**/splits_final.json",),
        whole=("**/splits_final.json",),
    )


def _plan() -> Scenario:
    def prepare(folder: Path) -> None:
        write_planned_dataset(folder / "nnUNet_preprocessed", unet_plans())

    return Scenario(
        "plan",
        prepare,
        lambda folder: muduo(folder, "plan", "-d", "21", "--set", "num_epochs=7", "-o", "nnUNetPlansSeven"),
        results=("nnUNet_preprocessed/*/*.json",),
        whole=("nnUNet_preprocessed/*/*.json",),
        inputs=("nnUNet_preprocessed/*/nnUNetPlans.json",),
    )


SCENARIOS: dict[str, Callable[[], Scenario]] = {
    "preprocess-unlabelled": _preprocess_unlabelled,
    "pseudo-label": partial(_pseudo_label, figures=False),
    "pseudo-label with pictures": partial(_pseudo_label, figures=True),
    "clicks": _clicks,
    "finetune-teacher": _finetune,
    "harmonise": _harmonise,
    "convert-autopet": _convert_autopet,
    "evaluate": _evaluate,
    "weights": _download,
    "split": _split,
    "plan": _plan,
    "export": partial(export, again=False),
    "export over an earlier one": partial(export, again=True),
    "import-mae": import_mae,
    "segment": segment,
    "uncrop": uncrop,
    "report": report,
}
