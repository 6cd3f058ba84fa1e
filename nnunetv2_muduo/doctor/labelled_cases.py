"""Which labelled case is odd? Each is read whole: its intensities, and its organs beside those of the others."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import SimpleITK as sitk
from tqdm import tqdm

from nnunetv2_muduo.cases.training_files import training_files
from nnunetv2_muduo.datasets.lesion_names import is_lesion
from nnunetv2_muduo.datasets.plausibility import intensity_warnings
from nnunetv2_muduo.datasets.scan_io import FORMATS, read_intensities, read_label_map
from nnunetv2_muduo.doctor.check import Check, ok, warn
from nnunetv2_muduo.doctor.organ_places import OrganPlace, odd_cases, organ_places
from nnunetv2_muduo.errors import UserError, listed_reasons
from nnunetv2_muduo.nnunet_files import single_label

_NAME = "labelled cases"


def check_labelled_cases(raw_folder: Path, dataset_json: Mapping, *, channels: tuple[int, int]) -> list[Check]:
    """Labelled cases whose CT or PET looks like something else, or whose organs are unlike those of the other cases.

    Args:
        raw_folder: of the dataset; no check where its files are of no format that can be read here.
        dataset_json: the content of its dataset.json.
        channels: numbers of the CT and of the PET.
    """
    values = {name: single_label(value) for name, value in dataset_json["labels"].items()}
    organs = {name: value for name, value in values.items() if value and name != "ignore"}
    files = training_files(raw_folder, dataset_json)
    if dataset_json["file_ending"] not in FORMATS or not files:
        return []
    odd: dict[str, list[str]] = {}
    places: dict[str, dict[str, OrganPlace]] = {}
    for case, its in tqdm(files.items(), desc="looking at labelled cases", unit="case"):
        try:
            odd[case] = _intensity_problems(its.images, channels)
            places[case] = organ_places(read_label_map(its.label), organs)
        except UserError as error:
            odd[case] = [*odd.get(case, []), str(error).rstrip(".")]
    for case, reasons in odd_cases(places, organs=[name for name in organs if not is_lesion(name)]).items():
        odd[case] += reasons
    told = {case: "; ".join(reasons) for case, reasons in odd.items() if reasons}
    if not told:
        return [ok(_NAME, f"{len(files)} looked at, none is unlike the others")]
    found = f"{len(told)} of {len(files)} look odd: {listed_reasons(told)}"
    return [warn(_NAME, found, "open these in a viewer with their labels; correct them, or take them out of the split")]


def _intensity_problems(images: Sequence[Path], channels: tuple[int, int]) -> list[str]:
    problems = []
    for modality, channel in zip(("CT", "PET"), channels, strict=True):
        if channel >= len(images):
            raise UserError(f"there is no file of channel {channel:04d}")
        array = sitk.GetArrayFromImage(read_intensities(images[channel]))
        problems += [told.rstrip(".") for told in intensity_warnings(array, modality=modality)]
    return problems
