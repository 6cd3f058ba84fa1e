"""Finding unlabelled scans, and telling the good from the bad by name and reason."""

import os
import re
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
from batchgenerators.utilities.file_and_folder_operations import subfiles
from nnunetv2.imageio.base_reader_writer import BaseReaderWriter
from nnunetv2.utilities.utils import create_paths_fn, get_identifiers_from_splitted_dataset_folder
from numpy.typing import NDArray

from nnunetv2_muduo.datasets.nifti_checks import count_non_finite_in_nifti, is_truncated_nifti
from nnunetv2_muduo.datasets.scan_header import header_problem, text_header_problem

# Grids written by different tools differ by rounding; what exceeds these is a different grid.
_TOLERANCES = {"spacing": 1e-4, "origin": 0.05, "direction": 1e-3}  # relative; voxels; absolute


class BadScanError(Exception):
    """A scan that cannot be used; its message is the reason, without the scan's name."""


def find_scans(folder: Path, file_ending: str) -> tuple[dict[str, tuple[Path, ...]], dict[str, str]]:
    """All scans of a folder by nnU-Net's naming, {case}_{four digits}{file_ending}.

    Args:
        folder: an existing folder such as imagesUn.
        file_ending: of the dataset, such as ".nii.gz"; other files are ignored.

    Returns:
        case -> files in the order of their channel numbers, and name -> reason for what cannot be a scan, or not
        today: links to files that are not there.
    """
    names = subfiles(str(folder), suffix=file_ending, join=False, sort=True)
    scans: dict[str, tuple[Path, ...]] = {}
    strays: dict[str, str] = {}
    for case in get_identifiers_from_splitted_dataset_folder(str(folder), file_ending):
        files = tuple(Path(path) for path in create_paths_fn(str(folder), names, file_ending, str(case)))
        if files:
            scans[str(case)] = files
    claimed = {file.name for files in scans.values() for file in files}
    for name in sorted(set(names) - claimed):
        strays[name] = f"the name lacks the channel number; nnU-Net's pattern is {{case}}_0000{file_ending}"
    for case in [case for case in scans if case.endswith("_seg")]:
        del scans[case]
        strays[case] = "the name ends in _seg, which nnU-Net uses for labels; rename the scan"
    away = dangling_scans(folder, file_ending)
    return {case: files for case, files in scans.items() if case not in away}, strays | away


def dangling_scans(folder: Path, file_ending: str) -> dict[str, str]:
    """Case -> reason, for scans with a file that is a link to nothing, as to a disk that is not mounted.

    They are no scans that are gone: what was made of them is worth keeping until they are back.
    """
    away: dict[str, str] = {}
    for file in sorted(folder.iterdir()):
        if file.name.endswith(file_ending) and file.is_symlink() and not os.path.exists(file):  # which never raises
            case = re.sub(r"_\d{4}$", "", file.name.removesuffix(file_ending))
            reason = f"{file.name} is a link to {os.readlink(file)}, which is not there; mount it or mend the link"
            away.setdefault(case, reason)
    return away


def read_scan(
    files: Sequence[Path], *, reader: BaseReaderWriter, channels: Sequence[str], file_ending: str
) -> tuple[NDArray[np.float32], dict]:
    """Read a scan once with nnU-Net's reader and check all that can be wrong with it.

    Args:
        files: one for each channel, as `find_scans` returns them.
        reader: nnU-Net's, of the dataset's plans.
        channels: names of the dataset's channels.
        file_ending: of the dataset.

    Returns:
        The image [C, Z, Y, X] and nnU-Net's properties of its first channel.

    Raises:
        BadScanError: naming what is wrong: channels missing or too many, unreadable or truncated, headers that say
            two things, channels on different grids, NaN or infinite voxels, a channel that is the same everywhere.
    """
    _check_channel_numbers(files, channels, file_ending)
    read = [read_file(file, reader) for file in files]
    for file in files:
        if problem := header_problem(file):
            raise BadScanError(
                f"{file.name} cannot be trusted: {problem}; correct its header, or write it again from its source"
            )
    found = sum(len(image) for image, _ in read)
    if found != len(channels):
        missing = ", ".join(f"{i} ({name})" for i, name in enumerate(channels) if i >= found)
        raise BadScanError(
            f"{found} channel(s) instead of {len(channels)}" + (f": no file for channel {missing}" if missing else "")
        )
    check_grids(read, files)
    image = np.vstack([part for part, _ in read], dtype=np.float32)
    for channel, name in zip(image, channels, strict=True):
        if channel.min() == channel.max():
            raise BadScanError(f"{name} is {channel.min():g} everywhere")
    return image, read[0][1]


def _check_channel_numbers(files: Sequence[Path], channels: Sequence[str], file_ending: str) -> None:
    numbers = [int(file.name[: -len(file_ending)][-4:]) for file in files]
    if len(numbers) > len(channels) or numbers != list(range(len(numbers))):
        raise BadScanError(
            f"channel numbers {', '.join(f'{n:04d}' for n in numbers)} instead of "
            + ", ".join(f"{n:04d} ({name})" for n, name in enumerate(channels))
        )


def read_file(file: Path, reader: BaseReaderWriter) -> tuple[NDArray, dict]:
    """One file, image [C, Z, Y, X] and nnU-Net's properties.

    Raises:
        BadScanError: where it is truncated, damaged or unreadable, or holds NaN or infinite voxels.
    """
    if is_truncated_nifti(file):
        raise BadScanError(f"{file.name} is truncated; copy it again")
    if problem := text_header_problem(file, unpack=True):
        raise BadScanError(f"{file.name} cannot be read: {problem}; copy it again, or write it from its source")
    try:
        image, properties = reader.read_images((str(file),))
    except MemoryError:
        raise
    except Exception as error:  # readers raise whatever their library raises
        lines = str(error).strip().splitlines() or [type(error).__name__]
        raise BadScanError(f"{file.name} cannot be read: {lines[-1].strip()[:200]}") from error
    if not image.size:
        raise BadScanError(f"{file.name} has no voxels")
    non_finite = int(image.size - np.count_nonzero(np.isfinite(image))) or count_non_finite_in_nifti(file)
    if non_finite:
        raise BadScanError(f"{non_finite} voxel(s) of {file.name} are NaN or infinite")
    return image, properties


def check_grids(read: Sequence[tuple[NDArray, dict]], files: Sequence[Path]) -> None:
    """Raise BadScanError unless all images lie on one grid.

    Args:
        read: image [C, Z, Y, X] and properties of each file, as nnU-Net's readers return them.
        files: their names.
    """
    grids = [_grid(image, properties) for image, properties in read]
    for (first, first_file), (second, second_file) in pairwise(zip(grids, files, strict=True)):
        differing = [what for what in first if not _agree(what, first, second)]
        if differing:
            details = "; ".join(f"{what} {_shown(first[what])} against {_shown(second[what])}" for what in differing)
            raise BadScanError(
                f"{first_file.name} and {second_file.name} lie on different grids: {details}; "
                "resample one onto the other"
            )


def _grid(image: NDArray, properties: dict) -> dict[str, NDArray]:
    """What nnU-Net's readers tell of a file's grid; some formats know no origin or direction."""
    grid = {"shape (z, y, x)": np.array(image.shape[1:]), "spacing (z, y, x)": np.array(properties["spacing"], float)}
    geometry = properties.get("sitk_stuff", {})
    grid |= {what: np.array(geometry[what], float) for what in ("origin", "direction") if what in geometry}
    affines = properties.get("nibabel_stuff", {})
    affine = affines.get("reoriented_affine", affines.get("original_affine"))
    if affine is not None:
        columns = np.linalg.norm(affine[:3, :3], axis=0)
        grid |= {"origin": affine[:3, 3], "direction": (affine[:3, :3] / columns).ravel()}
    return grid


def _agree(what: str, first: dict[str, NDArray], second: dict[str, NDArray]) -> bool:
    quantity = what.split()[0]
    if quantity == "shape" or first[what].shape != second[what].shape:  # as a picture in colours has it
        return bool(np.array_equal(first[what], second[what]))
    tolerance = _TOLERANCES[quantity]
    if quantity == "spacing":
        return bool(np.allclose(first[what], second[what], rtol=tolerance, atol=0))
    if quantity == "origin":
        tolerance *= float(first["spacing (z, y, x)"].min())
    return bool(np.allclose(first[what], second[what], rtol=0, atol=tolerance))


def _shown(values: NDArray) -> str:
    return "(" + ", ".join(f"{value:.6g}" for value in values) + ")"
