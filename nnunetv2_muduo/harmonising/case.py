"""One case from its source files to its place in the dataset, written whole."""

import zlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from nnunetv2_muduo.case_installing import Outcome, check_place_is_free, install_case, outcome_of
from nnunetv2_muduo.datasets.dicom_suv import UNITS, check_units, suv_factor_of_series
from nnunetv2_muduo.datasets.label_values import checked_label
from nnunetv2_muduo.datasets.nifti_checks import count_non_finite_in_nifti
from nnunetv2_muduo.datasets.plausibility import intensity_warnings, looks_like_activity
from nnunetv2_muduo.datasets.scan_header import open_header
from nnunetv2_muduo.datasets.scan_io import dicom_files, read_image, write_image
from nnunetv2_muduo.datasets.slice_tags import dicom_tag
from nnunetv2_muduo.datasets.suv import Injection, suv_factor
from nnunetv2_muduo.errors import UserError
from nnunetv2_muduo.files import link_or_copy, private_folder
from nnunetv2_muduo.harmonising.air import with_air_for_filling
from nnunetv2_muduo.harmonising.case_finding import FoundCase
from nnunetv2_muduo.harmonising.images import Options, harmonise_images
from nnunetv2_muduo.harmonising.record import CaseRecord, record_file

UNLABELLED, LABELLED, LABELS = "imagesUn", "imagesTr", "labelsTr"


@dataclass(frozen=True)
class CaseJob:
    """What a worker is told.

    Attributes:
        case: identifier.
        patient: see `CaseRecord`.
        found: the sources; without the label where labels are not wanted.
        dataset: folder.
        ending: of its files.
        label_values: that label maps may hold.
        options: what to do.
        made_from: goes into the record.
        injection: for the conversion of this PET from Bq/ml to SUV.
        with_table: whether the user gave such values for some cases.
    """

    case: str
    patient: str
    found: FoundCase
    dataset: Path
    ending: str
    label_values: frozenset[int]
    options: Options
    made_from: dict
    injection: Injection | None = None
    with_table: bool = False


def harmonise_case(job: CaseJob) -> Outcome:
    """Read, convert, resample, write, see `outcome_of`."""
    return outcome_of(job.case, lambda: _harmonise(job), dataset=job.dataset)


def case_files(case: str, ending: str, *, labelled: bool) -> tuple[str, ...]:
    """Names below the dataset's folder: CT, PET and, for a labelled case, its label map."""
    images = tuple(f"{LABELLED if labelled else UNLABELLED}/{case}_{channel:04d}{ending}" for channel in (0, 1))
    return (*images, f"{LABELS}/{case}{ending}") if labelled else images


def _harmonise(job: CaseJob) -> tuple[str, ...]:
    files = case_files(job.case, job.ending, labelled=job.found.label is not None)
    check_place_is_free(
        job.dataset,
        (*files, *case_files(job.case, job.ending, labelled=job.found.label is None)),
        record=record_file(job.dataset, job.case),
        remedy="name the centre with --centre",
    )
    read = {role: read_checked(path, role) for role, path in job.found.sources.items()}
    pet, factor = _to_suv(read["PET"], job)
    notes = [
        warning
        for modality, image in (("CT", read["CT"]), ("PET", pet))
        for warning in intensity_warnings(sitk.GetArrayViewFromImage(image), modality=modality)
    ]
    ct, filling = with_air_for_filling(read["CT"])
    label = checked_label(read["label"], job.label_values, remedy="see --labels") if "label" in read else None
    made = harmonise_images(ct, pet, label, job.options)
    told = (*notes, *([] if filling is None else [filling]), *made.notes)
    record = CaseRecord(job.patient, job.made_from, files, made.own_grid, made.full_grid, made.box, factor, told)
    with private_folder(job.dataset) as partial:
        _write(job, files, read, {"CT": made.ct, "PET": made.pet, "label": made.label}, folder=partial)
        install_case(
            job.dataset,
            files,
            partial=partial,
            record=record_file(job.dataset, job.case),
            content=record.to_dict(),
        )
    return told


def _write(
    job: CaseJob,
    files: Sequence[str],
    read: Mapping[str, sitk.Image],
    made: Mapping[str, sitk.Image | None],
    *,
    folder: Path,
) -> None:
    """Link what needs no change and write the rest, aside: nnU-Net takes whatever lies beside images for images."""
    for (role, source), name in zip(job.found.sources.items(), files, strict=True):
        image = made[role]
        if image is read[role] and source.name.endswith(job.ending) and _is_plain(source):
            link_or_copy(source, folder / name, copy=job.options.copy)
        elif image is not None:
            small = sitk.Cast(image, sitk.sitkFloat32) if image.GetPixelID() == sitk.sitkFloat64 else image
            write_image(small, folder / name)


def read_checked(path: Path, role: str) -> sitk.Image:
    """An image of a case, whole; `role` is "CT", "PET" or what a label map is called in messages.

    Raises:
        UserError: if it cannot be read, is damaged, not finite or, for CT and PET, the same everywhere.
    """
    if path.is_dir() and (number := len(sitk.ImageSeriesReader.GetGDCMSeriesIDs(str(path)))) > 1:
        raise UserError(f"the folder {path.name} of the {role} holds {number} DICOM series; keep one in a folder")
    image = read_image(path)
    if path.is_file() and (bad := _non_finite(path)):
        raise UserError(f"{bad} voxel(s) of the {role} {path.name} are NaN or infinite")
    values = sitk.GetArrayViewFromImage(image)
    if values.dtype.kind == "f" and not np.isfinite(values).all():
        raise UserError(f"{int((~np.isfinite(values)).sum())} voxel(s) of the {role} {path.name} are NaN or infinite")
    if role in ("CT", "PET") and values.min() == values.max():
        raise UserError(f"the {role} {path.name} is {values.min():g} everywhere")
    return image


def _non_finite(file: Path) -> int:
    try:
        return count_non_finite_in_nifti(file)
    except (OSError, EOFError, zlib.error) as error:
        raise UserError(f"{file.name} is damaged ({error}); copy it again") from error


def _to_suv(pet: sitk.Image, job: CaseJob) -> tuple[sitk.Image, float | None]:
    """The PET in SUV, and the factor if it was converted; the given object where nothing is to do."""
    reaches_activity = looks_like_activity(sitk.GetArrayViewFromImage(pet))
    if job.injection is not None:
        if job.found.pet.is_dir():
            check_units(dicom_tag(dicom_files(job.found.pet)[0], UNITS))
        if not reaches_activity:
            raise UserError("the PET has values to convert it from Bq/ml, but does not reach such values; is it SUV?")
        factor = suv_factor(job.injection)
    elif job.found.pet.is_dir():
        factor = suv_factor_of_series([Path(file) for file in dicom_files(job.found.pet)])
    elif job.with_table and reaches_activity:
        raise UserError("the PET looks like Bq/ml and the file of --suv-from does not name the case")
    else:
        return pet, None
    return sitk.Cast(pet, sitk.sitkFloat32) * factor, factor


def _is_plain(path: Path) -> bool:
    """Whether the file itself is a 3d image; one with a fourth axis of length 1 is read as such, but not by nnU-Net."""
    return open_header(path).GetDimension() == 3


def job_options(options: Options, injection: Injection | None, *, with_table: bool) -> dict:
    """What of a job its result depends on besides the sources."""
    if injection is not None:
        return {"options": asdict(options), "injection": asdict(injection)}
    # a table that does not name the case makes Bq/ml a mistake, see `_to_suv`, which without one may be meant
    return {"options": asdict(options), "injection": None} | ({"not_in_table": True} if with_table else {})
