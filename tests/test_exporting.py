import errno
import json
import os
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from nnunetv2.inference.predict_from_raw_data import nnUNetPredictor
from nnunetv2.utilities.plans_handling.plans_handler import PlansManager
from planned_dataset import DATASET, DATASET_JSON
from trained_model import TRAINER, Model, network_of

from nnunetv2_muduo.errors import UserError
from nnunetv2_muduo.exporting import export_model
from nnunetv2_muduo.nnunet_folders import FOLDER_VARIABLES

PLAIN = "nnUNetTrainer__nnUNetPlans__3d_fullres"

PREDICT_LOGITS = """
import sys
sys.modules["nnunetv2_muduo"] = None  # an environment without this package
import numpy as np
import torch
from nnunetv2.inference.predict_from_raw_data import nnUNetPredictor

model, image, logits, *folds = sys.argv[1:]
predictor = nnUNetPredictor(device=torch.device("cpu"), use_mirroring=True, allow_tqdm=False)
predictor.initialize_from_trained_model_folder(model, folds or None, checkpoint_name="checkpoint_final.pth")
np.save(logits, predictor.predict_logits_from_preprocessed_data(torch.from_numpy(np.load(image))).numpy())
"""


@pytest.fixture
def model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Model:
    for variable in FOLDER_VARIABLES:
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("nnUNet_results", str(tmp_path / "nnUNet_results"))
    return Model(tmp_path / "nnUNet_results")


def export(model: Model, tmp_path: Path, **options):
    return export_model("21", output=tmp_path / "out put", **{"log": lambda text: None} | options)


def predicted_before_export(model: Model, networks: list[torch.nn.Module], image: np.ndarray) -> np.ndarray:
    """Logits of nnU-Net's own predictor, given the trained networks as they are."""
    predictor = nnUNetPredictor(device=torch.device("cpu"), use_mirroring=True, allow_tqdm=False)
    manager = PlansManager(model.plans)
    predictor.manual_initialization(
        network_of(model.plans, seed=0, deep_supervision=False),
        manager,
        manager.get_configuration("3d_fullres"),
        [network.state_dict() for network in networks],
        DATASET_JSON,
        TRAINER,
        (0, 1, 2),
    )
    return predictor.predict_logits_from_preprocessed_data(torch.from_numpy(image)).numpy()


def test_stock_nnunet_without_this_package_predicts_the_same_logits(model, tmp_path):
    networks = [model.add_fold("0"), model.add_fold("1")]
    exported = export(model, tmp_path)
    assert exported.folds == ("0", "1")
    image = np.random.default_rng(0).standard_normal((2, 16, 16, 20)).astype(np.float32)
    np.save(tmp_path / "image.npy", image)
    environment = {key: value for key, value in os.environ.items() if key != "nnUNet_extTrainer"}
    environment["OMP_NUM_THREADS"] = str(torch.get_num_threads())  # the number of threads decides the last bit of a sum
    command = [sys.executable, "-c", PREDICT_LOGITS, exported.folder, tmp_path / "image.npy", tmp_path / "logits.npy"]
    subprocess.run(command, check=True, env=environment, timeout=300, capture_output=True)
    expected = predicted_before_export(model, networks, image)
    assert expected.shape == (3, 16, 16, 20)
    assert np.array_equal(np.load(tmp_path / "logits.npy"), expected)


def test_exported_weights_are_the_trained_ones_bit_by_bit(model, tmp_path):
    trained = model.add_fold("all").state_dict()
    folder = export(model, tmp_path).folder
    weights = torch.load(folder / "fold_all" / "checkpoint_final.pth", weights_only=False)["network_weights"]
    assert list(weights) == list(trained)
    assert all(torch.equal(weights[name], trained[name]) for name in trained)


def test_nothing_of_this_package_is_left_but_a_note_of_where_it_came_from(model, tmp_path):
    model.add_fold("0")
    folder = export(model, tmp_path).folder
    assert folder == tmp_path / "out put" / DATASET / PLAIN
    checkpoint = torch.load(folder / "fold_0" / "checkpoint_final.pth", weights_only=False)
    assert checkpoint["trainer_name"] == "nnUNetTrainer"
    assert "muduo" not in checkpoint["init_args"]["plans"]
    assert not {"muduo", "optimizer_state", "logging"} & set(checkpoint)
    assert "muduo" not in json.loads((folder / "plans.json").read_text())
    origin = json.loads((folder / "exported_from.json").read_text())
    assert (origin["trainer"], origin["muduo"]) == (TRAINER, {"points": 5})


def test_the_trained_model_is_left_alone(model, tmp_path):
    model.add_fold("0")
    before = {path: path.read_bytes() for path in model.folder.rglob("*") if path.is_file()}
    export(model, tmp_path)
    assert {path: path.read_bytes() for path in model.folder.rglob("*") if path.is_file()} == before


def test_the_zip_unpacks_into_nnunet_results(model, tmp_path):
    model.add_fold("0")
    exported = export(model, tmp_path)
    with zipfile.ZipFile(exported.zip_file) as archive:
        archive.extractall(tmp_path / "other results")
    unpacked = tmp_path / "other results" / DATASET / PLAIN
    files = sorted(path.relative_to(exported.folder) for path in exported.folder.rglob("*") if path.is_file())
    assert files == sorted(path.relative_to(unpacked) for path in unpacked.rglob("*") if path.is_file())
    assert all((unpacked / file).read_bytes() == (exported.folder / file).read_bytes() for file in files)


def test_postprocessing_of_the_exported_folds_comes_along(model, tmp_path):
    for fold in ("0", "1"):
        model.add_fold(fold)
        (model.folder / f"fold_{fold}" / "validation").mkdir()
        (model.folder / f"fold_{fold}" / "validation" / "summary.json").write_text("{}")
        (model.folder / f"fold_{fold}" / "validation" / "case.nii.gz").write_bytes(b"image")
    results = model.folder / "crossval_results_folds_0_1"
    results.mkdir()
    (results / "postprocessing.pkl").write_bytes(b"rules")
    (results / "case.nii.gz").write_bytes(b"image")
    folder = export(model, tmp_path).folder
    assert (folder / results.name / "postprocessing.pkl").read_bytes() == b"rules"
    assert (folder / "fold_1" / "validation" / "summary.json").is_file()
    assert not list(folder.rglob("*.nii.gz"))


def test_only_finished_folds_are_exported_unless_another_checkpoint_is_named(model, tmp_path):
    model.add_fold("0")
    model.add_fold("1", name="checkpoint_best.pth")
    assert export(model, tmp_path).folds == ("0",)
    best = export(model, tmp_path, checkpoint="checkpoint_best.pth", overwrite=True)
    assert best.folds == ("1",)
    assert [path.name for path in best.folder.rglob("*.pth")] == ["checkpoint_best.pth"]
    assert "-chk checkpoint_best.pth" in best.predict_command()


def test_a_full_disk_names_the_model_folder_and_keeps_the_earlier_export(model, tmp_path, monkeypatch):
    model.add_fold("0")
    exported = export(model, tmp_path)
    before = (exported.folder / "exported_from.json").read_bytes()

    def fail(content, path) -> None:
        Path(path).write_text("half")
        raise RuntimeError("unexpected pos 576 vs 534")  # what torch says to a full disk

    def refused(**_) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(torch, "save", fail)
    monkeypatch.setattr(tempfile, "TemporaryFile", refused)
    with pytest.raises(OSError, match="No space left") as caught:
        export(model, tmp_path, overwrite=True)
    assert caught.value.filename == str(exported.folder)
    assert (exported.folder / "exported_from.json").read_bytes() == before
    assert [path.name for path in exported.folder.parent.iterdir()] == [exported.folder.name]


def test_what_a_killed_export_left_is_cleared_away_after_a_day(model, tmp_path):
    model.add_fold("0")
    folder = tmp_path / "out put" / DATASET
    old, young, zipped = folder / ".partial-1-old", folder / ".partial-1-young", folder.parent / ".partial-1-zip"
    for left in (old, young, zipped):
        left.mkdir(parents=True)
    for left in (old, zipped):
        os.utime(left, (0, 0))
    export(model, tmp_path)
    assert [left.exists() for left in (old, young, zipped)] == [False, True, False]


def test_an_export_that_was_killed_while_it_replaced_another_gives_that_back(model, tmp_path):
    model.add_fold("0")
    folder = export(model, tmp_path).folder
    folder.rename(folder.with_name(f".earlier-{folder.name}"))
    with pytest.raises(UserError, match="exists already"):
        export(model, tmp_path)
    assert export(model, tmp_path, overwrite=True).folder == folder
    assert [path.name for path in folder.parent.iterdir()] == [folder.name]


def test_a_network_that_is_not_the_planned_one_is_refused_and_nothing_stays_behind(model, tmp_path):
    model.add_fold("0", input_channels=1)
    with pytest.raises(UserError, match=r"another network.*planned \(2, 2, 3, 3, 3\), trained \(2, 1, 3, 3, 3\)"):
        export(model, tmp_path)
    assert not [path for path in (tmp_path / "out put").rglob("*") if path.is_file()]
    assert not (tmp_path / "out put" / DATASET / PLAIN).exists()


def test_a_pretraining_is_refused_although_its_network_fits(model, tmp_path):
    """With as many labels as channels, as lesion and background, it would pass for a segmentation."""
    model.add_fold("0")
    file = model.folder / "fold_0" / "checkpoint_final.pth"
    torch.save(torch.load(file, weights_only=False) | {"mae_state": {}}, file)
    with pytest.raises(UserError, match="reconstructs images and segments nothing"):
        export_model("21", output=tmp_path / "out", log=lambda line: None)
    assert not list((tmp_path / "out").rglob("*.pth"))


def test_an_earlier_export_is_replaced_only_on_demand(model, tmp_path):
    model.add_fold("0")
    folder = export(model, tmp_path).folder
    with pytest.raises(UserError, match="exists already"):
        export(model, tmp_path)
    (folder / "left over").touch()
    said: list[str] = []
    export(model, tmp_path, overwrite=True, make_zip=False, log=said.append)
    assert not (folder / "left over").exists()
    assert "holds an earlier export" in said[-1]
    export(model, tmp_path, overwrite=True, log=said.append)
    assert said[-1].startswith("Zip file: ")


def test_a_model_that_nnunet_trained_is_never_replaced(model, tmp_path):
    model.add_fold("0")
    baseline = tmp_path / "out put" / DATASET / PLAIN
    baseline.mkdir(parents=True)
    with pytest.raises(UserError, match="no earlier export"):
        export(model, tmp_path, overwrite=True)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"trainer": "nnUNetTrainer"}, "nnUNetv2_export_model_to_zip"),
        ({"configuration": "2d"}, f"trained models of this dataset: {TRAINER}__nnUNetPlans__3d_fullres"),
        ({"folds": [3]}, r"no checkpoint_final\.pth for fold 3; there are: fold_0/checkpoint_final\.pth"),
        ({"checkpoint": "checkpoint_best.pth"}, "no checkpoint_best"),
    ],
)
def test_what_is_not_there_is_named(model, tmp_path, options, message):
    model.add_fold("0")
    with pytest.raises(UserError, match=message):
        export(model, tmp_path, **options)


def test_nothing_in_a_checkpoint_is_executed(model, tmp_path):
    class Malicious:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / "executed"),)

    model.add_fold("0")
    file = model.folder / "fold_0" / "checkpoint_final.pth"
    torch.save(torch.load(file, weights_only=False) | {"optimizer_state": Malicious()}, file)
    with pytest.raises(UserError, match=r"checkpoint_final\.pth was refused because it holds posix\.mkdir"):
        export(model, tmp_path)
    assert not (tmp_path / "executed").exists()


@pytest.mark.parametrize(
    "changed", [{"network_weights": 3}, {"network_weights": {"a": 3}}, {"init_args": None}, {"init_args": {}}]
)
def test_a_checkpoint_that_is_none_of_nnunets_is_refused(model, tmp_path, changed):
    model.add_fold("0")
    file = model.folder / "fold_0" / "checkpoint_final.pth"
    torch.save(torch.load(file, weights_only=False) | changed, file)
    with pytest.raises(UserError, match=r"checkpoint_final\.pth"):
        export(model, tmp_path)


def test_a_damaged_checkpoint_is_named(model, tmp_path):
    model.add_fold("0")
    path = model.folder / "fold_0" / "checkpoint_final.pth"
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(UserError, match=r"checkpoint_final\.pth is cut short"):
        export(model, tmp_path)
