"""What to type after a command that made a dataset."""

from collections.abc import Iterable
from pathlib import Path

from nnunetv2_muduo.datasets.sides import left_and_right, told_pairs
from nnunetv2_muduo.json_files import read_table


def plan_and_preprocess(number: int, labels: Iterable[str]) -> str:
    """nnU-Net's planning of a dataset with labelled cases, and no mirroring where labels differ by their side alone.

    Args:
        number: of the dataset.
        labels: names of its labels.
    """
    command = f"Next: nnUNetv2_plan_and_preprocess -d {number} -c 3d_fullres --verify_dataset_integrity"
    if pairs := left_and_right(labels):
        command += f" && muduo plan -d {number} --set mirroring=false  # {told_pairs(pairs)} are mirror images"
    return command


def told_of_orientations(dataset: Path) -> list[str]:
    """A line where the scans of a dataset in nnUNet_raw are stored in ways that make a difference; else none."""
    from nnunetv2_muduo.datasets.scan_header import chosen_reader, turns_alike
    from nnunetv2_muduo.datasets.stored_orientations import (
        REMEDY,
        lie_differently,
        stored_orientations,
        told_orientations,
    )

    description = read_table(dataset / "dataset.json")
    if turns_alike(chosen_reader(description)):
        return []
    stored = stored_orientations(dataset, description["file_ending"])
    if not lie_differently(stored.values(), mirrored=not left_and_right(description["labels"])):
        return []
    return [f"WARNING: Scans are stored in several ways ({told_orientations(stored)}); {REMEDY}."]
