"""The teacher cache on three tiny scans: it says what the teachers say, and knows when it has to say it anew."""

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from nnunetv2.training.dataloading.nnunet_dataset import nnUNetDatasetBlosc2
from stub_teachers import EchoTeacher
from tiny_teachers import small_sam, small_unet
from torch import Tensor, nn

from nnunetv2_muduo.errors import UserError
from nnunetv2_muduo.semisupervised.answers import Patches, TeacherLabels
from nnunetv2_muduo.semisupervised.loading import UnlabelledDataLoader
from nnunetv2_muduo.semisupervised.teaching import Teaching
from nnunetv2_muduo.settings import Settings
from nnunetv2_muduo.teacher_cache import building, state
from nnunetv2_muduo.teacher_cache.building import (
    CacheSummary,
    build_teacher_cache,
    remove_other_cases,
    teaching_fingerprint,
    weights_digest,
)
from nnunetv2_muduo.teacher_cache.case import CachedCase
from nnunetv2_muduo.teacher_cache.evidence import from_stored
from nnunetv2_muduo.teacher_cache.loading import CachedDataLoader

PATCH = (8, 10, 12)
CASES = ("a", "b", "pat 1.v2")
SETTINGS = Settings(cache_tiles=5, point_strategy="centroid", seed=0)
ORGANS = 2


class Generator(nn.Module):
    """Finds organ 1 where the PET is hot and organ 2 where it is not quite."""

    def __init__(self) -> None:
        super().__init__()
        self.threshold = nn.Parameter(torch.tensor(1.0))

    def forward(self, image: Tensor) -> Tensor:
        pet = image[:, 1:2]
        hot, warm = pet > self.threshold, (pet > 0) & (pet <= self.threshold)
        return 6 * torch.cat([~(hot | warm), hot, warm], dim=1).float()


@pytest.fixture
def scans(tiny_dataset) -> Path:
    for seed, case in enumerate(CASES):  # one of them stored as the teachers know patients
        tiny_dataset.write_scan(case, seed=seed, orientation="RAS" if case == "b" else "LPS")
    return tiny_dataset.preprocess().folder


def loader_of(scans: Path, kind: Callable = UnlabelledDataLoader, **options) -> UnlabelledDataLoader:
    data = nnUNetDatasetBlosc2(str(scans))
    return kind(data, 2, patch_size=PATCH, raw_padding=(-1024.0, 0.0), seed=0, **options)


def teaching_of(settings: Settings = SETTINGS, **changes) -> Teaching:
    chosen = {"ct": EchoTeacher(), "pet": EchoTeacher(), "prompt_generator": Generator(), **changes}
    return Teaching(
        **chosen,
        settings=settings,
        patch_size=PATCH,
        spacing_in_mm=(3.0, 2.0, 2.5),
        channels=(0, 1),
        device=torch.device("cpu"),
        seed=settings.seed,
    )


def build(scans: Path, teaching: Teaching | None = None, **options) -> CacheSummary:
    arguments = {"organs": ORGANS, "progress": False, "log": lambda line: None, **options}
    folder = scans.parent / "cache"
    return build_teacher_cache(
        teaching or teaching_of(), loader_of(scans), scans_folder=scans, cache_folder=folder, **arguments
    )


def labels_at(scans: Path, teaching: Teaching, case: str, tile: int, student: Tensor) -> tuple[TeacherLabels, ...]:
    """What the teachers say about a tile without the cache and with it."""
    loader, cached = loader_of(scans), CachedCase(scans.parent / "cache" / case)
    opened, centre = loader.open_case(case), cached.centres[tile]
    clean, mask = loader.crop(opened, centre)
    raw = loader.raw_crop(opened, centre, clean, mask)
    batch = {name: torch.from_numpy(values[None]) for name, values in cached.tile(tile).items()}
    orientations = [opened.orientation]
    asked = teaching.label(Patches(clean[None], raw[None], orientations), student)
    return asked, teaching.conclude(from_stored(batch, torch.device("cpu"), orientations), student)


def student_of(seed: int = 0) -> Tensor:
    noise = torch.randn(1, ORGANS, *(size // 2 for size in PATCH), generator=torch.Generator().manual_seed(seed))
    return nn.functional.interpolate(3 * noise, size=PATCH, mode="trilinear").sigmoid()


@pytest.mark.parametrize("in_bfloat16", [False, True])
@pytest.mark.parametrize("grid", ["patch", "1.5mm"])
@pytest.mark.parametrize("make", [EchoTeacher, small_unet, small_sam])
@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"ct_prompt": "generator"},
        {"pet_teacher": None},
        {"ct_teacher": None, "point_mask": "none"},
    ],
    ids=["student prompts", "generator prompts", "CT alone", "PET alone"],
)
def test_cached_labels_equal_uncached_ones_within_rounding(scans, grid, make, changes, in_bfloat16):
    """Half the bits of the embedding, 7 significant bits of the logits: probabilities are off by less than 0.005."""
    settings = replace(SETTINGS, grid=grid, cache_tiles=2, **changes)
    off = {key: None for key, name in (("ct", "ct_teacher"), ("pet", "pet_teacher")) if getattr(settings, name) is None}
    if off == {"pet": None}:
        off["prompt_generator"] = None
    teaching = teaching_of(settings, **({"ct": make(), "pet": make()} | off))
    teaching.dual.in_bfloat16 = in_bfloat16
    build(scans, teaching)
    said = 0
    for case, tile in (("a", 0), ("b", 1)):
        uncached, cached = labels_at(scans, teaching, case, tile, student_of(tile))
        assert torch.equal(cached.valid, uncached.valid)
        for ours, plain in ((cached.p_ct, uncached.p_ct), (cached.p_pet, uncached.p_pet)):
            assert (ours is None) is (plain is None)
            if plain is not None:
                assert (ours - plain).abs().max() < 0.005
                said += int((plain > 0.01).any())
        assert (cached.generator is None) is (uncached.generator is None)
        assert cached.generator is None or torch.equal(cached.generator, uncached.generator)
    assert said >= 2


def test_answers_that_do_not_fit_their_prompts_are_rejected_from_the_cache_as_well(scans):
    teaching = teaching_of(replace(SETTINGS, min_prompt_iou=0.3))
    build(scans, teaching)
    seen = set()
    for tile in range(len(CachedCase(scans.parent / "cache" / "a"))):
        uncached, cached = labels_at(scans, teaching, "a", tile, student_of())
        assert torch.equal(cached.valid, uncached.valid)
        seen |= set(cached.valid.flatten().tolist())
    assert False in seen


def test_a_second_run_computes_nothing(scans):
    first = build(scans)
    assert first.built == CASES
    assert first.fresh == ()
    teaching = teaching_of()
    second = build(scans, teaching)
    assert second.fresh == CASES
    assert second.built == ()
    assert second.bytes_of_cases == first.bytes_of_cases
    assert len(teaching.dual.pet.images) == 0


def test_tiles_and_bytes_are_bounded_and_told(scans):
    lines: list[str] = []
    summary = build(scans, log=lines.append)
    for case in CASES:
        assert len(CachedCase(summary.folder / case)) <= 5
        assert summary.bytes_of_cases[case] < 5 * summary.bytes_per_tile
    assert f"{5 * summary.bytes_per_tile / 2**20:.0f} MiB a case before compression" in lines[0]
    assert "3 case(s) ready (3 computed now, 0 up to date)" in lines[1]


@pytest.mark.parametrize(
    "change",
    [
        {"settings": replace(SETTINGS, points=2)},
        {"settings": replace(SETTINGS, cache_tiles=4)},
        {"settings": replace(SETTINGS, grid="1.5mm")},
        {"ct": EchoTeacher(20)},
        {"pet": small_unet()},
        {"ct": None},
    ],
    ids=["points", "tiles", "grid", "CT teacher", "PET teacher", "CT off"],
)
def test_another_teacher_or_setting_makes_all_cases_stale(scans, change):
    build(scans)
    assert build(scans, teaching_of(**change)).built == CASES
    assert build(scans, teaching_of(**change)).built == ()


def test_a_generator_or_teacher_trained_further_makes_all_cases_stale(scans):
    generator, teacher = Generator(), EchoTeacher()
    build(scans, teaching_of(prompt_generator=generator, pet=teacher))
    for weight in (generator.threshold, teacher.weight):
        weight.data += 0.01
        assert build(scans, teaching_of(prompt_generator=generator, pet=teacher)).built == CASES


def test_settings_of_the_training_alone_leave_the_cache_fresh(scans):
    build(scans)
    other = replace(SETTINGS, min_iou=0.3, fusion="mean", consistency_weight=1.0, min_prompt_iou=0.2, seed=9)
    assert build(scans, teaching_of(other)).built == ()


def test_a_scan_that_changed_is_done_again_alone(scans, tiny_dataset):
    build(scans)
    tiny_dataset.write_scan("b", seed=77)
    tiny_dataset.preprocess()
    summary = build(scans)
    assert (summary.built, summary.fresh) == (("b",), ("a", "pat 1.v2"))


def test_a_scan_stored_another_way_round_is_done_again_where_teachers_have_to_mirror_it(scans, monkeypatch):
    build(scans)
    monkeypatch.setattr(building, "orientation_of", lambda properties: "RAS")  # what teachers know
    assert build(scans).built == ("a", "pat 1.v2"), "those that were mirrored"
    monkeypatch.setattr(building, "orientation_of", lambda properties: None)
    assert build(scans).built == ()


def test_a_scan_whose_body_was_looked_for_across_another_axis_is_done_again(scans, monkeypatch):
    build(scans)
    folder = scans.parent / "cache"
    about = {"scans_folder": scans, "settings": SETTINGS, "patch_size": PATCH}
    assert state.state_of(folder, CASES, **about).fitting == 3
    monkeypatch.setattr(state, "body_axis", lambda properties: 1)
    assert state.state_of(folder, CASES, **about).fitting == 0
    assert build(scans).built == CASES
    assert state.state_of(folder, CASES, **about).fitting == 3


@pytest.mark.parametrize(("strategy", "built"), [("first", CASES), ("centroid", ())])
def test_first_points_in_another_order_than_today_are_done_again(scans, monkeypatch, strategy: str, built: tuple):
    given = replace(SETTINGS, point_strategy=strategy)
    with monkeypatch.context() as earlier:
        for module in (state, building):
            earlier.setattr(module, "FIRST", "as the scan was stored")
        build(scans, teaching_of(given))
    assert build(scans, teaching_of(given)).built == built


def test_an_interrupted_run_goes_on_where_it_stopped(scans, monkeypatch):
    done = []

    def stop_in_the_second_case(teaching, loader, case, centre):
        if len(done) > 6:
            raise KeyboardInterrupt
        done.append(centre)
        return evidence_at(teaching, loader, case, centre)

    evidence_at = building._evidence_at
    monkeypatch.setattr(building, "_evidence_at", stop_in_the_second_case)
    with pytest.raises(KeyboardInterrupt):
        build(scans)
    monkeypatch.undo()
    assert [path.name for path in (scans.parent / "cache").iterdir()] == ["a"]
    summary = build(scans)
    assert (summary.fresh, summary.built) == (("a",), ("b", "pat 1.v2"))


def test_half_a_case_is_not_used(scans):
    folder = build(scans).folder
    (folder / "a" / "pet_logits.b2nd").unlink()
    (folder / "b" / "cache.json").unlink()
    assert build(scans).built == ("a", "b")


def test_what_belongs_to_no_case_is_cleared_away(scans):
    folder = build(scans).folder
    shutil.copytree(folder / "a", folder / ".partial-1-a")
    remove_other_cases(folder, ["a", "b"])
    assert sorted(path.name for path in folder.iterdir()) == ["a", "b"]
    remove_other_cases(folder / "nowhere", [])


def test_several_processes_share_the_cases(scans):
    first, second = (build(scans, share=(rank, 2)) for rank in range(2))
    assert first.built == ("a", "pat 1.v2")
    assert second.built == ("b",)
    assert build(scans).built == ()


def test_a_disk_that_is_too_small_is_told_before_and_on_the_way(scans, monkeypatch):
    usage = shutil.disk_usage(scans)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage._replace(free=1000))
    with pytest.raises(UserError, match="cache_tiles"):
        build(scans)
    assert not (scans.parent / "cache").exists()
    rooms = iter([10**9, 10**9, 0])
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage._replace(free=next(rooms)))
    with pytest.raises(UserError, match="teacher_cache=false"):
        build(scans)
    monkeypatch.undo()
    assert build(scans).fresh == ("a", "b")


def test_building_leaves_no_trace_in_the_random_numbers_and_random_points_follow_from_the_seed(scans):
    settings = replace(SETTINGS, point_strategy="random")
    teaching = teaching_of(settings)
    before = teaching.randomness.get_state()
    folder = build(scans, teaching).folder
    assert torch.equal(teaching.randomness.get_state(), before)
    drawn = [CachedCase(folder / "b").tile(0)["pet_logits"] for _ in range(2)]
    shutil.rmtree(folder)
    build(scans, teaching_of(settings), share=(1, 2))
    assert np.array_equal(CachedCase(folder / "b").tile(0)["pet_logits"], drawn[0])
    assert build(scans, teaching_of(replace(settings, seed=1)), share=(1, 2)).built == ("b",)
    assert not np.array_equal(CachedCase(folder / "b").tile(0)["pet_logits"], drawn[0])


def test_the_loader_hands_out_tiles_with_their_evidence_and_the_students_view(scans):
    folder = build(scans).folder
    loader = loader_of(scans, CachedDataLoader, cache_folder=folder, transforms=None)
    seen = set()
    for _ in range(12):
        batch = next(loader)
        assert set(batch) == {"image", "clean", "evidence", "keys", "orientations", "tiles"}
        assert batch["orientations"] == ["RAS" if key == "b" else "LPS" for key in batch["keys"]]
        assert batch["image"].shape == (2, 2, *PATCH)
        for index, (key, tile) in enumerate(zip(batch["keys"], batch["tiles"], strict=True)):
            case = CachedCase(folder / key)
            clean, _ = loader.crop(loader.open_case(key), case.centres[tile])
            assert torch.equal(batch["image"][index], clean)
            assert torch.equal(batch["clean"][index], clean)
            for name, values in case.tile(tile).items():
                assert np.array_equal(batch["evidence"][name][index].numpy(), values)
                assert batch["evidence"][name].device.type == "cpu"
            seen.add((key, tile))
    assert len(seen) > 8


def test_weights_are_told_apart_by_value_and_by_kind():
    first, same, other = EchoTeacher(), EchoTeacher(), small_unet(1)
    assert weights_digest(first) == weights_digest(same)
    same.weight.data += 1e-6
    assert weights_digest(first) != weights_digest(same)
    assert weights_digest(small_unet(0)) != weights_digest(other)
    assert weights_digest(first.half()) != weights_digest(EchoTeacher())


def test_patches_whose_axes_lie_otherwise_have_a_cache_of_their_own():
    plain, turned = teaching_of(), teaching_of()
    turned.axes = (1, 0, 2)
    first, second = (teaching_fingerprint(teaching, patch_size=PATCH, organs=ORGANS) for teaching in (plain, turned))
    assert first != second
