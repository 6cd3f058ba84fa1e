"""One case as the clicks see it."""

import json
from pathlib import Path

import pytest
import torch
from bright_teacher import BrightTeacher
from clickable_dataset import LABELS, write_clickable_dataset

from nnunetv2_muduo.interactive import dataset_scans
from nnunetv2_muduo.interactive.case_scan import CaseScan
from nnunetv2_muduo.interactive.click_settings import ClickSettings
from nnunetv2_muduo.interactive.dataset_scans import find_cases


def scan_of(raw: Path, *, channel: int, modality: str) -> CaseScan:
    folder = write_clickable_dataset(raw, cases=1)
    case = find_cases(folder, json.loads((folder / "dataset.json").read_text()), split="Tr")["box_0"]
    cpu = torch.device("cpu")
    return CaseScan(case, BrightTeacher(), channel=channel, modality=modality, ignore=None, device=cpu)


@pytest.mark.parametrize(("modality", "clamp"), [("CT", (-1000, 1000)), ("PET", None)])
def test_ct_is_clamped_and_pet_is_not(tmp_path: Path, modality: str, clamp: tuple | None):
    assert scan_of(tmp_path, channel=0, modality=modality).windows_around((9.0, 9.0, 9.0)).clamp == clamp


@pytest.mark.parametrize(("modality", "warned"), [("CT", True), ("PET", False)])
def test_intensities_of_another_kind_are_warned_of_by_the_cases_name(
    tmp_path: Path, modality: str, warned: bool, capsys: pytest.CaptureFixture
):
    scan = scan_of(tmp_path, channel=1, modality=modality)
    for organ in ("liver", "spleen"):
        scan.measure(organ, LABELS[organ], ClickSettings(clicks=(1,)))
    said = [line for line in capsys.readouterr().out.splitlines() if line.startswith("WARNING")]
    assert len(said) == int(warned)
    assert all("box_0: This does not look like CT in HU" in line for line in said)


def test_every_file_is_read_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    read: list[str] = []
    for name in ("read_label_map", "read_intensities"):
        original = getattr(dataset_scans, name)
        monkeypatch.setattr(
            dataset_scans, name, lambda path, original=original: read.append(path.name) or original(path)
        )
    scan = scan_of(tmp_path, channel=0, modality="CT")
    for organ in ("liver", "spleen", "bladder"):
        scan.measure(organ, LABELS[organ], ClickSettings(clicks=(1, 2)))
    assert sorted(read) == ["box_0.nii.gz", "box_0_0000.nii.gz"]
