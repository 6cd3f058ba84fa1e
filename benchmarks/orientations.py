"""What the way in which scans are stored does to frozen teachers, and to a network that learnt on scans of one way.

    python benchmarks/orientations.py --out orientations

Phantoms (drawn persons) are stored as LPS, as scanners do, or mirrored to it. The stand-in teachers, which know LPS,
get ideal prompts (the organs themselves as masks for the CT, points spread in them for the PET) in patches of 48 voxels
of 8 mm, shown as they are stored and turned, as trainings do it; to have them shown as stored, the teachers are told
nothing of how. The network is the supervised baseline of the demo, unmirrored, trained by stock commands on LPS files
of 10 mm alone; the test scans are other persons, the same ones each time. Repeat the command to continue. Writes
benchmarks/results/orientations.{md,json}.
"""

import argparse
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import SimpleITK as sitk
import torch
from machine import describe_machine, write_results
from torch import nn
from tqdm import tqdm

from nnunetv2_muduo.datasets.phantom import draw_phantom, write_phantom_dataset
from nnunetv2_muduo.datasets.simulated_dataset import ORGANS, organ_labels
from nnunetv2_muduo.datasets.simulation import simulate_pet_ct
from nnunetv2_muduo.demo.commands import run_command
from nnunetv2_muduo.evaluation.comparison import compare_predictions
from nnunetv2_muduo.evaluation.overlap import dice_score
from nnunetv2_muduo.semisupervised.answers import Patches
from nnunetv2_muduo.semisupervised.teaching import Teaching
from nnunetv2_muduo.settings import Settings
from nnunetv2_muduo.teachers.orientation import mirrored_axes
from nnunetv2_muduo.teachers.weights import load_teacher
from nnunetv2_muduo.trainer_folder import trainer_folder

RESULTS = Path(__file__).resolve().parent / "results"
KNOWN, STORED = "LPS", ("LPS", "RAS", "LAS", "LPI")
EDGE, SPACING_IN_MM = 48, 8.0  # of the patches that teachers see
TRUNK = ("liver", "spleen", "kidneys", "heart", "lungs")  # organs that lie in such a patch
DATASET, TRAINER, CONFIGURATION = "Dataset221_Phantom", "nnUNetTrainerMuDuoSupervised", "3d_fullres"
NUMBER = DATASET[7:10]
NETWORK_SPACING_IN_MM = 10.0
OF_TEACHERS = ("CT teacher", "PET teacher", "both")


def trunk(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """A cube of the trunk of a drawn person, LPS: CT in HU and PET in SUV, [2, Z, Y, X], and masks [K, Z, Y, X]."""
    rng, spacing = np.random.default_rng(seed), (SPACING_IN_MM,) * 3
    drawn = draw_phantom(rng, spacing_in_mm=spacing)
    images = simulate_pet_ct(drawn.tissues, spacing_in_mm=spacing, rng=rng)
    labels = organ_labels(drawn.tissues)
    middle = (np.argwhere(labels == ORGANS["liver"])[:, 0].mean(), *(length / 2 for length in labels.shape[1:]))
    ct, pet, labels = (
        _cube(volume, middle, outside=outside) for volume, outside in ((images[0], -1000), (images[1], 0), (labels, 0))
    )
    return np.stack([ct, pet]).astype(np.float32), np.stack([labels == ORGANS[organ] for organ in TRUNK])


def _cube(volume: np.ndarray, middle: Sequence[float], *, outside: float) -> np.ndarray:
    padded = np.pad(volume, EDGE, constant_values=outside)
    return padded[tuple(slice(start := round(place) + EDGE // 2, start + EDGE) for place in middle)]


def teachers_dice(seed: int, stored: str, *, turned: bool, teaching: Teaching) -> dict[str, list[float]]:
    """Dice of each organ in the patch of a scan that is stored so, for the teachers and their fusion.

    Args:
        seed: of the person.
        stored: which way x, y and z of the scan grow.
        turned: whether teachers are told, and see it in their own orientation.
        teaching: whose prompt generator repeats what it is shown.
    """
    axes = mirrored_axes(stored, KNOWN)
    assert axes is not None
    raw, masks = (torch.from_numpy(np.flip(volume, [axis + 1 for axis in axes]).copy())[None] for volume in trunk(seed))
    organs = masks.float()
    shown = 20 * torch.cat([1 - organs.amax(1, keepdim=True), organs], 1)
    said = teaching.label(Patches(clean=shown, raw=raw, orientations=[stored] if turned else None), organs)
    assert said.p_ct is not None
    assert said.p_pet is not None
    answers = dict(zip(OF_TEACHERS, (said.p_ct > 0.5, said.p_pet > 0.5, said.fused), strict=True))
    truth = masks[0].numpy()
    return {
        name: [dice_score(found, organ) for found, organ in zip(answer[0].numpy(), truth, strict=True)]
        for name, answer in answers.items()
    }


def measure_teachers(persons: int) -> list[dict]:
    """A record for each way of storing and showing: source -> [persons, organs] Dice."""
    ct, pet = (load_teacher(name, log=lambda _: None) for name in ("standin_ct", "standin_pet"))
    teaching = Teaching(
        ct,
        pet,
        prompt_generator=nn.Identity(),
        settings=Settings(),
        patch_size=(EDGE,) * 3,
        spacing_in_mm=(SPACING_IN_MM,) * 3,
        channels=(0, 1),
        device=torch.device("cpu"),
        seed=0,
    )
    records = []
    for stored in tqdm(STORED, desc="teachers", unit="orientation"):
        for turned in (False, True):
            found = [teachers_dice(seed, stored, turned=turned, teaching=teaching) for seed in range(persons)]
            dice = {name: [one[name] for one in found] for name in OF_TEACHERS}
            records.append({"stored": stored, "turned": turned, "dice": dice})
    return records


def measure_network(out: Path, *, labelled: int, test: int) -> dict[str, list[list[float]]]:
    """Train on LPS files and predict the test scans stored in each way: orientation -> [cases, organs] Dice."""
    folders = {name: str(out / name) for name in ("nnUNet_raw", "nnUNet_preprocessed", "nnUNet_results")}
    environment = {
        **folders, "nnUNet_extTrainer": str(trainer_folder()), "nnUNet_n_proc_DA": "1", "nnUNet_def_n_proc": "1",
    }  # fmt: skip

    def run(*words: str) -> None:
        run_command(words, log_file=out / "log.txt", environment=environment)

    raw, spacing = Path(folders["nnUNet_raw"]) / DATASET, (NETWORK_SPACING_IN_MM,) * 3
    write_phantom_dataset(raw, labelled=labelled, unlabelled=0, test=test, seed=0, spacing_in_mm=spacing)
    trained = Path(folders["nnUNet_results"]) / DATASET / f"{TRAINER}__nnUNetPlans__{CONFIGURATION}" / "fold_all"
    if not (trained / "checkpoint_final.pth").is_file():
        run("nnUNetv2_plan_and_preprocess", "-d", NUMBER, "-c", CONFIGURATION, "-np", "1", "-npfp", "1")
        run("muduo", "plan", "-d", NUMBER, "-c", CONFIGURATION, "--preset", "demo", "--set", "seed=0")
        run("nnUNetv2_train", DATASET, CONFIGURATION, "all", "-tr", TRAINER, "-device", "cpu")
    dice = {}
    for stored in STORED:
        images, labels, masks = (out / stored / name for name in ("images", "labels", "masks"))
        for source, target in ((raw / "imagesTs", images), (raw / "labelsTs", labels)):
            target.mkdir(parents=True, exist_ok=True)
            for file in source.glob("*.nii.gz"):
                sitk.WriteImage(sitk.DICOMOrient(sitk.ReadImage(str(file)), stored), str(target / file.name))
        if {file.name for file in masks.glob("*.nii.gz")} != {file.name for file in labels.iterdir()}:
            of_model = ("-d", NUMBER, "-c", CONFIGURATION, "-f", "all", "-tr", TRAINER)
            alone = ("-device", "cpu", "-npp", "0", "-nps", "0", "--disable_tta")
            run("nnUNetv2_predict", *of_model, "-i", str(images), "-o", str(masks), *alone)
        organs = {name: label for name, label in ORGANS.items() if label}
        dice[stored] = compare_predictions(labels, {"": masks}, labels=organs, file_ending=".nii.gz").dice[""].tolist()
    return dice


def table_rows(teachers: Sequence[dict], network: dict[str, list[list[float]]]) -> list[list[str]]:
    """A line for each orientation, means over organs and scans."""
    shown = {(record["stored"], record["turned"]): record["dice"] for record in teachers}
    return [
        [
            stored,
            *(f"{np.nanmean(shown[stored, turned][name]):.2f}" for turned in (False, True) for name in OF_TEACHERS),
            f"{np.nanmean(network[stored]):.2f}",
        ]
        for stored in STORED
    ]


def main() -> None:
    """Measure both and write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="keeps scans and the training")
    parser.add_argument("--persons", type=int, default=6, help="whom the teachers see")
    parser.add_argument("--labelled", type=int, default=8, help="scans that the network learns from")
    parser.add_argument("--test", type=int, default=6, help="scans that it is tested on")
    arguments = parser.parse_args()
    teachers = measure_teachers(arguments.persons)
    network = measure_network(arguments.out.absolute(), labelled=arguments.labelled, test=arguments.test)
    columns = [f"{name}, {how}" for how in ("as stored", "turned") for name in OF_TEACHERS]
    write_results(
        RESULTS / "orientations",
        title=f"Mean Dice by the way in which phantoms are stored: stand-in teachers with ideal prompts, shown as "
        f"stored or turned to {KNOWN} ({arguments.persons} persons); a network that learnt on {KNOWN} alone "
        f"({arguments.test} test scans)",
        header=["stored as", *columns, f"network of {KNOWN}"],
        rows=table_rows(teachers, network),
        record={
            "command": shlex.join(["python", *sys.argv]),
            "organs": {"teachers": list(TRUNK), "network": [name for name, label in ORGANS.items() if label]},
            "teachers": teachers,
            "network": network,
        },
        machine=describe_machine(torch.device("cpu")),
    )


if __name__ == "__main__":
    main()
