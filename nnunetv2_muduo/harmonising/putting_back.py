"""Masks predicted on harmonised scans, put back on the grids of the scans as they were."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import SimpleITK as sitk
from tqdm import tqdm

from nnunetv2_muduo.datasets.scan_grid import ScanGrid, onto_grid, snapped
from nnunetv2_muduo.datasets.scan_io import FORMATS, grid_differences, read_intensities, write_image
from nnunetv2_muduo.errors import UserError
from nnunetv2_muduo.files import clear_away_left_behind
from nnunetv2_muduo.harmonising.record import CaseRecord, read_records


def put_back(mask: sitk.Image, record: CaseRecord) -> sitk.Image:
    """A mask on a harmonised scan's grid -> on the grid that the scan had; background outside of the box.

    Where only the body's box was cut out, every voxel keeps its value; where the spacing was changed as well, each
    voxel takes the nearest one's.

    Raises:
        UserError: if the mask does not lie on the harmonised scan's grid.
    """
    if differing := grid_differences(ScanGrid.of(mask), record.grid):
        raise UserError(f"it does not lie on the harmonised scan's grid ({'; '.join(differing)})")
    if record.box is not None:
        whole = np.zeros(tuple(reversed(record.full_grid.size)), sitk.GetArrayViewFromImage(mask).dtype)
        part = tuple(slice(start, start + size) for start, size in zip(record.box.start, record.box.size, strict=True))
        whole[part[::-1]] = sitk.GetArrayViewFromImage(mask)
        mask = sitk.GetImageFromArray(whole)
    if record.full_grid == record.own_grid:
        return snapped(mask, record.own_grid)
    # a new spacing ends up to half of its voxels before the scan does, whose last slices would else be background
    return onto_grid(snapped(mask, record.full_grid), record.own_grid, nearest=True, extend=True)


def put_all_back(
    masks: Path, record_file: Path, output: Path, *, log: Callable[[str], object] = tqdm.write
) -> tuple[Path, ...]:
    """Put back all masks of a folder that are called like a case of the record; returns what was written.

    Args:
        masks: folder such as nnUNetv2_predict writes; or one file.
        record_file: harmonised.json of the dataset.
        output: folder; files keep their names.
        log: takes a line a mask that is left out.

    Raises:
        UserError: if there is nothing to put back, or the output is the masks' own folder.
    """
    records = read_records(record_file)
    if not masks.exists():
        raise UserError(f"There is no file or folder {masks}.")
    files = sorted(masks.iterdir()) if masks.is_dir() else [masks]
    if output.resolve() == (masks if masks.is_dir() else masks.parent).resolve():
        raise UserError(f"{output} holds the masks themselves; name another folder with -o.")
    known = {file: record for file in files if (record := records.get(_case(file))) is not None}
    if not known:
        raise UserError(f"No file in {masks} is called like one of the {len(records)} cases of {record_file}.")
    if strangers := [file.name for file in files if _case(file) and file not in known]:
        log(f"{len(strangers)} file(s) are called like no case of {record_file.name}: {', '.join(strangers)}.")
    clear_away_left_behind(output)
    written = []
    for file, record in tqdm(known.items(), desc="putting back", unit="mask"):
        try:
            write_image(put_back(read_intensities(file), record), output / file.name)
        except UserError as error:
            log(f"{file.name}: SKIPPED, {str(error).rstrip('.')}.")
        else:
            written.append(output / file.name)
    if not written:
        raise UserError(f"None of the {len(known)} masks could be put back; see why above.")
    return tuple(written)


def _case(file: Path) -> str:
    """The case a file is named after; for no image an empty name."""
    ending = next((ending for ending in FORMATS if file.name.endswith(ending)), None)
    return "" if ending is None else file.name.removesuffix(ending)
