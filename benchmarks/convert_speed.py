"""How fast `muduo convert-autopet` is, against copying the same bytes.

    python benchmarks/convert_speed.py

Cases in the layout of AutoPET's release, all on one grid: 400 x 400 x 326 voxels of random CT (int16) and PET
(float32), which compress badly, and an ellipsoid as lesion; two cases are drawn, the others are copies of their files.
Before each measurement the system is asked to forget the source files, after it what was written is flushed to the
disk. Copying is shutil.copyfile, file by file; the conversion reads headers, hashes every byte, looks into the images
and the label maps of the labelled cases, and writes records, manifest and splits. It runs in this process, where
starting Python and importing is not counted, and as the command (-np 4 by default), where it is. Sources go to --folder
(0.3 GB a case, and as much again for the copies).
Writes benchmarks/results/convert_speed.{md,json}.
"""

import argparse
import gzip
import os
import shlex
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import nibabel
import numpy as np
import torch
from machine import describe_machine, write_results
from tqdm import tqdm

from nnunetv2_muduo.autopet.plan import Wishes, plan_conversion
from nnunetv2_muduo.autopet.recipe import convert
from nnunetv2_muduo.transfer.few_shot import Amount

RESULTS = Path(__file__).resolve().parent / "results"
SIZE = (400, 400, 326)  # x, y, z
SPACING_IN_MM = (2.0364, 2.0364, 3.0)
DISTINCT = 2
DATASET = "Dataset221_AutoPET"


def write_nifti(array: np.ndarray, path: Path) -> None:
    """[X, Y, Z], compressed as little as gzip can: the disk shall have work to do."""
    image = nibabel.Nifti1Image(array, np.diag([*SPACING_IN_MM, 1.0]))
    with gzip.open(path, "wb", compresslevel=1) as stream:
        stream.write(image.to_bytes())


def draw_case(folder: Path, rng: np.random.Generator) -> None:
    """CTres, SUV and SEG of one study."""
    folder.mkdir(parents=True)
    write_nifti(rng.normal(-300, 400, SIZE).astype(np.int16), folder / "CTres.nii.gz")
    write_nifti(rng.standard_gamma(2.0, SIZE, dtype=np.float32), folder / "SUV.nii.gz")
    x, y, z = (np.linspace(-1, 1, n) for n in SIZE)
    inside = x[:, None, None] ** 2 + y[None, :, None] ** 2 + z[None, None, :] ** 2 < 0.02
    write_nifti(inside.astype(np.uint8), folder / "SEG.nii.gz")


def draw_release(folder: Path, cases: int) -> None:
    """The tree of the release."""
    rng = np.random.default_rng(0)
    for number in tqdm(range(cases), desc="drawing", unit="case"):
        study = folder / f"PETCT_{number:010d}" / "08-13-2005-NA-PET-CT Ganzkoerper  primaer mit KM-00001"
        if number < DISTINCT:
            draw_case(study, rng)
        else:
            other = folder / f"PETCT_{number % DISTINCT:010d}" / study.name
            shutil.copytree(other, study)


def forget(folder: Path) -> None:
    """Ask the system to drop these files, and no others, from its cache."""
    for path in folder.rglob("*.nii.gz"):
        with path.open("rb") as file:
            os.fsync(file.fileno())
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def flush(folder: Path) -> None:
    """Wait until the files of a folder are on the disk; links are followed to files that are there already."""
    for path in folder.rglob("*.nii.gz"):
        if not path.is_symlink():
            with path.open("rb") as file:
                os.fsync(file.fileno())


def copy_all(files: list[Path], target: Path) -> None:
    """Plain copies of these files."""
    target.mkdir()
    for number, file in enumerate(files):
        shutil.copyfile(file, target / f"{number}.nii.gz")


def convert_all(source: Path, target: Path, *, copy: bool, every_voxel: bool = False) -> None:
    """One labelled and one validation case, the others unlabelled."""
    wishes = Wishes((source,), "lesions", labelled=Amount(1), validation=Amount(1), copy=copy, every_voxel=every_voxel)
    plan = plan_conversion(wishes, target / DATASET, log=print)
    convert(plan, preprocessed=None)


def run_command(source: Path, target: Path, *options: str) -> None:
    """The same from a shell."""
    sets = ["--target", "lesions", "--labelled", "1", "--validation", "1"]
    program = [sys.executable, "-m", "nnunetv2_muduo.cli", "convert-autopet", str(source), "-d", DATASET]
    environment = {name: value for name, value in os.environ.items() if name != "nnUNet_preprocessed"}
    environment["nnUNet_raw"] = str(target)
    subprocess.run([*program, *sets, *options], check=True, stdout=subprocess.DEVNULL, env=environment)


def seconds(work: Callable[[Path], None], source: Path, folder: Path) -> tuple[float, float]:
    """For the work on forgotten files until all is on the disk, and of processors; what was written is removed."""
    forget(source)
    target = folder / "made"
    started, busy = time.perf_counter(), processor_seconds()
    work(target)
    flush(target)
    taken = time.perf_counter() - started, processor_seconds() - busy
    shutil.rmtree(target)
    return taken


def processor_seconds() -> float:
    """Of this process and of those it has waited for."""
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


def main() -> None:
    """Measure in turns, so that whatever else the machine does meets all alike, and write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", type=int, default=4)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--release", type=Path, help="measure with this tree instead of drawing cases")
    parser.add_argument("--folder", type=Path, help="on the disk to measure (default: the system's temporary folder)")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=arguments.folder) as name:
        folder = Path(name)
        source = arguments.release or folder / "source"
        if arguments.release is None:
            draw_release(source, arguments.cases)
        draw = Wishes((source,), "lesions", labelled=Amount(1), validation=Amount(1))
        plan = plan_conversion(draw, folder / "made", log=print)
        files = [path for job in plan.jobs for path in job.sources.values()]
        megabytes = plan.size_in_bytes() / 1e6
        ways: dict[str, Callable[[Path], None]] = {
            "copying": lambda target: copy_all(files, target),
            "convert-autopet --copy": lambda target: convert_all(source, target, copy=True),
            "convert-autopet (links)": lambda target: convert_all(source, target, copy=False),
            "the command with --copy": lambda target: run_command(source, target, "--copy"),
            "the command (links)": lambda target: run_command(source, target),
            "convert-autopet --copy --every-voxel": lambda target: convert_all(
                source, target, copy=True, every_voxel=True
            ),
        }
        taken: dict[str, list[tuple[float, float]]] = {way: [] for way in ways}
        for number in tqdm(range(arguments.rounds), desc="rounds"):
            for way, work in ways.items():
                if number == 0 or not way.endswith("--every-voxel"):  # which is slow: once is enough
                    taken[way].append(seconds(work, source, folder))
    middle = {way: statistics.median(time for time, _ in times) for way, times in taken.items()}
    busy = {way: statistics.median(time for _, time in times) for way, times in taken.items()}
    ratios = {
        way: statistics.median(c / t for (c, _), (t, _) in zip(taken["copying"], times, strict=False))
        for way, times in taken.items()
    }
    write_results(
        RESULTS / "convert_speed",
        title=(
            f"{len(plan.jobs)} cases of {' x '.join(map(str, SIZE))} voxels, {megabytes:.0f} MB in {len(files)} "
            f"files; medians of {arguments.rounds} rounds on a shared machine"
        ),
        header=["", "s", "MB/s", "processor s", "speed against copying in the same round"],
        rows=[
            [way, f"{middle[way]:.1f}", f"{megabytes / middle[way]:.0f}", f"{busy[way]:.1f}", f"{ratios[way]:.2f}"]
            for way in ways
        ],
        record={
            "command": shlex.join(["python", *sys.argv]),
            "rounds": arguments.rounds,
            "megabytes": megabytes,
            "seconds_and_processor_seconds": taken,
        },
        machine=describe_machine(torch.device("cpu")),
    )


if __name__ == "__main__":
    main()
