"""The host's memory against the largest scan."""

import pytest
from doctor_dataset import DATASET_JSON, PLANS, Tiny
from doctor_marks import mark_of

from nnunetv2_muduo.doctor.check import Check, Mark
from nnunetv2_muduo.doctor.host import (
    HostNeed,
    TrainingNeed,
    check_host,
    estimate_host_need,
    estimate_training_need,
    judge_host,
)
from nnunetv2_muduo.trainers.nnUNetTrainerMuDuo import nnUNetTrainerMuDuo


def planned_for_host(transpose: tuple[int, ...] = (0, 1, 2)) -> dict:
    return {**PLANS, "transpose_forward": list(transpose)}


def test_host_memory_is_held_against_the_largest_scan():
    def judge(available: float, processes: int = 8) -> Check:
        need = HostNeed("a_0000.nii.gz", (619, 400, 400), 6.5, 7.5, 6.0, 6.0)
        return judge_host(need, available, processes=processes, exports=3)

    assert mark_of(judge(64)) is Mark.OK
    assert mark_of(judge(7)) is Mark.WARN  # it cannot predict
    few = judge(24)
    assert mark_of(few) is Mark.WARN
    assert "nnUNet_def_n_proc=3" in few.remedy
    assert mark_of(judge(24, processes=3)) is Mark.OK


@pytest.mark.parametrize(
    ("available", "mark", "remedy"),
    [(40, Mark.OK, ""), (27, Mark.WARN, "give it -nps 2"), (10, Mark.WARN, "may not fit with one process")],
)
def test_masks_of_stock_prediction_are_held_against_the_memory(available: float, mark: Mark, remedy: str):
    need = HostNeed("a_0000.nii.gz", (619, 400, 400), 6.5, 6.1, 6.4, 13.3)
    check = judge_host(need, available, processes=1, exports=3)
    assert mark_of(check) is mark
    assert remedy in check.remedy
    assert "nnUNet_def_n_proc" not in check.remedy


@pytest.mark.parametrize(
    ("available", "remedy"),
    [
        (30, ""),
        (9, "a training may not fit: export nnUNet_n_proc_DA=2"),
        (7.5, "not fit with one worker either"),
    ],
)
def test_training_is_held_against_the_memory(available: float, remedy: str):
    need = HostNeed("a_0000.nii.gz", (619, 400, 400), 1.0, 1.0, 1.0, 1.0)
    training = TrainingNeed((2.0, 8.0, 8.5, 10.25))
    check = judge_host(need, available, processes=1, exports=1, training=training)
    assert "training on a GPU, all processes together, 10.2 with nnUNet_n_proc_DA=3" in check.found
    assert mark_of(check) is (Mark.WARN if remedy else Mark.OK)
    assert remedy in check.remedy


def training_need(*, on_cpu: bool = False, **changes) -> TrainingNeed:
    plans = {**PLANS, "muduo": changes}
    need = estimate_training_need(
        plans,
        configuration="3d_fullres",
        dataset_json=DATASET_JSON,
        trainer_class=nnUNetTrainerMuDuo,
        scan=(80, 60, 40),
        on_cpu=on_cpu,
    )
    assert need is not None
    return need


def test_training_takes_as_many_workers_as_nnunet_starts(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("os.cpu_count", lambda: 6)
    monkeypatch.setenv("nnUNet_n_proc_DA", "5")
    assert training_need().workers == 5
    monkeypatch.delenv("nnUNet_n_proc_DA")
    assert training_need().workers == 6
    totals = training_need().total
    assert list(totals) == sorted(totals)


def test_training_that_gives_memory_back_takes_less(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("nnUNet_n_proc_DA", "1")
    usual = training_need().total[-1]
    monkeypatch.setenv("MALLOC_MMAP_THRESHOLD_", "131072")
    assert training_need().total[-1] < usual


def test_steps_on_the_cpu_are_predicted_where_they_are_asked_for_and_can_be_simulated(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("nnUNet_n_proc_DA", "1")
    standins = {"ct_teacher": "standin_ct", "pet_teacher": "standin_pet"}
    assert training_need(**standins).on_cpu is None
    usual = training_need(on_cpu=True, **standins)
    assert usual.on_cpu > usual.total[-1] - 0.5  # without a context of CUDA, which takes half a GiB
    assert f"on the CPU, its steps included, {usual.on_cpu:.1f}" in found_of(usual)
    monkeypatch.setenv("MALLOC_MMAP_THRESHOLD_", "131072")
    assert training_need(on_cpu=True, **standins).on_cpu < usual.on_cpu

    def fails(*_, **__) -> None:
        raise NotImplementedError

    monkeypatch.setattr("nnunetv2_muduo.memory.cpu_steps.steps_on_cpu", fails)
    need = training_need(on_cpu=True, **standins)
    assert need.on_cpu is None
    assert need.total
    assert "on the CPU" not in found_of(need)


def found_of(training: TrainingNeed) -> str:
    need = HostNeed("a_0000.nii.gz", (619, 400, 400), 1.0, 1.0, 1.0, 1.0)
    return judge_host(need, 64, processes=1, exports=1, training=training).found


def test_training_that_cannot_be_made_is_not_predicted():
    described = {"plans": {**PLANS, "configurations": {}}, "configuration": "2d", "dataset_json": DATASET_JSON}
    assert estimate_training_need(**described, trainer_class=nnUNetTrainerMuDuo, scan=(80, 60, 40)) is None


def test_line_tells_what_a_training_takes(tiny: Tiny, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("nnUNet_n_proc_DA", "1")
    context = {"plans": planned_for_host(), "configuration": "3d_fullres", "dataset_json": DATASET_JSON}
    context["trainer_class"] = nnUNetTrainerMuDuo
    (check,) = check_host(tiny.raw, available=64 * 1024**3, **context)
    assert "with nnUNet_n_proc_DA=1" in check.found
    (check,) = check_host(tiny.raw, available=1024**3, **context)
    assert "a training may not fit with one worker either" in check.remedy


def test_scans_to_test_on_count_for_the_memory_as_well(tiny: Tiny):
    tiny.write("large", 0, shape=(4, 6, 80))
    (tiny.raw / "imagesTs").mkdir()
    (tiny.raw / "imagesUn" / "large_0000.nii.gz").rename(tiny.raw / "imagesTs" / "large_0000.nii.gz")
    need = estimate_host_need(tiny.raw, plans=planned_for_host(), configuration="3d_fullres", dataset_json=DATASET_JSON)
    assert need is not None
    assert need.scan == "large_0000.nii.gz"


def test_largest_scan_is_found_by_its_header_in_the_axes_of_the_plans(tiny: Tiny):
    plans = planned_for_host((2, 0, 1))
    tiny.write("large", 0, shape=(4, 6, 80))
    need = estimate_host_need(tiny.raw, plans=plans, configuration="3d_fullres", dataset_json=DATASET_JSON)
    assert need is not None
    assert need.scan == "large_0000.nii.gz"
    assert need.shape == (80, 4, 6)
    assert need.new_shape == (27, 6, 6)  # from 1 x 3 x 2 mm to 3 x 2 x 2 mm
    assert need.preprocessing > 0


def test_a_scan_that_the_reader_turns_counts_as_it_delivers_it(tiny: Tiny):
    tiny.write("coronal", 0, shape=(7, 8, 9), orientation="LSA")
    for reader, shape in (("SimpleITKIO", (8, 7, 9)), ("SimpleITKIOWithReorient", (7, 8, 9))):
        plans = planned_for_host() | {"image_reader_writer": reader}
        need = estimate_host_need(tiny.raw, plans=plans, configuration="3d_fullres", dataset_json=DATASET_JSON)
        assert need is not None
        assert (need.scan, need.shape) == ("coronal_0000.nii.gz", shape)


def test_no_scan_no_prediction(tiny: Tiny):
    for file in (tiny.raw / "imagesUn").iterdir():
        file.unlink()
    found = estimate_host_need(
        tiny.raw, plans=planned_for_host(), configuration="3d_fullres", dataset_json=DATASET_JSON
    )
    assert found is None
