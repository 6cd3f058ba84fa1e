"""What to type after a command that made a dataset."""

from collections.abc import Iterable

from nnunetv2_muduo.datasets.sides import left_and_right, told_pairs


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
