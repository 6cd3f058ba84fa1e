"""Caches are shown training by training."""

from doctor_dataset import Tiny
from doctor_marks import mark_of

from nnunetv2_muduo.doctor import Mark, examine
from nnunetv2_muduo.doctor.check import Check


def caches(tiny: Tiny) -> list[Check]:
    checks = examine("221", configuration="3d_fullres", plans_identifier="nnUNetPlans")
    return [check for check in checks if check.name == "teacher cache"]


def test_teacher_cache_is_shown_training_by_training(tiny: Tiny):
    (check,) = caches(tiny)
    assert mark_of(check) is Mark.OK
    assert "switched off" in check.found
    tiny.write_plans(muduo={"pet_teacher": None, "teacher_cache": True})
    (check,) = caches(tiny)
    assert mark_of(check) is Mark.OK
    assert "nothing computed yet" in check.found
    training = "nnUNetTrainerMuDuo__nnUNetPlans__3d_fullres"
    folder = tiny.preprocessed / "nnUNetPlans_3d_fullres_unlabelled_teacher_cache"
    for fold in ("0", "all"):
        (folder / training / f"fold_{fold}" / "a").mkdir(parents=True)
        (folder / training / f"fold_{fold}" / "a" / "cache.json").write_bytes(b"x" * 30_000_000)
    (folder / "nnUNetTrainerMuDuo__otherPlans__3d_fullres" / "fold_0").mkdir(parents=True)
    checks = caches(tiny)
    assert [mark_of(check) for check in checks] == [Mark.WARN, Mark.WARN]
    assert f"{training}/fold_0: 0 of 2 scans up to date, 0.03 GiB in {folder / training / 'fold_0'}" in checks[0].found


def test_caches_that_nobody_reads_are_told_with_their_size(tiny: Tiny):
    folder = tiny.preprocessed / "nnUNetPlans_3d_fullres_unlabelled_teacher_cache"
    case = folder / "nnUNetTrainerMuDuo__nnUNetPlans__3d_fullres" / "fold_0" / "a"
    case.mkdir(parents=True)
    (case / "cache.json").write_bytes(b"x" * 30_000_000)
    (check,) = caches(tiny)
    assert mark_of(check) is Mark.WARN
    assert f"0.03 GiB of earlier trainings lie in {folder}" in check.found


def test_scans_that_no_training_uses_are_not_missed_in_its_cache(tiny: Tiny):
    tiny.write_plans(muduo={"pet_teacher": None, "teacher_cache": True})
    cache = tiny.preprocessed / "nnUNetPlans_3d_fullres_unlabelled_teacher_cache"
    (cache / "nnUNetTrainerMuDuo__nnUNetPlans__3d_fullres" / "fold_0").mkdir(parents=True)
    assert "0 of 2 scans" in caches(tiny)[0].found
    (tiny.raw / "imagesTr").mkdir()
    (tiny.raw / "imagesTr" / "a_0000.nii.gz").touch()  # labelled by now
    assert "0 of 1 scans" in caches(tiny)[0].found
