"""Both layouts into a dataset: what goes where, how, and what a second run makes of it."""

import json
import os
from pathlib import Path

import nibabel
import numpy as np
import pytest
import SimpleITK as sitk
from autopet_folders import STUDY, an_organ_map, write_organs
from autopet_project import CASES, STUDIES, Project
from centre_folders import CT_GRID, PET_GRID, a_ct, a_label, a_pet, write_case

from nnunetv2_muduo.autopet import recipe
from nnunetv2_muduo.autopet.plan import plan_conversion
from nnunetv2_muduo.autopet.recipe import told, told_of_absent
from nnunetv2_muduo.errors import UserError
from nnunetv2_muduo.files import sha256_of
from nnunetv2_muduo.harmonising.dataset import open_dataset
from nnunetv2_muduo.harmonising.images import Options
from nnunetv2_muduo.harmonising.layouts import PRESETS
from nnunetv2_muduo.harmonising.recipe import harmonise


@pytest.mark.parametrize("layout", ["release", "challenge"])
def test_every_set_is_where_nnunet_and_muduo_look_for_it(layout, request):
    project: Project = request.getfixturevalue(layout)
    summary = project.run()
    assert [len(project.cases(folder)) for folder in ("imagesTr", "imagesTs", "imagesUn")] == [
        4,
        2,
        12 - 6 - left(project),
    ]
    assert project.files("labelsTr") == project.cases("imagesTr")
    assert project.files("labelsTs") == project.cases("imagesTs")
    content = json.loads((project.dataset / "dataset.json").read_text())
    assert (content["channel_names"], content["labels"]) == ({"0": "CT", "1": "PET"}, {"background": 0, "lesion": 1})
    assert content["numTraining"] == 4
    (fold,) = json.loads((project.preprocessed / "splits_final.json").read_text())
    assert sorted(fold["train"] + fold["val"]) == project.cases("imagesTr")
    assert (tuple(fold["train"]), tuple(fold["val"])) == (summary.in_place["labelled"], summary.in_place["validation"])
    assert json.loads((project.dataset / "splits_final.json").read_text()) == [fold]
    assert len(summary.done) == len(project.plan.jobs)


def left(project: Project) -> int:
    return len(project.plan.sets.left_out)


def test_channels_are_ct_and_pet_and_links_to_the_sources(release):
    release.run()
    case = release.a_labelled_case()
    folder = release.folder / "source" / case.rpartition(f"_{STUDY}" if case.endswith(STUDY) else "_s2")[0]
    study = folder / case.removeprefix(f"{folder.name}_")
    for file, source in (
        (f"imagesTr/{case}_0000", "CTres"),
        (f"imagesTr/{case}_0001", "SUV"),
        (f"labelsTr/{case}", "SEG"),
    ):
        assert (release.dataset / f"{file}.nii.gz").resolve() == study / f"{source}.nii.gz"


def test_the_manifest_tells_hashes_and_what_became_of_each_case(release):
    release.run()
    manifest = release.manifest()
    assert len(manifest["cases"]) == len(release.plan.jobs)
    case = manifest["cases"][release.a_labelled_case()]
    assert case["set"] in ("labelled", "validation")
    assert case["how"] == ["linked"] * 3
    assert case["label_values"] == [0, 1]
    assert set(case["sources"]) == {"CT", "PET", "lesions"}
    for source in case["sources"].values():
        assert source["sha256"] == sha256_of(Path(source["path"]))
        assert source["bytes"] == Path(source["path"]).stat().st_size
    assert manifest["made_with"]["labelled"] == "2"
    assert manifest["further_studies_of_labelled_patients"] == list(release.plan.sets.left_out)


def test_copies_are_files_of_their_own_with_the_same_content(release):
    release.run(copy=True)
    manifest = release.manifest()
    for case in manifest["cases"].values():
        assert set(case["how"]) == {"copied"}
        for file, source in zip(case["files"], case["sources"].values(), strict=True):
            assert not (release.dataset / file).is_symlink()
            assert sha256_of(release.dataset / file) == source["sha256"]


def test_organs_and_both_take_the_organ_maps(challenge):
    maps = write_organs(challenge.folder / "organs", CASES[:10])
    (maps / "dataset.json").write_text(json.dumps({"labels": {"background": 0, "a": 1, "b": 2, "c": 3}}))
    challenge.run(target="organs", organs=maps)
    case = challenge.a_labelled_case()
    assert (challenge.dataset / "labelsTr" / f"{case}.nii.gz").resolve() == maps / f"{case}.nii.gz"
    assert not {*CASES[10:]} & {*challenge.cases("imagesTr"), *challenge.cases("imagesTs")}
    challenge.run(target="both", organs=maps, overwrite=True)
    content = json.loads((challenge.dataset / "dataset.json").read_text())
    assert content["labels"] == {"background": 0, "a": 1, "b": 2, "c": 3, "lesion": 4}
    organs, lesions = (sitk.GetArrayFromImage(image) for image in (an_organ_map(), a_label(PET_GRID)))
    np.testing.assert_array_equal(challenge.values(f"labelsTr/{case}"), np.where(lesions > 0, 4, organs))
    assert challenge.manifest()["cases"][case]["how"] == ["linked", "linked", "merged"]


def test_labels_that_no_case_shows_are_told(challenge):
    maps = write_organs(challenge.folder / "organs", CASES)
    summary = challenge.run(target="organs", organs=maps)
    assert "organ_1 to organ_12; name them with --organ-names" in challenge.plan.notes[0]
    assert "No labelled or validation case shows organ_4, organ_5" in told(summary, challenge.plan)


LESIONS = {"background": 0, "lesion": 1}


@pytest.mark.parametrize(
    ("labelled", "validation", "said"),
    [
        ([[0, 1], [0]], [[0, 1]], []),
        ([[0], [0]], [[0]], ["No labelled or validation case shows lesion"]),
        ([[0], [0]], [[0, 1]], ["No labelled case shows lesion: nothing can be learnt of it; try another"]),
        ([[0, 1], [0]], [[0]], ["No validation case shows lesion: neither its Dice nor how good teachers are"]),
    ],
)
def test_a_set_without_lesions_is_told(labelled: list, validation: list, said: list[str]):
    first, *others = told_of_absent({"labelled": labelled, "validation": validation}, LESIONS)
    assert (
        first == f"Lesions are in {sum(1 in v for v in labelled)} of 2 labelled and {len(validation[0]) - 1} of 1 "
        "validation case(s)."
    )
    assert [line.startswith(text) for line, text in zip(others, said, strict=True)] == [True] * len(said)


def test_of_organs_no_lesions_are_counted():
    assert told_of_absent({"labelled": [[0, 1]], "validation": [[0, 1]]}, {"background": 0, "liver": 1}) == []


def test_another_grid_is_refused_or_resampled_with_labels_by_the_nearest_voxel(release):
    for patient in STUDIES:
        write_case(release.folder / "source" / f"PETCT_{patient}" / STUDY, CTres=a_ct(CT_GRID), SEG=a_label(CT_GRID))
    with pytest.raises(UserError, match="cannot be had"):  # s2 of four patients is left
        release.run()
    assert not release.dataset.exists()
    release.run(resample=True)
    assert len(release.plan.jobs) + left(release) == 12
    for case, content in release.manifest()["cases"].items():
        if case.endswith(STUDY):
            assert content["how"][:2] == ["resampled", "linked"]
        for file in content["files"]:
            image = sitk.ReadImage(str(release.dataset / file))
            assert (image.GetSize(), image.GetSpacing()) == (PET_GRID.size, PET_GRID.spacing)
    labelled = [case for case in release.cases("imagesTr") if case.endswith(STUDY)]
    difference = release.values(f"labelsTr/{labelled[0]}") != sitk.GetArrayFromImage(a_label(PET_GRID))
    assert difference.mean() < 0.03
    assert set(np.unique(release.values(f"labelsTr/{labelled[0]}"))) == {0, 1}


def test_a_label_on_another_grid_makes_a_case_unlabelled_and_another_ct_leaves_it_out(release):
    write_case(release.folder / "source" / "PETCT_0" / STUDY, SEG=a_label(CT_GRID))
    write_case(release.folder / "source" / "PETCT_2" / STUDY, CTres=a_ct(CT_GRID))
    release.run()
    assert f"PETCT_0_{STUDY}" in release.cases("imagesUn")
    assert any(
        "can only be unlabelled: label map of lesions and PET lie on different" in line for line in release.lines
    )
    assert "--resample" in release.manifest()["cannot_be_used"][f"PETCT_2_{STUDY}"]


def test_a_skewed_ct_leaves_its_case_out_of_the_draw_and_is_told(release):
    case, file = f"PETCT_2_{STUDY}", release.folder / "source" / "PETCT_2" / STUDY / "CTres.nii.gz"
    image = nibabel.load(file)
    nibabel.save(nibabel.Nifti1Image(image.get_fdata(), image.affine + 0.3 * np.eye(4, k=2)), file)
    release.run()
    assert "skewed" in release.manifest()["cannot_be_used"][case]
    assert case not in release.plan.sets.by_case()


def test_a_second_run_keeps_everything_and_makes_what_changed(release):
    release.run()
    assert release.run().done == ()
    case = release.cases("imagesUn")[0]
    pet = (release.dataset / "imagesUn" / f"{case}_0001.nii.gz").resolve()
    sitk.WriteImage(a_pet(factor=1.5), str(pet))
    (release.dataset / "imagesUn" / f"{release.cases('imagesUn')[1]}_0000.nii.gz").unlink()
    summary = release.run()
    assert len(summary.done) == 2
    assert case in summary.done
    assert release.manifest()["cases"][case]["sources"]["PET"]["sha256"] == sha256_of(pet)


def test_other_sets_need_overwrite_and_leave_nothing_behind(release):
    release.run()
    before = (release.preprocessed / "splits_final.json").read_text()
    with pytest.raises(UserError, match="--overwrite"):
        release.run(seed=2)
    os.unlink(release.preprocessed / "splits_final.json")
    with pytest.raises(UserError, match=r"finished case\(s\) of Dataset221_AutoPET.*--overwrite"):
        release.run(seed=2)
    (release.preprocessed / "splits_final.json").write_text(before)
    summary = release.run(seed=2, overwrite=True)
    assert summary.backup is not None
    assert summary.backup.read_text() == before
    for folder, sets in (
        ("imagesTr", ("labelled", "validation")),
        ("imagesTs", ("test",)),
        ("imagesUn", ("unlabelled",)),
    ):
        assert release.cases(folder) == sorted(case for name in sets for case in summary.in_place[name])
    assert release.files("labelsTr") == release.cases("imagesTr")


def test_a_bad_case_is_told_and_the_split_names_those_that_are_there(release):
    case = release.run().in_place["labelled"][0]
    label = (release.dataset / "labelsTr" / f"{case}.nii.gz").resolve()
    sitk.WriteImage(a_label(PET_GRID, value=7), str(label))
    summary = release.run()
    assert "the label holds 7" in summary.skipped[case]
    assert case not in release.cases("imagesTr")
    (fold,) = json.loads((release.preprocessed / "splits_final.json").read_text())
    assert case not in fold["train"]
    assert json.loads((release.dataset / "dataset.json").read_text())["numTraining"] == 3
    assert "labelled        1 of 2" in told(summary, release.plan)
    sitk.WriteImage(a_label(PET_GRID), str(label))
    assert release.run().done == (case,)
    (fold,) = json.loads((release.preprocessed / "splits_final.json").read_text())
    assert case in fold["train"]


@pytest.mark.parametrize("which", ["labelled", "validation"])
def test_without_one_good_case_to_train_or_validate_on_no_other_is_converted(release, which):
    plan = plan_conversion(release.wishes, release.dataset, log=release.lines.append)
    bad = [job for job in plan.jobs if job.name in getattr(plan.sets, which)]
    for job in bad:
        sitk.WriteImage(a_label(PET_GRID, value=7), str(job.sources["lesions"]))
    with pytest.raises(UserError, match=f"Not one {which} case could be made"):
        release.run()
    assert len(release.cases("imagesTr")) == 2  # of the other set
    assert release.cases("imagesUn") == release.cases("imagesTs") == []
    for job in bad:
        sitk.WriteImage(a_label(PET_GRID), str(job.sources["lesions"]))
    summary = release.run()
    assert len(summary.kept) == 2
    assert len(summary.done) == len(plan.jobs) - 2


def test_splits_that_others_drew_of_the_same_cases_are_not_replaced_without_being_asked(release):
    summary = release.run()
    path = release.preprocessed / "splits_final.json"
    drawn = [{"train": list(summary.in_place["labelled"][:1]), "val": list(summary.in_place["validation"])}]
    path.write_text(json.dumps(drawn))
    with pytest.raises(UserError, match="holds other splits"):
        release.run()
    assert json.loads(path.read_text()) == drawn
    backup = release.run(overwrite=True).backup
    assert backup is not None
    assert json.loads(backup.read_text()) == drawn


def test_a_run_killed_between_the_splits_and_the_manifest_is_taken_up(release, monkeypatch):
    case = release.run().in_place["labelled"][0]
    label = (release.dataset / "labelsTr" / f"{case}.nii.gz").resolve()
    sitk.WriteImage(a_label(PET_GRID, value=7), str(label))
    with monkeypatch.context() as patched:
        patched.setattr(recipe, "write_manifest", lambda *_, **__: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            release.run()
    assert release.run().backup is None
    assert case not in release.manifest()["cases"]


def test_pet_that_is_not_suv_is_warned_of(release):
    case = f"PETCT_0_{STUDY}"
    write_case(release.folder / "source" / "PETCT_0" / STUDY, SUV=a_pet(factor=9000.0))
    summary = release.run()
    assert any(line.startswith(f"{case}: This does not look like PET in SUV") for line in release.lines)
    assert f"The PET of 1 case(s), such as {case}, does not look like SUV" in told(summary, release.plan)


def test_datasets_of_others_and_runs_of_others_are_left_alone(release):
    release.dataset.mkdir(parents=True)
    (release.dataset / "dataset.json").write_text("{}")
    with pytest.raises(UserError, match="was not made here"):
        release.run()
    (release.dataset / "dataset.json").unlink()
    with recipe.only_run(release.dataset), pytest.raises(UserError, match="Another run"):
        release.run()
    with pytest.raises(UserError, match="lies within the dataset itself"):
        release.run(folders=(release.dataset / "imagesTr",))


def test_this_command_and_harmonise_never_work_on_one_dataset_at_once(release, monkeypatch):
    monkeypatch.setenv("nnUNet_raw", str(release.dataset.parent))

    def harmonise_into_it(*_, **__):
        dataset = open_dataset(release.dataset.name, labels={"background": 0, "lesion": 1})
        harmonise(release.folder / "source", dataset, layout=PRESETS["autopet"], options=Options())

    for outer, its_work, inner in (
        (release.run, "nnunetv2_muduo.autopet.recipe.make_cases", harmonise_into_it),
        (harmonise_into_it, "nnunetv2_muduo.harmonising.recipe.make_cases", lambda *_, **__: release.run()),
    ):
        with monkeypatch.context() as meanwhile:
            meanwhile.setattr(its_work, inner)
            with pytest.raises(UserError, match=f"Another run is at work in {release.dataset}; wait until it is done"):
                outer()


def test_what_a_killed_run_left_is_cleared_away(release):
    (release.dataset / "autopet").mkdir(parents=True)
    (release.dataset / ".partial-killed" / "imagesTr").mkdir(parents=True)
    release.run()
    assert not list(release.dataset.glob(".partial*"))


def test_a_full_disk_ends_the_run_with_one_sentence(release, monkeypatch):
    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("nnunetv2_muduo.autopet.case.link_or_copy", full)
    with pytest.raises(UserError, match=r"No space left on device.*what is finished is kept"):
        release.run()
    assert not (release.dataset / "dataset.json").exists()


def test_copies_that_do_not_fit_are_refused_before_any_work(release, monkeypatch):
    monkeypatch.setattr(recipe.shutil, "disk_usage", lambda _: type("Usage", (), {"free": 1000}))
    with pytest.raises(UserError, match="leave --copy out"):
        release.run(copy=True)


def test_where_links_are_not_possible_it_is_told_and_copies_must_fit(release, monkeypatch):
    def refuse(*_):
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "symlink", refuse)
    with monkeypatch.context() as also:
        also.setattr(os, "link", refuse)
        with monkeypatch.context() as little:
            little.setattr(recipe.shutil, "disk_usage", lambda _: type("Usage", (), {"free": 1000}))
            with pytest.raises(UserError, match=r"Copies take .*make room, or have nnUNet_raw on a file system"):
                release.run()
        assert "takes no links to" in release.lines[-1]
        release.run()
        assert {how for case in release.manifest()["cases"].values() for how in case["how"]} == {"copied"}
    release.lines.clear()
    release.dataset = release.folder / "raw" / "Dataset222_HardLinks"
    release.run()
    assert release.lines == []
    assert {how for case in release.manifest()["cases"].values() for how in case["how"]} == {"hard-linked"}
    assert not list(release.dataset.glob(".partial*"))


def test_workers_do_the_same(release):
    one = release.run().in_place
    release.dataset = release.folder / "raw" / "Dataset222_Workers"
    assert release.run(num_processes=2).in_place == one
