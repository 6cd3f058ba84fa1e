"""What the doctor says of a dataset that is to be pretrained on."""

import json
from pathlib import Path

import pytest
from doctor_dataset import PLANS, Tiny
from doctor_marks import mark_of

from nnunetv2_muduo import cli
from nnunetv2_muduo.doctor import examine
from nnunetv2_muduo.doctor.check import Check, Mark
from nnunetv2_muduo.doctor.gpu import CUDA_CONTEXT_IN_GIB, need_of_pretraining
from nnunetv2_muduo.doctor.pretraining import WITHOUT_LABELS
from nnunetv2_muduo.nnunet_folders import FOLDER_VARIABLES

POOL = {"channel_names": {"0": "CT", "1": "PET"}, "file_ending": ".nii.gz"}  # no labels, no cases


@pytest.fixture
def pool(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Tiny:
    """Unlabelled scans alone, planned for pretraining."""
    for name in FOLDER_VARIABLES:
        monkeypatch.setenv(name, str(tmp_path / name))
    made = Tiny(tmp_path)
    (made.raw / "dataset.json").write_text(json.dumps(POOL))
    made.write_plans(mae={"batch_size": 3, "num_epochs": 7, "block": [4, 4, 4]})
    return made


def checks_of(**options) -> dict[str, Check]:
    given = {"configuration": "3d_fullres", "plans_identifier": "nnUNetPlans", "trainer_name": "nnUNetTrainerPETCTMAE"}
    return {check.name: check for check in examine("221", **(given | options))}


def test_scans_without_any_label_are_all_it_needs(pool: Tiny):
    checks = checks_of()
    assert mark_of(checks["plans"]) is Mark.OK
    assert "7 epochs, batches of 3" in checks["plans"].found
    assert mark_of(checks["unlabelled scans"]) is Mark.OK
    assert "; pretraining on one takes about" in checks["GPU"].found
    assert "teacher" not in checks["GPU"].found
    assert not {"labels", "CT teacher", "labelled preprocessed"} & set(checks)


def test_labelled_scans_alone_will_do(pool: Tiny):
    (pool.raw / "imagesUn").rename(pool.raw / "imagesTr")
    assert checks_of()["scans"].found == "2 labelled ones; imagesUn holds none"


def test_missing_plans_come_with_the_command_that_makes_them(pool: Tiny):
    missing = checks_of(plans_identifier="nnUNetPlansPETCTMAE")["plans"]
    assert mark_of(missing) is Mark.FAIL
    assert "muduo plan -d 221 --preset petct_mae" in missing.remedy


def test_settings_of_the_pretraining_are_checked(pool: Tiny):
    pool.write_plans(mae={"blok": 3})
    checks = checks_of()
    assert mark_of(checks["plans"]) is Mark.FAIL
    assert "blok" in checks["plans"].found


def test_more_memory_is_needed_by_larger_batches(pool: Tiny):
    needs = []
    for batch in (1, 64):
        plans = {**PLANS, "mae": {"batch_size": batch, "block": [4, 4, 4]}}
        need = need_of_pretraining(plans, configuration="3d_fullres", dataset_json=WITHOUT_LABELS | POOL)
        assert need is not None
        needs.append(need.total - CUDA_CONTEXT_IN_GIB)
    assert needs[1] > 10 * needs[0] > 0


def test_the_command_takes_the_trainer(pool: Tiny, capsys: pytest.CaptureFixture):
    cli.main(["doctor", "-d", "221", "-tr", "nnUNetTrainerPETCTMAE", "--json"])
    assert "plans" in {check["name"] for check in json.loads(capsys.readouterr().out)}
