"""The files of a pseudo-labelled case: what is read, what is written, and what tells that nothing has changed since."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from zipfile import is_zipfile

import numpy as np
import SimpleITK as sitk
from nnunetv2.imageio.simpleitk_reader_writer import SimpleITKIO

from nnunetv2_muduo.cases.scan_checks import BadScanError, check_grids, read_file, read_scan
from nnunetv2_muduo.datasets.nifti_checks import is_whole_image
from nnunetv2_muduo.datasets.plausibility import intensity_warnings
from nnunetv2_muduo.datasets.scan_header import tells_orientation
from nnunetv2_muduo.datasets.scan_io import write_whole
from nnunetv2_muduo.files import clear_away_left_behind, file_stamp, sha256_of, write_text
from nnunetv2_muduo.json_files import table_or_nothing
from nnunetv2_muduo.pseudo_labelling.case_labels import CaseLabels
from nnunetv2_muduo.pseudo_labelling.case_quality import OrganQuality
from nnunetv2_muduo.pseudo_labelling.dual_scan import Geometry

FORMAT = 1  # raised whenever the same input would give other files


@dataclass(frozen=True)
class CaseJob:
    """What a worker needs to read one case; travels between processes.

    Attributes:
        case: name.
        files: of the scan, one for each channel.
        prompt: its label map; None checks the scan alone.
        channel_names: of all channels.
        channels: which of them are (CT, PET).
        file_ending: of the dataset.
        known_labels: what a label map may hold.
    """

    case: str
    files: tuple[Path, ...]
    prompt: Path | None
    channel_names: tuple[str, ...]
    channels: tuple[int, int]
    file_ending: str
    known_labels: frozenset[int]


@dataclass(frozen=True)
class ReadCase:
    """A case in memory, or the reason why it cannot be used.

    Attributes:
        case: name.
        reason: None for a case that can be used.
        ct, pet: [Z, Y, X] float32, HU and SUV.
        prompts: [Z, Y, X] uint8, or int32 where a label exceeds 255.
        geometry: of all three.
        warnings: sentences about intensities that do not look like HU or SUV.
        oriented: whether it is known how the patient lies.
    """

    case: str
    reason: str | None = None
    ct: np.ndarray | None = None
    pet: np.ndarray | None = None
    prompts: np.ndarray | None = None
    geometry: Geometry | None = None
    warnings: tuple[str, ...] = ()
    oriented: bool = False


def read_case(job: CaseJob) -> ReadCase:
    """Read a scan and its prompts, and check all that can be wrong with them; never raises for a bad file."""
    try:
        image, properties = read_scan(
            job.files, reader=SimpleITKIO(), channels=job.channel_names, file_ending=job.file_ending
        )
        prompts = None if job.prompt is None else _read_prompts(job, image, properties)
    except BadScanError as error:
        return ReadCase(job.case, str(error))
    ct, pet = (image[channel] for channel in job.channels)
    geometry = Geometry(**properties["sitk_stuff"])
    warnings = (*intensity_warnings(ct, modality="CT"), *intensity_warnings(pet, modality="PET"))
    return ReadCase(job.case, None, ct, pet, prompts, geometry, warnings, tells_orientation(job.files[0]))


def check_scan(job: CaseJob) -> tuple[str, str | None]:
    """Case and the reason why its scan cannot be used, None if it can; whatever its prompts are."""
    return job.case, read_case(replace(job, prompt=None)).reason


def _read_prompts(job: CaseJob, image: np.ndarray, properties: dict) -> np.ndarray:
    assert job.prompt is not None
    if not job.prompt.is_file():
        raise BadScanError(f"there is no prediction {job.prompt}")
    labels, grid = read_file(job.prompt, SimpleITKIO())
    check_grids([(image, properties), (labels, grid)], [job.files[0], job.prompt])
    unknown = sorted(set(np.unique(labels).tolist()) - job.known_labels)
    if unknown:
        shown = ", ".join(f"{value:g}" for value in unknown[:5])
        raise BadScanError(f"{job.prompt.name} holds label(s) {shown} that dataset.json does not know")
    return labels[0].astype(np.uint8 if max(job.known_labels) < 256 else np.int32)


_PARTS = ("labels", "agreement", "figures", "cases", "prompts")


@dataclass(frozen=True)
class OutputFolder:
    """Where everything goes: labels/, agreement/, figures/ and, for later runs, cases/.

    Attributes:
        folder: of the whole run.
        file_ending: of the dataset.
    """

    folder: Path
    file_ending: str

    def labels(self, case: str) -> Path:
        """The label map."""
        return self.folder / "labels" / f"{case}{self.file_ending}"

    def agreement(self, case: str) -> Path:
        """The teachers' agreement, per cent."""
        return self.folder / "agreement" / f"{case}{self.file_ending}"

    def figure(self, case: str) -> Path:
        """The picture."""
        return self.folder / "figures" / f"{case}.png"

    def claims(self, case: str) -> Path:
        """Which voxels each organ lays claim to."""
        return self.folder / "cases" / f"{case}.npz"

    def record(self, case: str) -> Path:
        """What the case was made from, and its numbers; written last."""
        return self.folder / "cases" / f"{case}.json"

    def finished(self, case: str, stamp: Mapping) -> tuple[OrganQuality, ...] | None:
        """The case's numbers if all its files but the picture are there and were made from just this; else None."""
        if not (is_whole_image(self.labels(case)) and is_whole_image(self.agreement(case))):
            return None
        if not is_zipfile(self.claims(case)):
            return None
        record = table_or_nothing(self.record(case))
        if record.get("stamp") != json.loads(json.dumps(stamp)):
            return None
        try:
            return tuple(OrganQuality.from_dict(row) for row in record["organs"])
        except (ValueError, KeyError, TypeError):
            return None

    def pictured(self, case: str) -> dict[str, str] | None:
        """Organ -> the suggestion that the case's picture shows; None where there is no picture."""
        return table_or_nothing(self.record(case)).get("pictured") if self.figure(case).is_file() else None

    def note_pictured(self, case: str, suggestions: Mapping[str, str]) -> None:
        """Remember what a picture that was drawn again shows."""
        record = table_or_nothing(self.record(case)) | {"pictured": suggestions}
        write_text(self.record(case), json.dumps(record, indent=1) + "\n")

    def clear_away_left_behind(self) -> None:
        """Remove what killed runs had in the making."""
        clear_away_left_behind(self.folder, *(self.folder / part for part in _PARTS))

    def write(
        self,
        case: str,
        result: CaseLabels,
        geometry: Geometry,
        stamp: Mapping,
        *,
        pictured: Mapping[str, str] | None,
    ) -> None:
        """Write all but the picture, whose suggestions are `pictured` (None: it is not drawn), the record last."""
        self.record(case).unlink(missing_ok=True)
        write_image(result.labels, geometry, self.labels(case))
        write_image(result.agreement, geometry, self.agreement(case))
        result.claims.save(self.claims(case))
        rows = [asdict(quality) for quality in result.qualities]
        record = {"stamp": stamp, "organs": rows, "pictured": pictured}
        write_text(self.record(case), json.dumps(record, indent=1) + "\n")


def case_stamp(job: CaseJob, common: Mapping) -> dict:
    """What a case depends on: its scan's files, which is CT and PET, its prompts' content, and what all cases share."""
    assert job.prompt is not None
    return {
        "format": FORMAT,
        "scan": [file_stamp(file) for file in job.files],
        "channels": job.channels,
        "prompt": sha256_of(job.prompt) if job.prompt.is_file() else None,
        **common,
    }


def read_labels(path: Path) -> np.ndarray:
    """[Z, Y, X] of what `OutputFolder.write` has written."""
    return sitk.GetArrayFromImage(sitk.ReadImage(str(path)))


def write_image(array: np.ndarray, geometry: Geometry, path: Path) -> None:
    """Write [Z, Y, X] on its scan's grid, compressed, as a whole or not at all."""
    image = sitk.GetImageFromArray(array)
    image.SetSpacing(geometry.spacing)
    image.SetOrigin(geometry.origin)
    image.SetDirection(geometry.direction)
    write_whole(image, path)
