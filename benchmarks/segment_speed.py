"""Seconds and memory of `muduo segment` on a whole-body scan of 400 x 400 x 326 voxels, by number of targets.

    python benchmarks/segment_speed.py

The teacher has the released size and random weights (the time does not depend on them); every target is one point in
the same window, which is not followed. Measured is what comes after reading the scan and loading the teacher: turning
the scan, cutting the window, encoding, decoding, bringing masks back, and writing the label map. Memory is the peak of
the whole process, after reading alone and after each number of targets, in ascending order.
"""

import argparse
import multiprocessing
import resource
import shlex
import sys
import tempfile
from pathlib import Path
from statistics import median
from time import perf_counter

import numpy as np
import SimpleITK as sitk
import torch
from machine import describe_machine, write_results
from scipy.ndimage import zoom

from nnunetv2_muduo.datasets.scan_io import read_image, write_image
from nnunetv2_muduo.interactive.prompts import Point, Target
from nnunetv2_muduo.interactive.segment import segment_scan
from nnunetv2_muduo.teachers import Sam3D

RESULTS = Path(__file__).resolve().parent / "results"
SHAPE, SPACING = (326, 400, 400), (2.04, 2.04, 3.0)  # [Z, Y, X]; (x, y, z) in mm
TARGETS = (1, 4, 12)
GIB = 1024**2  # of the kilobytes that Linux counts


def write_scan(path: Path) -> None:
    """A smooth random volume in HU, as a file that needs turning (RAS) as most of NIfTI's do."""
    coarse = np.random.default_rng(0).uniform(-1000, 400, [length // 16 + 2 for length in SHAPE])
    volume = zoom(coarse.astype(np.float32), 16, order=1)[tuple(slice(length) for length in SHAPE)]
    image = sitk.GetImageFromArray(np.rint(volume).astype(np.int16))
    image.SetSpacing(SPACING)
    image.SetDirection((-1, 0, 0, 0, -1, 0, 0, 0, 1))
    sitk.WriteImage(image, str(path))


def peak_in_gib() -> float:
    """The most memory this process has held so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / GIB


def targets(number: int) -> list[Target]:
    """So many targets with a point each, near to each other."""
    return [Target(str(index), [Point((200.0 + index, 180.0, 150.0))]) for index in range(number)]


def main() -> None:
    """Measure and write benchmarks/results/segment_speed.{md,json}."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--device", default="cpu")
    arguments = parser.parse_args()
    device = torch.device(arguments.device)
    torch.manual_seed(0)
    teacher = Sam3D().eval().requires_grad_(False).to(device)
    rows, record = [], {}
    with tempfile.TemporaryDirectory() as folder:
        writer = multiprocessing.get_context("spawn").Process(target=write_scan, args=(Path(folder) / "scan.nii.gz",))
        writer.start()  # in a process of its own, whose memory is not counted
        writer.join()
        image = read_image(Path(folder) / "scan.nii.gz")
        before = peak_in_gib()
        for number in TARGETS:
            seconds = []
            for _ in range(arguments.repeats):
                start = perf_counter()
                result = segment_scan(
                    image, teacher, modality="CT", targets=targets(number), follow=False, device=device
                )
                write_image(result.labels, Path(folder) / "mask.nii.gz")
                seconds.append(perf_counter() - start)
            rows.append([str(number), f"{median(seconds):.2f}", str(result.encoded), f"{peak_in_gib():.2f}"])
            record[number] = {"seconds": seconds, "encoder_passes": result.encoded, "peak_gib": peak_in_gib()}
    write_results(
        RESULTS / f"segment_speed{'' if device.type == 'cpu' else '_' + device.type}",
        title="muduo segment: 400 x 400 x 326 voxels, released size, one window",
        header=["targets", "seconds (median)", "encoder passes", "peak GiB"],
        rows=[["none (read, loaded)", "", "", f"{before:.2f}"], *rows],
        record={"by_targets": record, "peak_gib_before": before, "command": shlex.join(["python", *sys.argv])},
        machine=describe_machine(device),
    )


if __name__ == "__main__":
    main()
