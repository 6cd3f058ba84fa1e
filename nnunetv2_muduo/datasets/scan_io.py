"""Scans in and masks out, in any format: nothing about the patient's space may get lost."""

import errno
import os
import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray

from nnunetv2_muduo.datasets.nifti_checks import count_non_finite_in_nifti, is_truncated_nifti, is_whole_image
from nnunetv2_muduo.datasets.scan_grid import ScanGrid
from nnunetv2_muduo.datasets.scan_header import place_problem, text_header_problem
from nnunetv2_muduo.datasets.slice_pixels import BITS, check_pixels, check_unread
from nnunetv2_muduo.datasets.slice_places import check_acquisitions, check_slices
from nnunetv2_muduo.datasets.slice_tags import (
    ACQUISITION,
    MODALITY,
    ORIENTATION,
    POSITION,
    TAGS,
    check_none_is_left_out,
    check_tags,
    dicom_tag,
    need_floats,
)
from nnunetv2_muduo.datasets.tiff_spacing import TIFF, tiff_spacing
from nnunetv2_muduo.errors import UserError
from nnunetv2_muduo.files import replacing

FORMATS = (".nii.gz", ".nii", ".mha", ".mhd", ".nrrd")
_OF_TWO_FILES = (".mhd", ".nhdr", ".hdr", ".img")
_OFF_IN_VOXELS = 0.05  # grids written by different programs differ by rounding; what exceeds this is another grid
_TURNED, _SCALED = 1e-3, 1e-3
SKEWED = (  # why a file cannot be read that is whole, see `is_skewed`
    "its header is skewed, with axes that are not at right angles; resample it onto orthonormal ones, as "
    "nibabel.processing.resample_to_output does (with order=0 for label maps)"
)
_DESCRIPTION, _FRAMES = "0008|103e", "0028|0008"  # DICOM tags
_DICOM = "GDCMImageIO"  # ITK's name of its reader


def read_image(path: Path, *, series: str | None = None) -> sitk.Image:
    """A 3d image of one channel: NIfTI, MHA, NRRD or whatever else SimpleITK reads, or a folder of DICOM files.

    Args:
        path: a file, or a folder with one DICOM series.
        series: UID of the DICOM series, where the folder holds several.

    Raises:
        UserError: if there is no such file, it cannot be read, or it is no volume of one channel.
    """
    if not path.exists():
        raise UserError(f"There is no file or folder {path}.")
    if path.name == "DICOMDIR" and path.is_file():
        raise UserError(f"{path} lists DICOM files and is no image; give the folder of one series.")
    if is_truncated_nifti(path):  # ITK reads the missing part as zeros, without a word
        raise UserError(f"{path} is truncated; copy it again.")
    if problem := text_header_problem(path, unpack=True):
        raise UserError(f"{path} cannot be read as an image: {problem}; copy it again, or write it from its source.")
    try:
        image = _read_series(dicom_files(path, series)) if path.is_dir() else _read_file(path)
    except RuntimeError as error:
        reason = f"{SKEWED}." if is_skewed(error) else f"{_reason(error)}; is it complete?"
        raise UserError(f"{path} cannot be read as an image: {reason}") from error
    channels = image.GetNumberOfComponentsPerPixel()
    if image.GetDimension() == 4 and image.GetSize()[3] == 1:
        image = image[..., 0]
    if image.GetDimension() != 3 or channels != 1 or min(image.GetSize()) < 2 or _is_complex(image):
        size = " x ".join(map(str, image.GetSize()))
        what = "complex numbers" if _is_complex(image) else f"{channels}"
        raise UserError(
            f"{path} is no 3d image of one channel but {size} with {what}; give one scan, of DICOM the folder of all "
            "its slices."
        )
    if path.suffix.lower() in TIFF:
        image.SetSpacing(tiff_spacing(path))
    if problem := place_problem(path, ScanGrid.of(image)):
        raise UserError(f"{path} cannot be trusted: {problem}; correct its header, or write it again from its source.")
    return image


def read_intensities(path: Path, *, series: str | None = None) -> sitk.Image:
    """As `read_image`, of a scan whose every voxel is a number.

    Raises:
        UserError: as `read_image`, and for voxels that are NaN or infinite, also in NIfTI, where ITK reads them as 0.
    """
    image = read_image(path, series=series)
    if unreal := _count_non_finite(image, path):
        raise UserError(f"{unreal} voxel(s) of {path} are NaN or infinite; replace them, or write the scan again.")
    return image


def read_label_map(path: Path) -> sitk.Image:
    """As `read_image`, of a map whose every voxel is a whole number, whatever type it is stored as.

    Raises:
        UserError: as `read_image`, and for voxels that are NaN, infinite or fractions.
    """
    image = read_image(path)
    if unreal := _count_non_finite(image, path):
        raise UserError(
            f"{unreal} voxel(s) of the label map {path} are NaN or infinite, which nnU-Net takes for background "
            "without a word; replace them by labels, and write it again as whole numbers."
        )
    values = sitk.GetArrayViewFromImage(image)
    if values.dtype.kind == "f" and (fractions := values[values != np.rint(values)]).size:
        raise UserError(
            f"The label map {path} holds values that are no whole numbers, such as {fractions[0]}; give label maps, "
            "not probabilities."
        )
    return image


def _count_non_finite(image: sitk.Image, path: Path) -> int:
    values = sitk.GetArrayViewFromImage(image)
    unreal = int(values.size - np.count_nonzero(np.isfinite(values))) if values.dtype.kind == "f" else 0
    return unreal or count_non_finite_in_nifti(path)


def _is_complex(image: sitk.Image) -> bool:
    return image.GetPixelID() in (sitk.sitkComplexFloat32, sitk.sitkComplexFloat64)


def is_skewed(error: RuntimeError) -> bool:
    """Whether SimpleITK refused a NIfTI file for axes that are not at right angles, which no new copy would change."""
    return "only supports orthonormal direction cosines" in str(error)


def image_like(array: NDArray, image: sitk.Image) -> sitk.Image:
    """An array [Z, Y, X] as an image on exactly the grid of another one."""
    made = sitk.GetImageFromArray(np.ascontiguousarray(array))
    made.CopyInformation(image)
    return made


def write_image(image: sitk.Image, path: Path) -> None:
    """Write an image, compressed where the format can, under a temporary name that is then changed.

    Raises:
        UserError: for a name without an ending that says the format.
        OSError: where there is no room for the file.
    """
    check_ending(path)
    write_whole(image, path)


def write_whole(image: sitk.Image, path: Path) -> None:
    """As `write_image`, for any ending that SimpleITK knows.

    Raises:
        UserError: for formats of two files, which cannot come to their places at once.
        OSError: where there is no room for the file; ITK itself leaves it truncated or empty then, without an error.
    """
    check_is_one_file(path.name)
    with replacing(path) as partial:
        sitk.WriteImage(image, str(partial), useCompression=True)
        if not _is_written(image, partial):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))


def _is_written(image: sitk.Image, file: Path) -> bool:
    """Whether all of an image is in a file; of other formats than NIfTI only reading tells."""
    if file.name.endswith((".nii", ".nii.gz")):
        return is_whole_image(file)
    try:
        return sitk.Hash(sitk.ReadImage(str(file))) == sitk.Hash(image)
    except RuntimeError:
        return False


def check_is_one_file(name: str) -> None:
    """Raise UserError for the name, or the ending, of a file whose voxels would go into another one beside it."""
    if name.endswith(_OF_TWO_FILES):
        raise UserError(f"{name} would be two files, a header and its voxels; convert the dataset to .nii.gz.")


def check_ending(path: Path) -> None:
    """Raise UserError for a file name that does not say in which format to write."""
    if not path.name.endswith(FORMATS) or path.name.endswith(".mhd"):
        endings = ", ".join(ending for ending in FORMATS if ending != ".mhd")
        raise UserError(f"{path.name} does not say its format; let it end in one of {endings}.")


def check_same_grid(first: sitk.Image, second: sitk.Image, *, names: tuple[object, object]) -> None:
    """Compare size, spacing, origin and direction of two images, up to the rounding of different programs.

    Raises:
        UserError: naming both, what differs and how.
    """
    if differing := grid_differences(ScanGrid.of(first), ScanGrid.of(second)):
        raise UserError(
            f"{names[0]} and {names[1]} lie on different grids ({'; '.join(differing)}); resample one onto the other."
        )


def grid_differences(first: ScanGrid, second: ScanGrid) -> list[str]:
    """What differs between two grids beyond the rounding of different programs, and how.

    Returns:
        "size (x, y, z) against (x, y, z)" and the like for size, spacing, origin and direction; empty for one grid.
    """
    if len(first.size) != len(second.size):
        return [f"size {_shown(first.size)} against {_shown(second.size)}"]
    agree = {
        "size": first.size == second.size,
        "spacing": np.allclose(first.spacing, second.spacing, rtol=_SCALED),
        "origin": np.abs(np.subtract(first.origin, second.origin)).max() <= _OFF_IN_VOXELS * min(second.spacing),
        "direction": np.allclose(first.direction, second.direction, rtol=0, atol=_TURNED),
    }
    return [
        f"{what} {_shown(getattr(first, what))} against {_shown(getattr(second, what))}"
        for what, same in agree.items()
        if not same
    ]


def _read_file(path: Path) -> sitk.Image:
    image = sitk.ReadImage(str(path))
    if image.HasMetaDataKey(_FRAMES) and sitk.ImageFileReader.GetImageIOFromFileName(str(path)) == _DICOM:
        _refuse_frames([image.GetMetaData(_FRAMES)], path)
    return image


def _refuse_frames(numbers: Sequence[str], path: Path) -> None:
    """Raise UserError for several frames in a file: ITK gives all of them the first one's factor and distance.

    Args:
        numbers: what the tag NumberOfFrames says in each file; "" where it says nothing.
        path: of the file or folder, for messages.
    """
    if several := [number for number in numbers if number.strip() not in ("", "0", "1")]:
        raise UserError(
            f"{path} holds DICOM with {several[0].strip()} frames in a file, each of which may have a factor and a "
            "place of its own; make a volume of them, as dcm2niix does, and give that."
        )


def _read_series(files: list[str]) -> sitk.Image:
    """All slices; each has its own factor, and SimpleITK would round to the first one's type."""
    folder, modality = Path(files[0]).parent, dicom_tag(files[0], MODALITY)
    check_none_is_left_out(files)
    reader = sitk.ImageSeriesReader()
    reader.SetFileNames(files)
    if modality != "CT":
        reader.SetOutputPixelType(sitk.sitkFloat32)
    reader.MetaDataDictionaryArrayUpdateOn()  # no file is opened a second time for its tags
    try:
        image = reader.Execute()
    except RuntimeError:
        check_unread(files)
        raise
    _refuse_frames(_tag_of_slices(reader, _FRAMES, len(files)), folder)
    check_pixels(files, size=image.GetSize()[:2], bits=_tag_of_slices(reader, BITS, len(files)))
    if len(files) > 1:  # one slice is no volume, which is told elsewhere
        tags = {tag: _tag_of_slices(reader, tag, len(files)) for tag in TAGS}
        check_tags(tags, modality=modality, spacing=image.GetSpacing(), folder=folder)
        check_acquisitions(tags[ACQUISITION], files)
        check_slices(tags[POSITION], tags[ORIENTATION], files)
        if need_floats(tags) and modality == "CT":
            reader.SetOutputPixelType(sitk.sitkFloat32)
            image = reader.Execute()
    return image


def _tag_of_slices(reader: sitk.ImageSeriesReader, tag: str, number: int) -> list[str]:
    """What each of a number of slices says about a tag, of a reader that has read them; "" where it says nothing."""
    return [reader.GetMetaData(at, tag).strip() if reader.HasMetaDataKey(at, tag) else "" for at in range(number)]


def dicom_files(folder: Path, series: str | None = None) -> list[str]:
    """The files of a folder's DICOM series, in the order of its slices.

    Raises:
        UserError: if there is none, or several and none is chosen.
    """
    found = sitk.ImageSeriesReader.GetGDCMSeriesIDs(str(folder))
    if not found:
        raise UserError(
            f"The folder {folder} holds no DICOM series, and its sub-folders are not searched; give a file, or the "
            "folder of one series."
        )
    if series is None and len(found) > 1:
        raise UserError(
            f"The folder {folder} holds {len(found)} DICOM series; choose one with --series: "
            f"{', '.join(_described(folder, uid) for uid in found)}."
        )
    if series is not None and series not in found:
        raise UserError(f"The folder {folder} holds no series {series}; it holds {', '.join(found)}.")
    return list(sitk.ImageSeriesReader.GetGDCMSeriesFileNames(str(folder), series or found[0]))


def _described(folder: Path, series: str) -> str:
    """The UID of a series, and what tells it from others to a person: such as "1.2.3 (PT, AC body, 299 files)"."""
    files = sitk.ImageSeriesReader.GetGDCMSeriesFileNames(str(folder), series)
    told = filter(None, (dicom_tag(files[0], tag) for tag in (MODALITY, _DESCRIPTION)))
    return f"{series} ({', '.join([*told, f'{len(files)} files'])})"


def _shown(values: tuple) -> str:
    return "(" + ", ".join(f"{value:g}" for value in values) + ")"


def _reason(error: RuntimeError) -> str:
    """The last line of what ITK says, without its own file names and addresses, and without a stale errno."""
    lines = [line for line in str(error).strip().splitlines() if not line.startswith("Reason: ")]
    return re.sub(r"^(sitk::ERROR|ITK ERROR: \w+\(0x[0-9a-f]+\)): ", "", lines[-1]).strip(" .")
