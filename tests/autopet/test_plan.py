"""What a conversion is going to do, and what it does about cases that cannot be read."""

import unicodedata
from dataclasses import replace
from pathlib import Path

import pytest
from autopet_folders import STUDY, write_challenge, write_organs

from nnunetv2_muduo.autopet.plan import plan_conversion
from nnunetv2_muduo.autopet.recipe import told
from nnunetv2_muduo.errors import UserError
from nnunetv2_muduo.transfer.few_shot import Amount


@pytest.mark.parametrize("which", ["labelled", "test", "unlabelled"])
@pytest.mark.parametrize("role", ["PET", "lesions"])
def test_a_case_that_cannot_be_read_keeps_its_place_until_it_is_repaired(release, which, role):
    plan = plan_conversion(release.wishes, release.dataset, log=release.lines.append)
    case = getattr(plan.sets, which)[0]
    folder, _, _ = case.partition("_" + STUDY if case.endswith(STUDY) else "_s2")
    name = "SUV" if role == "PET" else "SEG"
    file = release.folder / "source" / folder / (STUDY if case.endswith(STUDY) else "s2") / f"{name}.nii.gz"
    whole = file.read_bytes()
    file.write_bytes(whole[: len(whole) // 2])
    summary = release.run()
    told_so = "\n".join((*release.lines, *release.plan.notes, told(summary, release.plan)))
    assert f"{name}.nii.gz is truncated; copy it again" in told_so
    assert release.plan.sets == plan.sets
    is_left_out = role == "PET" or which != "unlabelled"
    assert (case in summary.skipped) == (case not in summary.in_place[which]) == is_left_out
    if is_left_out and which != "unlabelled":
        assert "1 case(s) that were drawn cannot be read, such as " + case in release.plan.notes[0]
        assert f"{which:<11}{1:>6}" in release.plan.table()
    file.write_bytes(whole)
    assert release.run().done == ((case,) if is_left_out else ())
    assert case in release.manifest()["cases"]


def test_nothing_is_made_where_all_labelled_cases_cannot_be_read(release):
    plan = plan_conversion(release.wishes, release.dataset, log=release.lines.append)
    for job in plan.jobs:
        if job.name in plan.sets.validation:
            job.sources["CT"].write_bytes(job.sources["CT"].read_bytes()[:99])
    with pytest.raises(UserError, match=r"Not one validation case can be read: .*CTres\.nii\.gz is truncated"):
        release.run()
    assert not release.dataset.exists()


def test_a_finished_case_that_cannot_be_read_any_more_is_not_thrown_away(release):
    release.run(copy=True)
    case = release.plan.sets.labelled[0]
    (job,) = (job for job in release.plan.jobs if job.name == case)
    job.sources["PET"].write_bytes(b"no image")
    with pytest.raises(UserError, match=rf"such as {case} \(SUV.*copy it again\), would.*--overwrite"):
        release.run(copy=True)
    assert case in release.cases("imagesTr")


def test_only_takes_what_is_called_so(challenge):
    write_challenge(challenge.folder / "source", ["psma_1_a", "psma_2_a"])
    challenge.run(only="fdg_*")
    assert not [case for case in challenge.manifest()["cases"] if case.startswith("psma")]
    with pytest.raises(UserError, match="No case is called like"):
        challenge.run(only="nothing*")


def test_only_does_not_mind_how_letters_are_composed(challenge):
    plan = plan_conversion(
        replace(challenge.wishes, only=unicodedata.normalize("NFD", "*Ganzkörper*"), labelled=Amount(1)),
        challenge.dataset,
        log=challenge.lines.append,
    )
    assert len(plan.patients) == 8


def test_a_map_called_like_a_patient_of_two_studies_is_of_neither_though_only_takes_one(challenge):
    maps = write_organs(challenge.folder / "organs", ["1", "0", "2", "4", "6"])  # patient 1 has s2 as well
    plan = plan_conversion(
        replace(challenge.wishes, target="organs", organs=maps, only="*KM-1.2", labelled=None, test=None),
        challenge.dataset,
        log=challenge.lines.append,
    )
    assert f"fdg_1_{STUDY}" in plan.sets.unlabelled
    assert "1 organ map(s) are called like no scan and are not used: 1.nii.gz" in plan.notes[0]


def test_organ_maps_of_no_scan_are_told_with_their_folders(challenge):
    maps = write_organs(challenge.folder / "organs", ["0", "2", "4", "6"])
    stray = maps / "PETCT_0f" / "2005" / "organs.nii.gz"
    stray.parent.mkdir(parents=True)
    stray.write_bytes(next(maps.glob("*.nii.gz")).read_bytes())
    plan = plan_conversion(
        replace(challenge.wishes, target="organs", organs=maps, labelled=None, test=None),
        challenge.dataset,
        log=challenge.lines.append,
    )
    assert f"are not used: {Path('PETCT_0f', '2005', 'organs.nii.gz')}." in plan.notes[0]
