import pytest
from evaluated_folders import write_study
from trained_folders import write_fold

from nnunetv2_muduo import cli


@pytest.fixture
def results(nnunet_folders):
    return nnunet_folders / "nnUNet_results"


def test_trainings_are_found_by_dataset_and_trainers(results, tmp_path, capsys):
    for trainer in ("nnUNetTrainer", "nnUNetTrainerMuDuo"):
        write_fold(results, trainer=trainer, plans_name="P")
    out = tmp_path / "new" / "report.html"
    asked = ["-d", "7", "-p", "P", "-tr", "nnUNetTrainer", "nnUNetTrainerMuDuo", "-o", str(out)]
    assert cli.main(["report", *asked]) == 0
    assert "Training report: nnUNetTrainer and MuDuo" in out.read_text("utf-8")
    assert f"Written to {out}" in capsys.readouterr().out


def test_folders_and_evaluations_are_shown(results, tmp_path):
    reference, folders = write_study(tmp_path)
    evaluation = tmp_path / "evaluation"
    assert cli.main(["evaluate", str(reference), str(folders["poor"]), "-np", "1", "-o", str(evaluation)]) == 0
    fold, out = write_fold(results), tmp_path / "report.html"
    assert cli.main(["report", f"ours={fold}", "--evaluation", str(evaluation), "-o", str(out)]) == 0
    text = out.read_text("utf-8")
    assert "Training report: ours" in text
    assert "HD95 in mm" in text


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["-o", "r.html"], "nothing to report on"),
        (["{fold}", "-tr", "X", "-o", "r.html"], "of which dataset"),
        (["{fold}", "-o", "r.txt"], "does not end in .html"),
        (["{fold}", "-o", "r.html", "--cases", "-1"], "--cases is -1"),
        (["{fold}", "{fold}", "-o", "r.html"], "given twice"),
        (["{fold}/validation", "-o", "r.html"], "no folder"),
        (["{fold}", "-o", "r.html", "--evaluation", "{fold}"], "muduo evaluate"),
        (["-d", "7", "-tr", "Other", "-o", "r.html"], "nnUNetTrainerMuDuo__nnUNetPlans__3d_fullres/fold_0"),
    ],
)
def test_mistakes_are_one_sentence(results, tmp_path, monkeypatch, capsys, arguments, said):
    monkeypatch.chdir(tmp_path)
    fold = write_fold(results)
    assert cli.main(["report", *(argument.format(fold=fold) for argument in arguments)]) == 2
    error = capsys.readouterr().err
    assert said in error
    assert error.startswith("ERROR: ")
    assert not list(tmp_path.glob("r.*"))
