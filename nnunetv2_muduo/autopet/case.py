"""One case of AutoPET from its files to its place in the dataset, written whole."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import SimpleITK as sitk

from nnunetv2_muduo.autopet.headers import ENDING
from nnunetv2_muduo.autopet.reading import read_once
from nnunetv2_muduo.autopet.target import LESION, with_lesions_on_top
from nnunetv2_muduo.case_installing import Outcome, check_place_is_free, install_case, outcome_of
from nnunetv2_muduo.datasets.label_values import checked_label, label_values
from nnunetv2_muduo.datasets.plausibility import intensity_warnings
from nnunetv2_muduo.datasets.scan_grid import ScanGrid
from nnunetv2_muduo.datasets.scan_io import grid_differences, image_like, write_image
from nnunetv2_muduo.files import link_or_copy, private_folder, sha256_of
from nnunetv2_muduo.harmonising.air import told_of_filling
from nnunetv2_muduo.harmonising.case import read_checked
from nnunetv2_muduo.harmonising.images import Options, harmonise_images, label_onto

MODALITIES = ("CT", "PET")  # channels 0 and 1


@dataclass(frozen=True)
class ConversionJob:
    """What a worker is told.

    Attributes:
        name: of the case.
        dataset: folder.
        record: JSON file to write when the case is in place.
        images: folder for the images, such as imagesTr.
        labels: folder for the label map; None for an unlabelled case.
        sources: "CT", "PET" and, for a labelled case, "organs", "lesions" or both -> file.
        label_of: name -> value in the dataset.
        are_plain: the headers call for no change.
        copy: copy files that need no change instead of linking them.
        every_voxel: look at all of each image.
        made_from: goes into the record; tells a restart whether the case would become the same again.
    """

    name: str
    dataset: Path
    record: Path
    images: str
    labels: str | None
    sources: Mapping[str, Path]
    label_of: Mapping[str, int]
    are_plain: bool
    copy: bool
    every_voxel: bool
    made_from: Mapping[str, Any]

    @property
    def files(self) -> tuple[str, ...]:
        """CT, PET and, for a labelled case, its label map; below the dataset's folder."""
        images = tuple(f"{self.images}/{self.name}_{channel:04d}{ENDING}" for channel in range(len(MODALITIES)))
        return images if self.labels is None else (*images, f"{self.labels}/{self.name}{ENDING}")


@dataclass
class _Made:
    """What is told in the record."""

    sha256: dict[str, str] = field(default_factory=dict)
    how: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    values: list[int] = field(default_factory=list)


def convert_case(job: ConversionJob) -> Outcome:
    """Hash, check, link, copy or write, see `outcome_of`."""
    return outcome_of(job.name, lambda: _convert(job), dataset=job.dataset)


def _convert(job: ConversionJob) -> tuple[str, ...]:
    remedy = "take it out of there, or choose another dataset"
    check_place_is_free(job.dataset, job.files, record=job.record, remedy=remedy)
    with private_folder(job.dataset) as partial:
        for name in job.files:
            (partial / name).parent.mkdir(exist_ok=True)
        made = (_as_they_are if job.are_plain else _onto_one_grid)(job, partial)
        content = {
            "files": list(job.files),
            "how": made.how,
            "sources": {
                role: {"path": str(path.resolve()), "bytes": path.stat().st_size, "sha256": made.sha256[role]}
                for role, path in job.sources.items()
            },
            "label_values": made.values,
            "notes": made.notes,
            "every_voxel": job.every_voxel or not job.are_plain,
            "made_from": dict(job.made_from),
        }
        install_case(job.dataset, job.files, partial=partial, record=job.record, content=content)
    return tuple(made.notes)


def _as_they_are(job: ConversionJob, partial: Path) -> _Made:
    made = _Made()
    for modality, name in zip(MODALITIES, job.files, strict=False):
        source = job.sources[modality]
        copy_to = partial / name if job.copy else None
        read = read_once(source, modality=modality, copy_to=copy_to, every_voxel=job.every_voxel)
        made.sha256[modality] = read.sha256
        made.notes += read.warnings
        made.how.append("copied" if job.copy else link_or_copy(source, partial / name))
    maps = {role: read_checked(path, role) for role, path in job.sources.items() if role not in MODALITIES}
    _put_labels(job, maps, made, partial=partial, change=None)
    return made


def _onto_one_grid(job: ConversionJob, partial: Path) -> _Made:
    """As `muduo harmonise` does it: the CT onto the PET linearly, label maps by the nearest voxel."""
    made = _Made()
    read = {role: read_checked(path, role) for role, path in job.sources.items()}
    made.sha256 = {role: sha256_of(job.sources[role]) for role in MODALITIES}
    result = harmonise_images(read["CT"], read["PET"], None, Options(grid="pet"))
    made.notes += result.notes
    if told := told_of_filling(float(sitk.GetArrayViewFromImage(result.ct).min())):
        made.notes.append(told)
    for modality, image, name in zip(MODALITIES, (result.ct, result.pet), job.files, strict=False):
        made.notes += intensity_warnings(sitk.GetArrayViewFromImage(image), modality=modality)
        if image is read[modality]:
            made.how.append(link_or_copy(job.sources[modality], partial / name, copy=job.copy))
        else:
            write_image(image, partial / name)
            made.how.append(_moved_or_not(read[modality], read["PET"]))
    maps = {
        role: label_onto(image, ScanGrid.of(result.pet), result.pet, name="PET", notes=made.notes)
        for role, image in read.items()
        if role not in MODALITIES
    }
    changed = [role for role, image in maps.items() if image is not read[role]]
    change = _moved_or_not(read[changed[0]], read["PET"]) if changed else None
    _put_labels(job, maps, made, partial=partial, change=change)
    return made


def _put_labels(
    job: ConversionJob, maps: Mapping[str, sitk.Image], made: _Made, *, partial: Path, change: str | None
) -> None:
    """The label map of a labelled case: linked where it is good as it is, else written."""
    if job.labels is None:
        return
    made.sha256 |= {role: sha256_of(job.sources[role]) for role in maps}
    label, values = _label(job, maps)
    made.values = [int(value) for value in values]
    place = partial / job.files[-1]
    if len(maps) == 1 and label is next(iter(maps.values())) and change is None:
        made.how.append(link_or_copy(next(job.sources[role] for role in maps), place, copy=job.copy))
    else:
        write_image(label, place)
        made.how.append("merged" if len(maps) > 1 else change or "converted")
    if "organs" in maps and not {*made.values} - {0, job.label_of.get(LESION, 0)}:
        made.notes.append("The organ map is empty.")


def _label(job: ConversionJob, maps: Mapping[str, sitk.Image]) -> tuple[sitk.Image, Sequence[float]]:
    """The label map to be, the given object where it is good as it is, and its values, which are checked."""
    lesion = job.label_of.get(LESION)
    organs = frozenset(job.label_of.values()) - ({lesion} if "lesions" in maps else set())
    allowed = {"organs": organs, "lesions": frozenset({0, 1})}
    remedy = {
        "organs": "name all organs with --organ-names",
        "lesions": "AutoPET marks lesions with 1; give organ maps with --organs",
    }
    values = {role: label_values(sitk.GetArrayViewFromImage(image)) for role, image in maps.items()}
    checked = {
        role: checked_label(image, allowed[role], remedy=remedy[role], values=values[role])
        for role, image in maps.items()
    }
    if len(checked) == 1 or lesion is None:
        role = next(iter(checked))
        return checked[role], values[role]
    organ_map, lesions = (sitk.GetArrayViewFromImage(checked[role]) for role in ("organs", "lesions"))
    merged = with_lesions_on_top(organ_map, lesions, value=lesion)
    return image_like(merged, checked["organs"]), label_values(merged)


def _moved_or_not(image: sitk.Image, reference: sitk.Image) -> str:
    return "resampled" if grid_differences(ScanGrid.of(image), ScanGrid.of(reference)) else "header corrected"
