"""What each DICOM slice must say before its voxels mean anything: ITK makes up what is missing or is no number."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from nnunetv2_muduo.errors import UserError

POSITION, ORIENTATION, PIXEL_SPACING = "0020|0032", "0020|0037", "0028|0030"
SLOPE, INTERCEPT, PHOTOMETRIC, MODALITY = "0028|1053", "0028|1052", "0028|0004", "0008|0060"
ACQUISITION, SIGNED, STORED = "0020|0012", "0028|0103", "0028|0101"
TAGS = (POSITION, ORIENTATION, PIXEL_SPACING, SLOPE, INTERCEPT, PHOTOMETRIC, ACQUISITION, SIGNED, STORED)
_SERIES, _INSTANCE = "0020|000e", "0008|0018"

_NAMES = {
    POSITION: "ImagePositionPatient",
    ORIENTATION: "ImageOrientationPatient",
    PIXEL_SPACING: "PixelSpacing",
    SLOPE: "RescaleSlope",
    INTERCEPT: "RescaleIntercept",
}
_LENGTHS = {POSITION: 3, ORIENTATION: 6, PIXEL_SPACING: 2, SLOPE: 1, INTERCEPT: 1}
_SCALED = ("CT", "PT")  # modalities whose values mean nothing without their factor
_ROUNDED = 1e-3  # relative
_HEADER_IN_BYTES = 1 << 16
_LIST_OF_FILES = b"1.2.840.10008.1.3.10"  # class of a DICOMDIR, which names all series that it lists


def check_tags(tags: Mapping[str, Sequence[str]], *, modality: str, spacing: Sequence[float], folder: Path) -> None:
    """Refuse slices whose geometry or values ITK would make up.

    Args:
        tags: what each slice says about each of `TAGS`; "" where it says nothing.
        modality: of the series.
        spacing: of the image that ITK made, (x, y, z) in mm.
        folder: of the series, for messages.

    Raises:
        UserError: for tags that are missing or hold something else than their numbers, pixel spacings that differ, or
            are not those of the image, a factor of 0, and images that are inverted, coloured or may be.
    """
    for tag, length in _LENGTHS.items():
        optional = tag in (SLOPE, INTERCEPT) and modality not in _SCALED and not any(tags[tag])
        if not optional and (wrong := sum(numbers_in(text, length) is None for text in tags[tag])):
            raise UserError(
                f"{wrong} of the {len(tags[tag])} DICOM slices of {folder} lack {_NAMES[tag]} or hold something else "
                "in it; export the series again from its source."
            )
    if any(numbers_in(text, 1) == (0.0,) for text in tags[SLOPE]):
        raise UserError(f"DICOM slices of {folder} have a RescaleSlope of 0; export the series again from its source.")
    for text in set(tags[PIXEL_SPACING]):
        down, across = numbers_in(text, 2) or (0.0, 0.0)
        if not np.allclose((across, down), spacing[:2], rtol=_ROUNDED):
            raise UserError(
                f"DICOM slices of {folder} have a PixelSpacing of {down:g} x {across:g} mm, and are read with "
                f"{spacing[1]:g} x {spacing[0]:g}: slices differ, or their SOPClassUID is none of a scan; export the "
                "series again, or make a .nii.gz file of it, as dcm2niix does."
            )
    if other := sorted(set(tags[PHOTOMETRIC]) - {"MONOCHROME2"}):
        raise UserError(
            f"DICOM slices of {folder} have a PhotometricInterpretation of {' and '.join(map(repr, other))}, whose "
            "values are inverted, colours or unknown; export the series again as MONOCHROME2."
        )


def numbers_in(text: str, length: int) -> tuple[float, ...] | None:
    """The finite numbers of a DICOM tag that must hold so many; None where it holds anything else."""
    try:
        numbers = tuple(map(float, text.split("\\")))
    except ValueError:
        return None
    return numbers if len(numbers) == length and all(map(math.isfinite, numbers)) else None


def need_floats(tags: Mapping[str, Sequence[str]]) -> bool:
    """Whether whole numbers of the first slice's type, which ITK takes, need not hold all values; of checked tags."""
    differ = any(len(set(tags[tag])) > 1 for tag in (SLOPE, INTERCEPT, SIGNED, STORED))
    return differ or any(float(tags[tag][0] or 0) % 1 for tag in (SLOPE, INTERCEPT))


def dicom_tag(file: str, tag: str) -> str:
    """What a file says about a tag such as "0008|0060", without blanks around; "" where it says nothing."""
    reader = sitk.ImageFileReader()
    reader.SetFileName(file)
    reader.ReadImageInformation()
    return reader.GetMetaData(tag).strip() if reader.HasMetaDataKey(tag) else ""


def check_none_is_left_out(read: Sequence[str]) -> None:
    """Refuse a series of which there are slices that GDCM does not read: a scan would end early, without a word.

    Args:
        read: the files of its slices that are read, in one folder.

    Raises:
        UserError: naming a file of the folder that is damaged, or one in a sub-folder that is no copy of a slice.
    """
    folder, known = Path(read[0]).parent, {Path(file) for file in read}
    series, modality = (dicom_tag(read[0], tag) for tag in (_SERIES, MODALITY))
    others = [file for file in sorted(folder.rglob("*")) if file not in known and _is_of(file, series, modality)]
    slices = {dicom_tag(file, _INSTANCE) for file in read} if others else set()
    for file in others:
        try:
            said, instance = (dicom_tag(str(file), tag) for tag in (_SERIES, _INSTANCE))
        except RuntimeError as error:
            raise UserError(f"{file} belongs to the DICOM series but cannot be read; copy the series again.") from error
        if said == series and instance not in slices:
            raise UserError(
                f"{file} belongs to the DICOM series of {folder}, too, but lies in a sub-folder; put all slices of the "
                "volume into one folder, and what is none of it elsewhere."
            )


def _is_of(file: Path, series: str, modality: str) -> bool:
    """Whether a file begins as DICOM of this modality and names this series, be it as one that it refers to."""
    if not file.is_file():
        return False
    with file.open("rb") as stream:
        begin = stream.read(_HEADER_IN_BYTES)
    if begin[128:132] != b"DICM" or _LIST_OF_FILES in begin:
        return False
    place = begin.find(b"\x08\x00\x60\x00")  # the tag Modality, before its kind or length, in 4 bytes
    said = begin[place + 8 : place + 8 + len(modality)]
    return place >= 0 and said == modality.encode() and series.encode() in begin
