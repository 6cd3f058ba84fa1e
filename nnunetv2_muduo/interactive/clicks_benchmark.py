"""The interactive benchmark of the teachers' papers on an nnU-Net dataset: Dice after so many simulated clicks."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from torch import nn
from tqdm import tqdm

from nnunetv2_muduo.cases.channels import find_channel
from nnunetv2_muduo.datasets.tiff_spacing import told_of_unknown_orientation
from nnunetv2_muduo.errors import UserError
from nnunetv2_muduo.evaluation.click_figure import draw_click_curves
from nnunetv2_muduo.evaluation.click_summary import ClickSummary
from nnunetv2_muduo.files import write_text
from nnunetv2_muduo.interactive.case_scan import CaseScan
from nnunetv2_muduo.interactive.click_record import ClickRecord
from nnunetv2_muduo.interactive.click_settings import ClickSettings
from nnunetv2_muduo.interactive.dataset_scans import DatasetCase, choose, find_cases, organ_values
from nnunetv2_muduo.nnunet_files import OF_SCANS_AND_LABELS, read_dataset_json
from nnunetv2_muduo.teachers import PromptableTeacher


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
) -> ClickSummary:
    """Click on the organs of a dataset's cases; what `output` holds already is not measured again.

    Args:
        folder: `nnUNet_raw/DatasetXXX_NAME`.
        teacher: frozen, in eval mode; it is moved to `device`.
        teacher_name: what the results call it.
        modality: "CT" (HU, clamped to -1000 to 1000) or "PET" (SUV), which channel it looks at.
        output: gets clicks.csv, clicks.md, clicks.png, clicks.json and cases.json, which hold everything ever measured
            there; cases whose scan, label map or labels' numbers changed since are measured anew.
        split: "Tr" or "Ts".
        cases, labels: names; None: all that are labelled, all but background and ignore.
        channel: number of the input channel, where its name does not tell.
        settings: what is measured.
        device: where the teacher computes; None: the CPU.

    Returns:
        Everything in `output`.

    Raises:
        UserError: for unknown cases or labels, regions, files that cannot be read, an `output` with other settings, and
            if none of the organs is in any of the cases.
    """
    settings, device = settings or ClickSettings(), device or torch.device("cpu")
    plan = _plan(folder, modality=modality, split=split, cases=cases, labels=labels, channel=channel)
    if plan.caution:
        tqdm.write(f"WARNING: {plan.caution}")
    told = plan.told() | {"teacher": teacher_name, "weights": _digest(teacher)}
    record = ClickRecord(output, settings=told | asdict(settings), clicks=settings.clicks, stamps=plan.stamps)
    if record.changed:
        tqdm.write(f"Not as they were when they were clicked on, so measured anew: {', '.join(record.changed)}")
    if isinstance(teacher, nn.Module):
        teacher.to(device)
    _click_on_all(plan, teacher, record, settings=settings, device=device)
    if not record.rows:
        raise UserError(
            f"None of the labels {', '.join(plan.organs)} is in any of the {len(plan.cases)} case(s) of {folder}."
        )
    summary = ClickSummary.of(record.rows, list(plan.values))
    _write(output, summary, told, settings)
    return summary


@dataclass(frozen=True)
class _Plan:
    """On what is clicked.

    Attributes:
        dataset, split, modality: names.
        channel: number of the channel that the teacher looks at.
        cases: one after the other.
        organs: names, in their order in dataset.json.
        values: name -> integer of every label of the dataset.
        ignore: label of voxels that do not count.
        stamps: of every case of the split, what its rows depend on.
        caution: what to tell of the files before anything is measured; "" for nothing.
    """

    dataset: str
    split: str
    modality: str
    channel: int
    cases: tuple[DatasetCase, ...]
    organs: tuple[str, ...]
    values: Mapping[str, int]
    ignore: int | None
    stamps: Mapping[str, dict]
    caution: str

    def told(self) -> dict[str, str | int]:
        """What all rows of a folder must share, whatever cases and organs they are of."""
        return {"dataset": self.dataset, "split": self.split, "modality": self.modality, "channel": self.channel}


def _plan(
    folder: Path,
    *,
    modality: str,
    split: str,
    cases: Sequence[str] | None,
    labels: Sequence[str] | None,
    channel: int | None,
) -> _Plan:
    """What `run_clicks` was asked for, by name, found in the dataset."""
    dataset_json = read_dataset_json(folder / "dataset.json", needs=OF_SCANS_AND_LABELS)
    values, ignore = organ_values(dataset_json)
    organs = choose(labels, values, what="label")
    known = find_cases(folder, dataset_json, split=split)
    chosen = [known[name] for name in choose(cases, known, what="labelled case")]
    if channel is None:
        channel = find_channel(dataset_json, modality, remedy="name it with --channel N")
    stamps = {name: {"files": case.stamp(channel), "labels": values, "ignore": ignore} for name, case in known.items()}
    caution = told_of_unknown_orientation(dataset_json["file_ending"])
    return _Plan(folder.name, split, modality, channel, tuple(chosen), tuple(organs), values, ignore, stamps, caution)


def _click_on_all(
    plan: _Plan,
    teacher: PromptableTeacher,
    record: ClickRecord,
    *,
    settings: ClickSettings,
    device: torch.device,
) -> None:
    """Measure every organ of every case that has no row yet."""
    with tqdm(total=len(plan.cases) * len(plan.organs), unit="organ") as bar:
        for case in plan.cases:
            missing = [organ for organ in plan.organs if (case.name, organ) not in record.finished]
            bar.update(len(plan.organs) - len(missing))
            bar.set_postfix_str(case.name)
            scan = CaseScan(
                case, teacher, channel=plan.channel, modality=plan.modality, ignore=plan.ignore, device=device
            )
            for organ in missing:
                record.append(scan.measure(organ, plan.values[organ], settings))
                bar.update()


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
