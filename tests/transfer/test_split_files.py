"""`muduo split` on folders of empty files: what it writes, what it links, what it leaves alone."""

import json
from pathlib import Path

import pytest
import SimpleITK

from nnunetv2_muduo import cli
from nnunetv2_muduo.cases.scan_checks import find_scans
from nnunetv2_muduo.datasets.scan_grid import ScanGrid
from nnunetv2_muduo.errors import UserError
from nnunetv2_muduo.harmonising.record import RECORD_FILE, CaseRecord
from nnunetv2_muduo.transfer.few_shot import Amount
from nnunetv2_muduo.transfer.split_files import WrittenSplits, write_splits

DATASET = "Dataset221_Tiny"
CASES = [f"fdg_{number}_{study}" for number in range(8) for study in "ab"]


class Project:
    """16 labelled cases of 8 patients, without content."""

    def __init__(self, folder: Path) -> None:
        self.raw, self.preprocessed = (folder / f"nnUNet_{part}" / DATASET for part in ("raw", "preprocessed"))
        for part in ("imagesTr", "labelsTr"):
            (self.raw / part).mkdir(parents=True)
        for case in CASES:
            for file in (f"imagesTr/{case}_0000", f"imagesTr/{case}_0001", f"labelsTr/{case}"):
                (self.raw / f"{file}.nii.gz").write_text(file)
        (self.raw / "dataset.json").write_text(json.dumps({"file_ending": ".nii.gz"}))

    @property
    def file(self) -> Path:
        return self.preprocessed / "splits_final.json"

    @property
    def unlabelled(self) -> list[str]:
        return sorted(find_scans(self.raw / "imagesUn", ".nii.gz")[0])

    def split(self, labelled: str = "3", validation: str = "4", **options) -> WrittenSplits:
        return write_splits("221", labelled=Amount.parse(labelled), validation=Amount.parse(validation), **options)

    def labelled_files(self) -> dict[str, str]:
        return {
            path.name: path.read_text() for part in ("imagesTr", "labelsTr") for path in (self.raw / part).iterdir()
        }


@pytest.fixture
def project(nnunet_folders: Path) -> Project:
    return Project(nnunet_folders)


def test_a_copy_beside_the_images_is_kept_equal_as_nnunets_planner_demands(project: Project):
    project.split()
    assert not (project.raw / "splits_final.json").exists()
    (project.raw / "splits_final.json").write_text("[]")
    project.split(labelled="2", overwrite=True)
    assert json.loads((project.raw / "splits_final.json").read_text()) == json.loads(project.file.read_text())
    assert len(list(project.raw.glob("splits_final*"))) == 1


@pytest.mark.parametrize("pattern", [None, "fdg_[0-9]+"])
def test_unlabelled_scans_of_patients_who_validate_are_told(project: Project, pattern: str | None):
    (project.raw / "imagesUn").mkdir()
    for number in (*range(8), 77):
        (project.raw / "imagesUn" / f"fdg_{number}_c_0000.nii.gz").touch()
    written = project.split(patient=pattern)
    validating = sorted({case.rpartition("_")[0] for case in written.splits[0].val})
    assert written.validating_too == tuple(f"{patient}_c" for patient in validating)
    assert (
        f"WARNING: 2 scan(s) of imagesUn, such as {validating[0]}_c, are of patients who validate" in written.summary()
    )
    for scan in written.validating_too:
        (project.raw / "imagesUn" / f"{scan}_0000.nii.gz").unlink()
    assert "WARNING" not in project.split(patient=pattern, rest_unlabelled=True).summary()


def test_the_file_is_what_nnunet_reads(project: Project):
    project.split(folds=3)
    splits = json.loads(project.file.read_text())
    assert [set(split) for split in splits] == [{"train", "val"}] * 3
    assert all(set(split["train"] + split["val"]) <= set(CASES) for split in splits)
    assert [(len(split["train"]), len(split["val"])) for split in splits] == [(3, 4)] * 3
    assert len({tuple(split["train"]) for split in splits}) > 1


def test_the_first_fold_is_the_same_however_many_follow(project: Project):
    assert project.split(folds=1).splits[0] == project.split(folds=3, overwrite=True).splits[0]


def test_splits_that_are_there_stay_unless_overwritten_and_are_kept(project: Project):
    project.preprocessed.mkdir(parents=True)
    project.file.write_text("[]")
    with pytest.raises(UserError, match="exists already"):
        project.split()
    assert project.file.read_text() == "[]"
    written = project.split(overwrite=True)
    assert written.backup is not None
    assert written.backup.read_text() == "[]"
    again = project.split("5", overwrite=True)
    assert again.backup not in (None, written.backup)
    assert written.backup.read_text() == "[]"


@pytest.mark.parametrize("content", [b"[{\xa2\xff", 100_000 * b"["], ids=["no text", "too deep"])
def test_a_file_of_splits_that_is_none_is_kept_byte_by_byte(project: Project, content: bytes):
    project.file.parent.mkdir(parents=True, exist_ok=True)
    project.file.write_bytes(content)
    with pytest.raises(UserError, match="exists already"):
        project.split()
    backup = project.split(overwrite=True).backup
    assert backup is not None
    assert backup.read_bytes() == content


def test_the_same_splits_again_are_no_mistake(project: Project):
    project.split()
    assert project.split().backup is None
    assert [path.name for path in project.preprocessed.iterdir()] == ["splits_final.json"]


def test_cases_without_a_label_map_are_not_split(project: Project):
    (project.raw / "labelsTr" / f"{CASES[0]}.nii.gz").unlink()
    assert CASES[0] not in project.split().patients
    assert len(project.split().patients) == len(CASES) - 1


def test_a_dataset_that_lists_its_files_is_split_too(project: Project):
    listed = {
        case: {"images": [f"imagesTr/{case}_0000.nii.gz"], "label": f"labelsTr/{case}.nii.gz"} for case in CASES[:8]
    }
    (project.raw / "dataset.json").write_text(json.dumps({"file_ending": ".nii.gz", "dataset": listed}))
    written = project.split("2", "2", rest_unlabelled=True)
    assert set(written.patients) == set(CASES[:8])
    assert project.unlabelled == sorted(written.linked)


def test_the_rest_is_linked_under_the_same_names(project: Project):
    before = project.labelled_files()
    written = project.split(rest_unlabelled=True)
    assert project.unlabelled == sorted(written.linked)
    assert len(written.linked) >= len(CASES) - 3 - 4 - 2
    for case in written.linked:
        for channel in ("0000", "0001"):
            link = project.raw / "imagesUn" / f"{case}_{channel}.nii.gz"
            assert link.is_symlink()
            assert link.read_text() == f"imagesTr/{case}_{channel}"
    assert project.labelled_files() == before


def test_links_survive_when_the_dataset_is_moved(project: Project):
    case = project.split(rest_unlabelled=True).linked[0]
    moved = project.raw.rename(project.raw.with_name("Dataset222_Moved"))
    assert (moved / "imagesUn" / f"{case}_0000.nii.gz").read_text() == f"imagesTr/{case}_0000"


def test_nobody_validates_and_is_unlabelled_after_another_split(project: Project):
    first = project.split("2", "2", rest_unlabelled=True)
    second = project.split("2", "2", seed=1, overwrite=True)
    now = set(project.unlabelled)
    used = {case for split in second.splits for case in (*split.train, *split.val)}
    assert set(first.linked) & used
    assert not now & used
    assert set(second.unlinked) == set(first.linked) - now
    assert now


def test_scans_of_the_users_own_in_the_folder_stay(project: Project):
    folder = project.raw / "imagesUn"
    folder.mkdir()
    (folder / f"{CASES[0]}_0000.nii.gz").write_text("mine")
    (folder / "other_0000.nii.gz").symlink_to(project.raw / "labelsTr" / f"{CASES[1]}.nii.gz")
    for seed in range(4):
        project.split(seed=seed, rest_unlabelled=True, overwrite=True)
    assert (folder / f"{CASES[0]}_0000.nii.gz").read_text() == "mine"
    assert (folder / "other_0000.nii.gz").is_symlink()


def test_nothing_is_written_when_nothing_is_left_to_link(project: Project):
    with pytest.raises(UserError, match="No case is left over"):
        project.split("100%", "2", rest_unlabelled=True)
    assert not project.file.exists()


def test_the_command_prints_a_table(project: Project, capsys: pytest.CaptureFixture):
    assert cli.main(["split", "-d", "221", "--labelled", "25%", "--validation", "4"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "16 labelled cases of 8 patients"
    assert lines[2].split() == ["0", "3", "(2)", "4", "(2)", "9"]
    assert lines[3].startswith("      labelled: fdg_")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["-d", "221", "--labelled", "20", "--validation", "4"], "16 cases of 8 patients"),
        (["-d", "222", "--labelled", "2", "--validation", "4"], "no dataset '222'"),
        (["-d", "221", "--labelled", "two", "--validation", "4"], "no amount of cases"),
        (["-d", "221", "--labelled", "2", "--validation", "4", "--folds", "0"], "0 folds"),
    ],
)
def test_mistakes_are_one_sentence(project: Project, capsys: pytest.CaptureFixture, arguments: list, message: str):
    assert cli.main(["split", *arguments]) == 2
    assert message in capsys.readouterr().err
    assert not project.file.exists()


def test_a_dataset_without_labels_is_named(project: Project):
    for path in (project.raw / "labelsTr").iterdir():
        path.unlink()
    with pytest.raises(UserError, match="no labelled cases"):
        project.split()


def test_patients_are_those_that_harmonise_recorded_unless_a_pattern_is_given(project: Project):
    grid = ScanGrid.of(SimpleITK.Image(2, 2, 2, SimpleITK.sitkUInt8))
    records = {
        case: CaseRecord(f"centre_{number // 4}", {}, (), grid, grid, None, None, ()).to_dict()
        for number, case in enumerate(CASES)
    }
    (project.raw / RECORD_FILE).write_text(json.dumps({"cases": records}))
    assert set(project.split().patients.values()) == {f"centre_{number}" for number in range(4)}
    assert len(set(project.split(patient="(.*)", overwrite=True).patients.values())) == len(CASES)
