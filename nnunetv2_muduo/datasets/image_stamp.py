"""Whether an image is still the same, told in no time; some images are more than one file."""

from glob import escape
from pathlib import Path

from nnunetv2_muduo.datasets.tiff_spacing import TIFF, spacing_file
from nnunetv2_muduo.files import file_stamp

_HEADERS = (".mhd", ".nhdr", ".hdr", ".img")  # of which the voxels, or the header, lie in a file called alike


def image_stamp(image: Path) -> list:
    """Name, size and time of change (`file_stamp`) of an image's file, then a list of these for each file beside it.

    Beside it lie the voxels of a header alone (CT.raw of CT.mhd) and the size of a TIFF's voxels.
    """
    return [*file_stamp(image), *map(file_stamp, _beside(image))]


def _beside(image: Path) -> list[Path]:
    if image.suffix.lower() in TIFF:
        spacing = spacing_file(image)
        return [] if spacing is None else [spacing]
    if image.suffix.lower() not in _HEADERS:
        return []
    return sorted(file for file in image.parent.glob(f"{escape(image.stem)}.*") if file.is_file() and file != image)
