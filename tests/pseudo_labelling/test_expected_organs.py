"""Which organs every scan ought to show."""

from pathlib import Path

import numpy as np
import pytest
from pseudo_project import organs, write

from nnunetv2_muduo.errors import UserError
from nnunetv2_muduo.pseudo_labelling.expected_organs import MOST_READ, expected_organs, held_labels

ORGANS = {"liver": 1, "spleen": 2, "bladder": 3}


def label_maps(folder: Path, *, cases: int, without_spleen: int = 0) -> list[Path]:
    """Liver and spleen, the latter not in the first cases; no bladder."""
    files = [folder / f"case_{number}.nii.gz" for number in range(cases)]
    for number, file in enumerate(files):
        write(np.where((organs() == 2) & (number < without_spleen), 0, organs()).astype(np.uint8), file)
    return files


def usual(files: list[Path], **options) -> frozenset[str]:
    return expected_organs(["usual"], ORGANS, files, log=lambda line: None, **options)


def test_usual_organs_are_those_of_nine_cases_in_ten(tmp_path: Path):
    assert usual(label_maps(tmp_path, cases=10, without_spleen=1)) == {"liver", "spleen"}
    assert usual(label_maps(tmp_path, cases=10, without_spleen=2)) == {"liver"}


@pytest.mark.parametrize("name", ["lesion", "Lesions", "liver tumour", "bone_metastasis"])
def test_a_lesion_that_all_labelled_cases_show_is_not_usual(tmp_path: Path, name: str):
    files = label_maps(tmp_path, cases=5)
    assert expected_organs(["usual"], {"liver": 1, name: 2}, files, log=lambda line: None) == {"liver"}
    assert expected_organs([name], {"liver": 1, name: 2}, files) == {name}


def test_other_processes_find_the_same(tmp_path: Path):
    assert usual(label_maps(tmp_path, cases=5, without_spleen=1), num_processes=2) == {"liver"}


def test_of_a_few_cases_nothing_is_usual_and_that_is_said(tmp_path: Path):
    said: list[str] = []
    assert expected_organs(["usual"], ORGANS, label_maps(tmp_path, cases=4), log=said.append) == frozenset()
    assert "Too few labelled cases (4)" in said[0]


def test_label_maps_that_cannot_be_read_do_not_count_and_empty_ones_do(tmp_path: Path):
    files = label_maps(tmp_path, cases=6)
    files[0].write_bytes(files[0].read_bytes()[:40])
    assert held_labels(files[0], (1, 2, 3)) is None
    assert usual(files) == {"liver", "spleen"}
    write(np.zeros_like(organs()), files[1])
    assert held_labels(files[1], (1, 2, 3)) == frozenset()
    assert usual(files) == frozenset()


def test_no_more_label_maps_are_read_than_needed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (file,) = label_maps(tmp_path, cases=1)
    said: list[str] = []
    expected_organs(["usual"], ORGANS, [file] * (3 * MOST_READ + 1), log=said.append)
    assert int(said[0].split("(as ")[1].split()[0]) <= MOST_READ


def test_organs_can_be_named_or_none_be_asked_for(tmp_path: Path):
    assert expected_organs(["bladder", "liver"], ORGANS, []) == {"bladder", "liver"}
    assert expected_organs(["none"], ORGANS, label_maps(tmp_path, cases=5)) == frozenset()
    with pytest.raises(UserError, match=r"no organ lever; --require-organs wants some of liver, spleen, bladder"):
        expected_organs(["lever", "liver"], ORGANS, [])
