"""`muduo convert-autopet` as a user types it, what nnU-Net and other commands make of the result, and the page."""

import csv
import json
import re
import shlex
from argparse import ArgumentParser
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from autopet_folders import STUDY, write_challenge, write_organs, write_release
from nnunetv2.experiment_planning.experiment_planners.default_experiment_planner import _maybe_copy_splits_file
from nnunetv2.experiment_planning.verify_dataset_integrity import verify_dataset_integrity
from nnunetv2.preprocessing.normalization.map_channel_name_to_normalization import get_normalization_scheme

from nnunetv2_muduo import cli
from nnunetv2_muduo.autopet.description import CHANNELS, NORMALISATION
from nnunetv2_muduo.cases.scan_checks import find_scans
from nnunetv2_muduo.commands import convert_autopet
from nnunetv2_muduo.datasets.scan_io import image_like

ROOT = Path(__file__).resolve().parents[2]
ANATOMY = ROOT.parent / "shared" / "anatomy"
PAGE = (ROOT / "docs" / "autopet.md").read_text(encoding="utf-8")
NAME = "Dataset221_AutoPET"


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for part in ("raw", "preprocessed", "results"):
        (tmp_path / part).mkdir()
        monkeypatch.setenv(f"nnUNet_{part}", str(tmp_path / part))
    return tmp_path


def converted(source: Path, *options: str, target: str = "lesions") -> int:
    sets = ["--labelled", "2", "--validation", "1", "--test", "1", "-np", "1"]
    return cli.main(["convert-autopet", str(source), "-d", NAME, "--target", target, *sets, *options])


def test_nnunet_and_muduo_take_the_dataset(project, capsys):
    source = write_release(project / "AutoPET, v1.0 (März)", {str(number): [STUDY] for number in range(6)})
    assert converted(source) == 0
    printed = capsys.readouterr().out
    assert "labelled        2         2  imagesTr, labelsTr" in printed
    assert "Next: nnUNetv2_plan_and_preprocess -d 221" in printed
    dataset = project / "raw" / NAME
    verify_dataset_integrity(str(dataset), num_processes=1)
    assert len(find_scans(dataset / "imagesUn", ".nii.gz")[0]) == 2
    assert cli.main(["split", "-d", "221", "--labelled", "1", "--validation", "1", "--overwrite"]) == 0
    splits = [project / part / NAME / "splits_final.json" for part in ("raw", "preprocessed")]
    _maybe_copy_splits_file(*map(str, splits))  # stops where they differ


def test_a_file_where_nnunets_folder_should_be_is_one_sentence(project, capsys):
    source = write_release(project / "release", {str(number): [STUDY] for number in range(6)})
    (project / "raw").rmdir()
    (project / "raw").touch()
    assert converted(source) == 2
    assert f"ERROR: {project / 'raw'}" in capsys.readouterr().err


def test_a_dry_run_tells_the_counts_and_writes_nothing(project, capsys):
    source = write_challenge(project / "source", [f"psma_{number}_2018-04-23" for number in range(6)])
    (source / "imagesTr" / "psma_0_2018-04-23_0001.nii.gz").unlink()
    assert converted(source, "--dry-run") == 0
    printed = capsys.readouterr().out
    assert "unlabelled      1         1  imagesUn" in printed
    assert "cannot be used: " in printed
    assert "copy the missing file again" in printed
    assert "5 cases, 0.0 GB of files; nothing was written." in printed
    assert list((project / "raw").iterdir()) == list((project / "preprocessed").iterdir()) == []


@pytest.mark.parametrize(
    ("options", "target", "words"),
    [
        ([], "organs", "name their folder with --organs"),
        (["--organs", "nowhere"], "lesions", "--organs has no use"),
        (["--organs", "nowhere"], "both", "no folder nowhere with organ maps"),
        (["--organs", "{organs}"], "organs", "is called like a scan"),
        (["--labelled", "0"], "lesions", "no amount of cases"),
        (["--validation", "50"], "lesions", "ask for fewer"),
        (["--only", "psma_*"], "lesions", "No case is called like"),
    ],
)
def test_mistakes_are_one_sentence(project, capsys, options, target, words):
    source = write_release(project / "source", {str(number): [STUDY] for number in range(6)})
    organs = write_organs(project / "organs", ["fdg_77_x"])
    assert converted(source, *(option.format(organs=organs) for option in options), target=target) == 2
    error = capsys.readouterr().err
    assert words in error
    assert error.replace("reading headers", "").count("ERROR") == 1
    assert list((project / "raw").iterdir()) == []


@pytest.mark.skipif(not ANATOMY.is_dir(), reason="the organ maps beside the project are missing")
def test_published_organ_maps_find_the_scans_they_were_made_for(project):
    """Real maps under their published names, every eighth voxel; images drawn around them."""
    with (ANATOMY / "index.csv").open(encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))[:6]
    organs = project / "organs"
    (project / "challenge" / "imagesTr").mkdir(parents=True)
    organs.mkdir()
    for row in rows:
        image = sitk.ReadImage(str(ANATOMY / row["file"]))[::8, ::8, ::8]
        array = sitk.GetArrayFromImage(image)
        case = row["source"].removesuffix(".nii.gz")
        sitk.WriteImage(image, str(organs / row["source"]))
        for channel, values in enumerate(
            (np.where(array > 0, 40, -1000).astype(np.int16), (0.3 + array).astype(np.float32))
        ):
            path = project / "challenge" / "imagesTr" / f"{case}_{channel:04d}.nii.gz"
            sitk.WriteImage(image_like(values, image), str(path))
    names = {name: value for value, name in enumerate(list(rows[0])[8:], start=1)}
    (project / "names.json").write_text(json.dumps(names))
    options = ["--organs", str(organs), "--organ-names", str(project / "names.json")]
    assert converted(project / "challenge", *options, target="organs") == 0
    dataset = project / "raw" / NAME
    verify_dataset_integrity(str(dataset), num_processes=1)
    labels = sorted((dataset / "labelsTr").iterdir())
    assert [label.resolve() for label in labels] == [organs / label.name for label in labels]
    told = json.loads((dataset / "autopet.json").read_text())["cases"]
    row = next(row for row in rows if row["source"] == labels[0].name)
    shown = [
        name for name, value in names.items() if value in told[labels[0].name.removesuffix(".nii.gz")]["label_values"]
    ]
    assert {"liver", "lungs", "brain"} <= set(shown) <= {name for name in names if int(row[name])}


def test_normalisation_of_the_page_and_of_dataset_json_is_nnunets():
    for channel, told in NORMALISATION.items():
        scheme = get_normalization_scheme(channel).__name__
        assert told.startswith(f"{scheme}:")
        assert scheme in PAGE
    assert set(CHANNELS.values()) == set(NORMALISATION)


def test_every_command_of_the_page_is_accepted():
    commands = re.findall(r"^    (muduo (?:.+\\\n)*.+)$", PAGE, re.MULTILINE)
    assert len(commands) >= 4
    for command in commands:
        for part in command.replace("\\\n", " ").split(" && "):
            cli.build_parser().parse_args(shlex.split(part)[1:])


def test_the_table_names_every_option_and_no_other():
    parser = ArgumentParser(add_help=False)
    convert_autopet.COMMAND.add_arguments(parser)
    rows = [
        line.split("|")[1] for line in PAGE.partition("## Options")[2].partition("\n## ")[0].splitlines() if "|" in line
    ]
    named = {option for row in rows for option in re.findall(r"(?<![\w-])--?[a-z-]+", row)} - {"---"}
    assert named == {option for action in parser._actions for option in action.option_strings}
