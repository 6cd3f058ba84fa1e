"""What is drawn of a patch, who is chosen to label, and what the file of reports tells."""

import json
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import SimpleITK as sitk
import torch
from torch import Tensor, nn

from nnunetv2_muduo.semisupervised import monitoring
from nnunetv2_muduo.semisupervised.answers import OwnAnswer, Patches, TeacherAnswers, TeacherLabels
from nnunetv2_muduo.semisupervised.teacher_report import SOURCES
from nnunetv2_muduo.settings import Settings

SPACING_IN_MM = (3.0, 2.0, 1.0)


def pictured(orientation: str | None, axes: tuple[int, ...], folder: Path, monkeypatch: pytest.MonkeyPatch) -> list:
    """Whether sides are marked, CT, PET, masks and spacing as drawn of a patch, stored so, with axes in this order."""
    image = sitk.GetImageFromArray(np.random.default_rng(0).normal(size=(4, 5, 6)).astype(np.float32))
    image.SetSpacing(SPACING_IN_MM[::-1])
    image = sitk.DICOMOrient(image, orientation or "LPS")
    patch = torch.from_numpy(sitk.GetArrayFromImage(image).transpose(axes)[None, None].copy())
    batch = {"clean": patch, "raw": torch.cat([patch, patch + 1], 1), "keys": ["a"], "orientations": [orientation]}
    torch.manual_seed(0)
    trainer = SimpleNamespace(
        output_folder=folder,
        network=nn.Conv3d(1, 3, 1),
        dataloader_train=SimpleNamespace(unlabelled_patches=SimpleNamespace(central_patch=lambda: batch)),
        configuration_manager=SimpleNamespace(spacing=[image.GetSpacing()[2 - axis] for axis in axes]),
        ct_channel=0,
        pet_channel=1,
        own_answer=lambda clean: None,
        ct_share=None,
        by_prompts=None,
        patches_of=lambda unlabelled: Patches(unlabelled["clean"], unlabelled["raw"]),
    )

    def ask(patches: Patches, student: Tensor, own: OwnAnswer | None) -> TeacherAnswers:
        return TeacherAnswers((1.5 * student).clamp_max(1), None, None, student > 0.5, torch.ones(1, 2).bool())

    def judge(answers: TeacherAnswers, own: OwnAnswer | None, *, ct_share: None, by_prompts: None) -> TeacherLabels:
        return TeacherLabels(answers.p_ct, None, None, answers.asked)

    drawn: list = []
    monkeypatch.setattr(
        monitoring,
        "draw_patch",
        lambda path, ct, pet, masks, *, title, spacing_in_mm, oriented: drawn.extend(
            [oriented, ct, pet, *masks.values(), spacing_in_mm]
        ),
    )
    nn.init.normal_(trainer.network.weight)
    monitoring.Monitor(trainer).draw_unlabelled_patch(SimpleNamespace(axes=axes, ask=ask, judge=judge), 0)
    return drawn


@pytest.mark.parametrize("axes", [(0, 1, 2), (2, 0, 1)])
@pytest.mark.parametrize("orientation", ["RAS", "LAS", "LPI", "PSL", "SAR", None])
def test_patches_are_pictured_as_radiologists_see_them(
    orientation: str | None, axes: tuple[int, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    _, *wanted = pictured("LPS", (0, 1, 2), tmp_path, monkeypatch)
    oriented, *found = pictured(orientation, axes, tmp_path, monkeypatch)
    assert oriented == (orientation is not None)
    assert wanted[-1] == found[-1] == SPACING_IN_MM
    assert 0 < wanted[2].sum() < wanted[2].size
    assert len(found) == len(wanted) == 6
    for volume, other in zip(wanted[:-1], found[:-1], strict=True):
        np.testing.assert_array_equal(volume, other)


def test_teachers_are_chosen_on_held_out_patches_and_on_training_ones_where_these_do_not_tell(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    found = {"held out": [1.0, np.nan, np.nan, 0.5], "training": [0.0, 0.0, np.nan, 1.0]}
    trainer = SimpleNamespace(
        output_folder=tmp_path,
        device=torch.device("cpu"),
        organs=("liver", "spleen", "heart", "lungs"),
        label_manager=SimpleNamespace(ignore_label=None),
        own_answer=lambda clean: None,
        current_epoch=0,
        print_to_log_file=lambda line: None,
        settings=Settings(),
    )
    monitor = monitoring.Monitor(trainer)
    monitor.report_patches, monitor.training_patches = (
        [(SimpleNamespace(to=lambda device, kind=kind: kind), torch.zeros(1))] for kind in found
    )

    def choose(teaching: object, student: object, batches: Iterator, **_: object) -> np.ndarray:
        ((kind, _labels),) = batches
        return np.array(found[kind])

    reported, asked = [], []

    def report(*_: object, ct_share: Tensor | None, prompts_label: bool, **__: object) -> SimpleNamespace:
        reported.append(ct_share)
        asked.append(prompts_label)
        return SimpleNamespace(as_table=lambda: "")

    monkeypatch.setattr(monitoring, "choose_teachers", choose)
    monkeypatch.setattr(monitoring, "make_teacher_report", report)
    for chooses in (True, False):
        trainer.settings = Settings(prompts_label=chooses)
        monitor.report(SimpleNamespace(chooses=chooses))
    assert asked == [True, False]
    assert reported[0].tolist() == [1.0, 0.0, 0.5, 0.5]
    assert reported[1] is None


def test_the_file_of_reports_tells_who_labels_where_that_is_chosen(tmp_path: Path):
    logged = {f"report_{source}": [[0.5, np.nan], [np.nan, np.nan]] for source in SOURCES}
    logged |= {"ct_share": [[1.0, 0.5]] * 2, "by_prompts": [[0.0, 1.0]] * 2}
    trainer = SimpleNamespace(
        output_folder=tmp_path,
        organs=("liver", "spleen"),
        logger=SimpleNamespace(get_checkpoint=lambda: logged),
        ct_share=None,
        by_prompts=torch.tensor([False, True]),
    )
    monitoring.Monitor(trainer).write_reports()
    (report,) = json.loads((tmp_path / "teacher_report.json").read_text())
    assert set(report) == {"epoch", *SOURCES, "by_prompts"}
    assert report["by_prompts"] == {"liver": 0.0, "spleen": 1.0}
    assert report["student"] == {"liver": 0.5, "spleen": None}
