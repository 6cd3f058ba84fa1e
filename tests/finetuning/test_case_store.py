"""Stored cases are what the files show, in the teacher's axes, no finer than asked for, and done once."""

from pathlib import Path

import blosc2
import numpy as np
import pytest
import SimpleITK
from phantom_datasets import write_dataset

from nnunetv2_muduo.errors import UserError
from nnunetv2_muduo.finetuning import case_store
from nnunetv2_muduo.finetuning.case_store import StoredCases, store_cases
from nnunetv2_muduo.finetuning.sources import CaseSource, labelled_cases
from nnunetv2_muduo.teachers.crops import IGNORED

TABLE = {0: 0, 1: 1, 2: 2}
DATASET_JSON = {"channel_names": {"0": "CT", "1": "PET"}, "file_ending": ".nii.gz"}


@pytest.fixture
def sources(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[CaseSource]:
    monkeypatch.setenv("nnUNet_raw", str(tmp_path / "raw"))
    write_dataset(tmp_path / "raw", "Dataset301_Good", orientations=("LPS", "RAS", "PIR"))
    return labelled_cases("Dataset301_Good", DATASET_JSON, modality="CT")


def store(sources: list[CaseSource], folder: Path, **changes) -> StoredCases:
    options = {"modality": "CT", "orientation": "LPS", "spacing_in_mm": 1.0, "table": TABLE, **changes}
    tables = {source.dataset: options.pop("table") for source in sources[:1]}
    return store_cases(sources, folder, tables=tables, progress=False, **options)


def test_files_of_any_orientation_show_the_liver_at_the_same_place(sources: list[CaseSource], tmp_path: Path) -> None:
    cases = store(sources, tmp_path / "cases")
    assert len(cases) == 3
    for case in cases:
        labels = np.asarray(case.labels[...])
        assert labels.shape == (24, 22, 20)
        assert labels.dtype == np.uint8
        assert (labels[6:16, 6:16, 3:9] == 1).all()
        assert (labels == 1).sum() == 600
        image = np.asarray(case.image[...])
        assert image.dtype == np.float16
        assert image[labels == 1].mean() == pytest.approx(60, abs=1)
        assert image[labels == 2].mean() == pytest.approx(120, abs=1)
        assert case.spacing_in_mm == pytest.approx((8, 8, 8))


def test_another_orientation_turns_the_axes(sources: list[CaseSource], tmp_path: Path) -> None:
    lps, ras = store(sources, tmp_path / "lps"), store(sources, tmp_path / "ras", orientation="RAS")
    assert np.array_equal(ras[0].labels[...], np.asarray(lps[0].labels[...])[:, ::-1, ::-1])


def test_fine_axes_are_coarsened_where_they_are(sources: list[CaseSource], tmp_path: Path) -> None:
    fine, coarse = store(sources, tmp_path / "fine")[0], store(sources, tmp_path / "coarse", spacing_in_mm=16.0)[0]
    assert coarse.image.shape == (12, 11, 10)
    assert coarse.spacing_in_mm == pytest.approx((16, 16, 16))
    means = np.asarray(fine.image[...]).astype(float).reshape(12, 2, 11, 2, 10, 2).mean((1, 3, 5))
    inside = (slice(3, -1), slice(1, -1), slice(1, -1))  # the air above is far from soft tissue
    assert np.abs(np.asarray(coarse.image[...]).astype(float) - means)[inside].mean() < 6
    labels = np.asarray(coarse.labels[...])
    assert (labels[4:7, 4:7, 2:4] == 1).all()
    assert (labels[8:] == 0).all()


def test_what_is_up_to_date_is_kept_and_what_changed_is_done_again(sources: list[CaseSource], tmp_path: Path) -> None:
    folder = tmp_path / "cases"
    store(sources, folder)
    times = {path.name: path.stat().st_mtime_ns for path in folder.iterdir()}
    store(sources, folder)
    assert {path.name: path.stat().st_mtime_ns for path in folder.iterdir()} == times
    labels = SimpleITK.ReadImage(str(sources[1].labels))
    SimpleITK.WriteImage(labels * 0, str(sources[1].labels))
    cases = store(sources, folder)
    assert not np.asarray(cases[1].labels[...]).any()
    changed = {path.name for path in folder.iterdir() if path.stat().st_mtime_ns != times[path.name]}
    assert {name.split(".")[0] for name in changed} == {sources[1].name}
    relabelled = store(sources, folder, table={0: 0, 1: 0, 2: IGNORED})
    assert set(np.unique(relabelled[0].labels[...]).tolist()) == {0, IGNORED}


@pytest.mark.parametrize("changed", [{"orientation": "RAS"}, {"spacing_in_mm": 16.0}])
def test_cases_of_another_teacher_are_not_taken_for_this_ones(sources, tmp_path: Path, changed: dict) -> None:
    store(sources, tmp_path / "cases")
    (again, *_), (new, *_) = (store(sources, tmp_path / folder, **changed) for folder in ("cases", "new"))
    assert np.array_equal(again.image[...], new.image[...])
    assert again.spacing_in_mm == new.spacing_in_mm


def test_a_folder_interrupted_in_the_middle_is_finished(sources: list[CaseSource], tmp_path: Path) -> None:
    folder = tmp_path / "cases"
    store(sources, folder)
    (folder / f"{sources[0].name}.json").unlink()
    (folder / f"{sources[1].name}.image.b2nd").unlink()
    assert (np.asarray(store(sources, folder)[1].image[...]) != 0).any()


def test_parameters_that_blosc2_writes_into_are_not_handed_over_again(
    sources: list[CaseSource], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As 3.3 to 4.0 do, and then refuse to open a file with what they wrote."""
    write = blosc2.asarray

    def writing_into(array, *, cparams: dict, **keywords):
        made = write(array, cparams=cparams, **keywords)
        cparams["typesize"] = array.itemsize
        return made

    monkeypatch.setattr(blosc2, "asarray", writing_into)
    opened: list[dict] = []
    monkeypatch.setattr(blosc2, "open", lambda *_, mode, dparams=None: opened.append(dparams))
    monkeypatch.setattr(case_store, "is_whole_array", lambda file: file.is_file())
    assert len(list(store(sources[:1], tmp_path / "cases"))) == 1
    assert opened == [{"nthreads": 1}, {"nthreads": 1}]


def rewrite(path: Path, change) -> None:
    SimpleITK.WriteImage(change(SimpleITK.ReadImage(str(path))), str(path))


def test_files_that_cannot_be_used_are_named(sources: list[CaseSource], tmp_path: Path) -> None:
    first = sources[:1]
    with pytest.raises(UserError, match=r"case0.nii.gz holds 2, which is no label"):
        store(first, tmp_path / "a", table={0: 0, 1: 1})
    rewrite(first[0].labels, lambda image: image[1:])
    with pytest.raises(UserError, match=r"case0\.nii\.gz and .*different grids .*size"):
        store(first, tmp_path / "b")
    rewrite(sources[1].image, lambda image: image * 1e6)
    with pytest.raises(UserError, match="neither HU nor SUV"):
        store(sources[1:2], tmp_path / "c")
    rewrite(sources[2].image, lambda image: image * float("nan"))
    with pytest.raises(UserError, match="NaN or infinite"):
        store(sources[2:], tmp_path / "d")
    nan = SimpleITK.GetImageFromArray(np.full((4, 4, 4), np.nan, np.float32))
    SimpleITK.WriteImage(nan, str(sources[1].labels))
    with pytest.raises(UserError, match=r"64 voxel\(s\) of the label map .*case1\.nii\.gz are NaN"):
        store(sources[1:2], tmp_path / "l")
    whole = first[0].image.read_bytes()
    for bytes_left, said in ((len(whole) // 2, "is truncated"), (100, "is truncated"), (0, "cannot be read")):
        first[0].image.write_bytes(whole[:bytes_left])
        with pytest.raises(UserError, match=rf"case0_0000.nii.gz {said}"):
            store(first, tmp_path / "e")


@pytest.mark.parametrize("ending", [".image.b2nd", ".labels.b2nd", ".json"])
def test_a_stored_file_that_is_cut_short_is_stored_again(
    sources: list[CaseSource], tmp_path: Path, ending: str
) -> None:
    whole = np.asarray(store(sources, tmp_path / "cases")[0].image[...])
    file = tmp_path / "cases" / f"{sources[0].name}{ending}"
    file.write_bytes(file.read_bytes()[:-10])
    assert np.array_equal(store(sources, tmp_path / "cases")[0].image[...], whole)


def test_images_of_the_other_modality_are_warned_of_once(tmp_path: Path, sources, capsys) -> None:
    for _ in range(2):
        store(sources, tmp_path / "cases", modality="PET")
    told = capsys.readouterr()
    warnings = [line for line in (told.out + told.err).splitlines() if "WARNING" in line]
    assert len(warnings) == len(sources)
    assert all("does not look like PET in SUV" in warning for warning in warnings)
    assert {source.name for source in sources} == {warning.split(": ")[1] for warning in warnings}


def test_images_of_the_right_modality_are_not(tmp_path: Path, sources, capsys) -> None:
    store(sources, tmp_path / "cases")
    assert "WARNING" not in "".join(capsys.readouterr())
