"""What a teacher cache tells those who only look."""

import pickle
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from nnunetv2_muduo.cases.freshness import SOURCE_KEY
from nnunetv2_muduo.settings import Settings
from nnunetv2_muduo.teacher_cache.case import writing_case
from nnunetv2_muduo.teacher_cache.evidence import TileLayout
from nnunetv2_muduo.teacher_cache.state import CacheState, made_from, source_of, state_of

LAYOUT = TileLayout({"a": ((3, 4), np.dtype(np.float16))})
CASES = ("a", "pat 1.v2")
PATCH = (8, 10, 12)


@pytest.fixture
def scans(tmp_path: Path) -> Path:
    """Both scans preprocessed and cached."""
    scans = tmp_path / "scans"
    scans.mkdir()
    for case in CASES:
        preprocess(scans, case, size=1)
        told = made_from(Settings(), PATCH, source_of(scans, case))
        folder = tmp_path / "cache" / case
        with writing_case(folder, LAYOUT, centres=np.ones((1, 3), np.int32), fingerprint="f", made_from=told) as writer:
            writer.write(0, {"a": np.ones((3, 4), np.float16)})
    return scans


def preprocess(scans: Path, case: str, *, size: int) -> None:
    source = {"plans": "p", "files": [[f"{case}_0000.nii.gz", size, 1234]]}
    (scans / f"{case}.pkl").write_bytes(pickle.dumps({SOURCE_KEY: source}))


def state(scans: Path, *, cases=CASES, settings: Settings | None = None, patch=PATCH) -> CacheState:
    cache = scans.parent / "cache"
    return state_of(cache, cases, scans_folder=scans, settings=settings or Settings(), patch_size=patch)


def test_everything_fits_where_nothing_has_changed(scans: Path):
    found = state(scans)
    assert (found.fitting, found.cases) == (2, 2)
    assert found.size_in_bytes == sum(file.stat().st_size for file in found.folder.rglob("*") if file.is_file())


@pytest.mark.parametrize("change", [{"points": 5}, {"grid": "1.5mm"}, {"ct_teacher": None}, {"cache_tiles": 7}])
def test_other_settings_fit_nothing(scans: Path, change: dict):
    assert state(scans, settings=replace(Settings(), **change)).fitting == 0


def test_settings_that_the_cache_does_not_depend_on_may_change(scans: Path):
    assert state(scans, settings=replace(Settings(), keep_fraction=0.7, seed=3)).fitting == 2
    assert state(scans, settings=replace(Settings(), seed=3, point_strategy="random")).fitting == 0


def test_another_patch_or_another_scan_does_not_fit(scans: Path):
    assert state(scans, patch=(8, 10, 14)).fitting == 0
    preprocess(scans, CASES[0], size=2)
    assert state(scans).fitting == 1
    (scans / f"{CASES[1]}.pkl").unlink()
    assert state(scans).fitting == 0


def test_cases_that_are_not_whole_or_not_there_do_not_fit(scans: Path):
    assert state(scans, cases=(*CASES, "new")).fitting == 2
    (scans.parent / "cache" / "a" / "a.b2nd").unlink()
    assert (state(scans).fitting, state(scans).cases) == (1, 2)


def test_a_scan_whose_properties_are_cut_short_does_not_fit(scans: Path):
    properties = scans / "a.pkl"
    whole = properties.read_bytes()
    for length in range(len(whole)):
        properties.write_bytes(whole[:length])
        assert state(scans).fitting == 1
