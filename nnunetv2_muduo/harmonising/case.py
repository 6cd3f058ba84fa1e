"""One case from its source files to its place in the dataset, written whole."""

import os
import tempfile
import zlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from nnunetv2_muduo.datasets.dicom_suv import UNITS, check_units, suv_factor_of_series
from nnunetv2_muduo.datasets.nifti_checks import count_non_finite_in_nifti
from nnunetv2_muduo.datasets.plausibility import intensity_warnings, looks_like_activity
from nnunetv2_muduo.datasets.scan_io import dicom_files, dicom_tag, read_image, write_image
from nnunetv2_muduo.datasets.suv import Injection, suv_factor
from nnunetv2_muduo.errors import UserError
from nnunetv2_muduo.files import link_or_copy
from nnunetv2_muduo.harmonising.case_finding import FoundCase
from nnunetv2_muduo.harmonising.images import Options, harmonise_images
from nnunetv2_muduo.harmonising.record import CaseRecord, announce, announced_files, record_file, write_record

UNLABELLED, LABELLED, LABELS = "imagesUn", "imagesTr", "labelsTr"
PARTIAL_PREFIX = ".partial-"  # of folders with a case in the making


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


@dataclass(frozen=True)
class Outcome:
    """What became of a case: notes where it went well, the reason where it did not."""

    case: str
    labelled: bool
    notes: tuple[str, ...] = ()
    reason: str | None = None


def harmonise_case(job: CaseJob) -> Outcome:
    """Read, convert, resample, write; whatever is wrong with the case is its outcome's reason."""
    labelled = job.found.label is not None
    try:
        return Outcome(job.case, labelled, notes=_harmonise(job))
    except (UserError, OSError, RuntimeError) as error:  # SimpleITK raises RuntimeError when a disk is full
        lines = str(error).strip().splitlines() or [type(error).__name__]
        return Outcome(job.case, labelled, reason=lines[-1].removeprefix("sitk::ERROR: ").strip().rstrip("."))


def case_files(case: str, ending: str, *, labelled: bool) -> tuple[str, ...]:
    """Names below the dataset's folder: CT, PET and, for a labelled case, its label map."""
    images = tuple(f"{LABELLED if labelled else UNLABELLED}/{case}_{channel:04d}{ending}" for channel in (0, 1))
    return (*images, f"{LABELS}/{case}{ending}") if labelled else images


def _harmonise(job: CaseJob) -> tuple[str, ...]:
    files = case_files(job.case, job.ending, labelled=job.found.label is not None)
    _check_place_is_free(job, files)
    read = {role: _read(path, role) for role, path in job.found.sources.items()}
    pet, factor = _to_suv(read["PET"], job)
    notes = [
        warning
        for modality, image in (("CT", read["CT"]), ("PET", pet))
        for warning in intensity_warnings(sitk.GetArrayViewFromImage(image), modality=modality)
    ]
    label = _checked_label(read["label"], job.label_values) if "label" in read else None
    made = harmonise_images(read["CT"], pet, label, job.options)
    told = (*notes, *made.notes)
    record = CaseRecord(job.patient, job.made_from, files, made.own_grid, made.full_grid, made.box, factor, told)
    job.dataset.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=PARTIAL_PREFIX, dir=job.dataset) as partial:
        _write(job, files, read, {"CT": made.ct, "PET": made.pet, "label": made.label}, folder=Path(partial))
        _install(job, files, record, folder=Path(partial))
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


def _install(job: CaseJob, files: Sequence[str], record: CaseRecord, *, folder: Path) -> None:
    """Move a whole case into place, instead of what an earlier run made of it, which may lie in other folders."""
    for name in announced_files(job.dataset, job.case):
        (job.dataset / name).unlink(missing_ok=True)
    announce(job.dataset, job.case, tuple(files))
    try:
        for name in files:
            (job.dataset / name).parent.mkdir(exist_ok=True)
            os.replace(folder / name, job.dataset / name)
    except BaseException:
        for name in files:  # half a case would stop nnU-Net
            (job.dataset / name).unlink(missing_ok=True)
        record_file(job.dataset, job.case).unlink(missing_ok=True)
        raise
    write_record(job.dataset, job.case, record)


def _check_place_is_free(job: CaseJob, files: Collection[str]) -> None:
    """Nothing that this command did not write is ever replaced."""
    both = (*files, *case_files(job.case, job.ending, labelled=job.found.label is None))
    ours = announced_files(job.dataset, job.case)
    if taken := [name for name in both if name not in ours and _is_there(job.dataset / name)]:
        raise UserError(f"{taken[0]} is in the dataset already and was not made here; name the centre with --centre")


def _is_there(path: Path) -> bool:
    return path.is_symlink() or path.exists()


def _read(path: Path, role: str) -> sitk.Image:
    if path.is_dir() and (number := len(sitk.ImageSeriesReader.GetGDCMSeriesIDs(str(path)))) > 1:
        raise UserError(f"the folder {path.name} of the {role} holds {number} DICOM series; keep one in a folder")
    image = read_image(path)
    if path.is_file() and (bad := _non_finite(path)):
        raise UserError(f"{bad} voxel(s) of the {role} {path.name} are NaN or infinite")
    values = sitk.GetArrayViewFromImage(image)
    if values.dtype.kind == "f" and not np.isfinite(values).all():
        raise UserError(f"{int((~np.isfinite(values)).sum())} voxel(s) of the {role} {path.name} are NaN or infinite")
    if role != "label" and values.min() == values.max():
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


def _checked_label(label: sitk.Image, allowed: Collection[int]) -> sitk.Image:
    """Whole numbers that the dataset knows, as uint8 or uint16; the given object where it is such already."""
    values = np.unique(sitk.GetArrayViewFromImage(label))
    unknown = [value for value in values.tolist() if value not in allowed]
    if unknown:
        shown = ", ".join(f"{value:g}" for value in unknown[:5])
        raise UserError(f"the label holds {shown}, which the dataset's labels do not name (see --labels)")
    if label.GetPixelID() in (sitk.sitkUInt8, sitk.sitkUInt16, sitk.sitkInt16, sitk.sitkInt8):
        return label
    return sitk.Cast(label, sitk.sitkUInt8 if max(allowed) < 256 else sitk.sitkUInt16)


def _is_plain(path: Path) -> bool:
    """Whether the file itself is a 3d image; one with a fourth axis of length 1 is read as such, but not by nnU-Net."""
    reader = sitk.ImageFileReader()
    reader.SetFileName(str(path))
    reader.ReadImageInformation()
    return reader.GetDimension() == 3


def job_options(options: Options, injection: Injection | None) -> dict:
    """What of a job its result depends on besides the sources."""
    return {"options": asdict(options), "injection": None if injection is None else asdict(injection)}
