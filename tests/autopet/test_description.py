"""What others wrote into dataset.json outlives further runs of the conversion."""

import json
from dataclasses import replace

import pytest
from autopet_folders import write_organs
from autopet_project import CASES, Project

from nnunetv2_muduo.autopet import recipe
from nnunetv2_muduo.errors import UserError
from nnunetv2_muduo.transfer.few_shot import Amount

OTHERS = {"overwrite_image_reader_writer": "SimpleITKIOWithReorient", "licence": "ours", "name": "PET of our patients"}


def description(project: Project) -> dict:
    return json.loads((project.dataset / "dataset.json").read_text())


def change(project: Project, **entries) -> None:
    (project.dataset / "dataset.json").write_text(json.dumps(description(project) | entries))


def test_entries_of_others_stay_where_cases_are_added(release):
    release.wishes = replace(release.wishes, only="PETCT_[0-5]_*")
    release.run()
    change(release, **OTHERS)
    assert release.run().done == ()
    assert description(release).items() >= OTHERS.items()
    summary = release.run(only=None, labelled=Amount(3), overwrite=True)
    assert summary.done
    content = description(release)
    assert content.items() >= OTHERS.items()
    assert (content["numTraining"], content["file_ending"]) == (5, ".nii.gz")
    assert content["channel_names"] == {"0": "CT", "1": "PET"}


def test_entries_of_others_stay_where_a_run_was_stopped_between(release, monkeypatch):
    release.run()
    change(release, **OTHERS)
    (release.dataset / "imagesUn" / f"{release.cases('imagesUn')[0]}_0000.nii.gz").unlink()
    with monkeypatch.context() as patched:
        patched.setattr(recipe, "make_cases", lambda *_, **__: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            release.run()
    assert not (release.dataset / "dataset.json").exists()
    (release.dataset / "dataset.json").write_text('{"seen": "between"}')  # by another command
    release.run()
    assert description(release).items() >= (OTHERS | {"seen": "between"}).items()


def test_labelled_cases_that_others_put_there_are_counted_and_their_labels_kept(release):
    release.run()
    labels = {"background": 0, "lesion": 1, "liver": 2}
    change(release, labels=labels)
    for channel in range(2):
        (release.dataset / "imagesTr" / f"theirs_{channel:04d}.nii.gz").touch()
    release.run()
    assert (description(release)["numTraining"], description(release)["labels"]) == (5, labels)


def test_another_target_leaves_none_of_the_labels_before(challenge):
    maps = write_organs(challenge.folder / "organs", CASES)
    (maps / "dataset.json").write_text(json.dumps({"labels": {"background": 0, "a": 1, "b": 2, "c": 3}}))
    challenge.run(target="both", organs=maps)
    challenge.run(target="organs", organs=maps, overwrite=True)
    assert description(challenge)["labels"] == {"background": 0, "a": 1, "b": 2, "c": 3}


def test_a_description_that_is_damaged_or_lists_files_is_refused_by_name(release):
    release.run()
    change(release, dataset={"case": {"images": ["a"], "label": "b"}})
    with pytest.raises(UserError, match=r"dataset\.json lists its files one by one"):
        release.run()
    (release.dataset / "dataset.json").write_text('{"labels"')
    with pytest.raises(UserError, match=r"dataset\.json is not valid JSON"):
        release.run()
    assert (release.dataset / "dataset.json").read_text() == '{"labels"'
