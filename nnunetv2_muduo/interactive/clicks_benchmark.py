"""The interactive benchmark of the teachers' papers on an nnU-Net dataset: Dice after so many simulated clicks."""

import hashlib
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from tqdm import tqdm

from nnunetv2_muduo.errors import UserError
from nnunetv2_muduo.evaluation.click_figure import draw_click_curves
from nnunetv2_muduo.evaluation.click_summary import ClickRow, ClickSummary
from nnunetv2_muduo.files import write_text
from nnunetv2_muduo.interactive.click_record import ClickRecord
from nnunetv2_muduo.interactive.clicked_dice import ClickSession, clicked_dice, clicks_generator
from nnunetv2_muduo.interactive.dataset_scans import (
    DatasetCase,
    choose,
    find_cases,
    organ_values,
    read_channel,
    read_labels,
)
from nnunetv2_muduo.interactive.one_window import OneWindowSession, middle_of, part_in_window
from nnunetv2_muduo.interactive.session import PromptSession
from nnunetv2_muduo.nnunet_folders import read_json
from nnunetv2_muduo.semisupervised.channels import find_channel
from nnunetv2_muduo.teachers import PromptableTeacher
from nnunetv2_muduo.teachers.intensity import CLAMP
from nnunetv2_muduo.teachers.windows import ScanWindows

PROTOCOLS = ("scan", "crop")


@dataclass(frozen=True)
class ClickSettings:
    """What is measured.

    Attributes:
        clicks: after how many clicks to compare, ascending.
        seed: of the clicks; each organ of each case has randomness of its own.
        protocol: "scan" is what a user of `muduo segment` gets: the window is centred on the first click, the mask is
            followed beyond it, Dice counts the whole scan. "crop" is the papers': one window centred on the target's
            bounding box; clicks and Dice stay within it.
        share_windows: with "scan", lay the windows around the middle of the scan, the same for all organs, so that each
            is encoded once a case; the first click then lies up to a quarter of a window off the middle of its window.

    Raises:
        UserError: if one of them is out of range, or they do not go together.
    """

    clicks: tuple[int, ...] = (1, 3, 5, 10)
    seed: int = 0
    protocol: str = "scan"
    share_windows: bool = False

    def __post_init__(self) -> None:
        if not self.clicks or min(self.clicks) < 1:
            raise UserError(f"Numbers of clicks must be at least 1, not {', '.join(map(str, self.clicks)) or 'none'}.")
        if self.protocol not in PROTOCOLS:
            raise UserError(f"There is no protocol '{self.protocol}'; use one of: {', '.join(PROTOCOLS)}.")
        if self.share_windows and self.protocol == "crop":
            raise UserError("Protocol crop centres a window on each target, so organs cannot share windows; use scan.")
        object.__setattr__(self, "clicks", tuple(sorted(set(self.clicks))))


def run_clicks(
    folder: Path,
    teacher: PromptableTeacher,
    *,
    teacher_name: str,
    modality: str,
    output: Path,
    split: str = "Tr",
    cases: Sequence[str] | None = None,
    labels: Sequence[str] | None = None,
    channel: int | None = None,
    settings: ClickSettings | None = None,
    device: torch.device | None = None,
    progress: bool = True,
) -> ClickSummary:
    """Click on the organs of a dataset's cases; what `output` holds already is not measured again.

    Args:
        folder: `nnUNet_raw/DatasetXXX_NAME`.
        teacher: frozen, in eval mode; it is moved to `device`.
        teacher_name: what the results call it.
        modality: "CT" (HU, clamped to -1000 to 1000) or "PET" (SUV), which channel it looks at.
        output: gets clicks.csv, clicks.md, clicks.png and clicks.json, which hold everything ever measured there.
        split: "Tr" or "Ts".
        cases, labels: names; None: all that are labelled, all but background and ignore.
        channel: number of the input channel, where its name does not tell.
        settings: what is measured.
        device: where the teacher computes; None: the CPU.
        progress: show a progress bar.

    Returns:
        Everything in `output`.

    Raises:
        UserError: for unknown cases or labels, regions, files that cannot be read, an `output` with other settings, and
            if none of the organs is in any of the cases.
    """
    settings, device = settings or ClickSettings(), device or torch.device("cpu")
    dataset_json = read_json(folder / "dataset.json")
    values, ignore = organ_values(dataset_json)
    organs = choose(labels, values, what="label")
    known = find_cases(folder, dataset_json, split=split)
    chosen = [known[name] for name in choose(cases, known, what="labelled case")]
    if channel is None:
        channel = find_channel(dataset_json, modality, remedy="name it with --channel N")
    told: dict[str, str | int] = {"dataset": folder.name, "split": split, "modality": modality, "channel": channel}
    told |= {"teacher": teacher_name, "weights": _digest(teacher)}
    record = ClickRecord(output, settings=told | asdict(settings), clicks=settings.clicks)
    if isinstance(teacher, nn.Module):
        teacher.to(device)
    with tqdm(total=len(chosen) * len(organs), unit="organ", disable=not progress) as bar:
        for case in chosen:
            missing = [organ for organ in organs if (case.name, organ) not in record.finished]
            bar.update(len(organs) - len(missing))
            bar.set_postfix_str(case.name)
            scan = CaseScan(case, teacher, channel=channel, modality=modality, ignore=ignore, device=device)
            for organ in missing:
                record.append(scan.measure(organ, values[organ], settings))
                bar.update()
    if not record.rows:
        raise UserError(f"None of the labels {', '.join(organs)} is in any of the {len(chosen)} case(s) of {folder}.")
    summary = ClickSummary.of(record.rows, list(values))
    _write(output, summary, told, settings)
    return summary


class CaseScan:
    """One case; label map and scan are read when they are needed."""

    def __init__(
        self,
        case: DatasetCase,
        teacher: PromptableTeacher,
        *,
        channel: int,
        modality: str,
        ignore: int | None,
        device: torch.device,
    ) -> None:
        self.case, self.teacher, self.channel, self.ignore, self.device = case, teacher, channel, ignore, device
        self.clamp = CLAMP[modality]

    def measure(self, organ: str, value: int, settings: ClickSettings) -> list[ClickRow]:
        """A row for each number of clicks; none if the organ is absent, or (crop) outside its own window."""
        truth = torch.from_numpy(np.equal(self.labels, value))
        if not truth.any():
            return []
        counted = None if self.ignore is None else torch.from_numpy(np.not_equal(self.labels, self.ignore))
        if settings.protocol == "crop":
            windows = self.windows_around(middle_of(truth))
            within = torch.zeros_like(truth)
            within[part_in_window(windows)] = True
            counted = within if counted is None else counted & within

        voxels = int((truth if counted is None else truth & counted).sum())
        if not voxels:
            tqdm.write(f"{self.case.name}: no voxel of {organ} lies in the window around its middle; skipped")
            return []

        def begin(position: Tensor) -> ClickSession:
            if settings.protocol == "crop":
                return OneWindowSession(windows)
            return PromptSession(self.shared if settings.share_windows else self.windows_around(position.tolist()))

        generator = clicks_generator(settings.seed, self.case.name, organ)
        found = clicked_dice(begin, truth, clicks=settings.clicks, generator=generator, counted=counted)
        return [
            ClickRow(self.case.name, organ, voxels, at.clicks, round(at.dice, 6), at.windows, round(at.seconds, 3))
            for at in found
        ]

    @cached_property
    def labels(self) -> NDArray:
        """The label map [Z, Y, X] as the teacher has its axes."""
        return read_labels(self.case, self.teacher.spec.orientation)

    @cached_property
    def volume(self) -> tuple[Tensor, tuple[float, ...]]:
        """Intensities [Z, Y, X] and spacing (z, y, x) in mm."""
        array, spacing = read_channel(self.case, self.channel, self.teacher.spec.orientation)
        return torch.from_numpy(array), spacing

    @cached_property
    def shared(self) -> ScanWindows:
        """Windows around the middle of the scan, one for all organs."""
        return self.windows_around([length / 2 for length in self.labels.shape])

    def windows_around(self, centre: Sequence[float]) -> ScanWindows:
        """Windows of the scan, the first one centred on a position (z, y, x); they remember what they encoded."""
        volume, spacing = self.volume
        return ScanWindows(
            self.teacher,
            volume,
            spacing,
            centre=centre,
            clamp=self.clamp,
            device=self.device,
            bfloat16=self.device.type == "cuda",
        )


def _digest(teacher: PromptableTeacher) -> str:
    """What tells these weights from others of the same name."""
    digest = hashlib.sha256()
    if isinstance(teacher, nn.Module):
        for name, tensor in teacher.state_dict().items():
            digest.update(name.encode())
            digest.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()[:12]


def _write(output: Path, summary: ClickSummary, told: dict, settings: ClickSettings) -> None:
    """The table and the curve."""
    where = "over the whole scan" if settings.protocol == "scan" else "within one window centred on the target"
    where += ", windows shared by the organs" if settings.share_windows else ""
    title = (
        f"{told['teacher']} on {told['dataset']} ({told['split']}, {told['modality']}), protocol {settings.protocol}"
    )
    text = (
        f"{title}: Dice {where}, mean over the n cases that have the organ, seed {settings.seed}.\n\n"
        f"{summary.as_table()}\n\n"
        f"{summary.seconds_per_click:.2f} seconds a click; {summary.windows:.1f} windows an organ.\n"
    )
    write_text(output / "clicks.md", text)
    draw_click_curves(output / "clicks.png", summary, title=title)
