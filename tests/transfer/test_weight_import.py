"""`muduo import-mae` against nnU-Net's own loader: the same features, or a refusal that says why."""

from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
import torch
from harmonised_records import write_harmonised_record
from import_project import Project
from planned_dataset import DATASET, DATASET_JSON
from pretrained_files import pretrained_network, transfer_plans, write_own_pretraining, write_released
from torch import Tensor, nn

from nnunetv2_muduo import cli
from nnunetv2_muduo.errors import UserError
from nnunetv2_muduo.files import sha256_of
from nnunetv2_muduo.semisupervised.prompt_trainer import PromptGeneratorTrainer
from nnunetv2_muduo.transfer.weight_import import import_weights

PATCH = (16, 16, 16)


@pytest.fixture
def project(nnunet_folders: Path) -> Project:
    return Project(nnunet_folders)


@pytest.fixture(scope="module")
def source_network() -> nn.Module:
    return pretrained_network()


@pytest.fixture(scope="module")
def released(source_network: nn.Module, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_released(tmp_path_factory.mktemp("released") / "nnunet_v2_mim_best.pth", source_network)


def image(*channels: int) -> Tensor:
    """Channels CT = 0, PET = 1 of one random patch."""
    return torch.randn(1, 2, *PATCH, generator=torch.Generator().manual_seed(5))[:, list(channels)]


@torch.no_grad()
def features(network: nn.Module, patch: Tensor) -> list[Tensor]:
    """What the encoder gives the decoder, and what the decoder gives its last segmentation layer."""
    seen: list[Tensor] = []
    handle = network.decoder.seg_layers[-1].register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    network(patch)
    handle.remove()
    return [*network.encoder(patch), *seen]


def equal(one: list[Tensor], other: list[Tensor]) -> bool:
    return len(one) == len(other) and all(torch.equal(*pair) for pair in zip(one, other, strict=True))


@pytest.mark.parametrize("prefix", ["nnunet.", "module.nnunet."])
def test_ct_pet_gives_the_features_that_pet_ct_gave(project: Project, source_network, tmp_path: Path, prefix: str):
    project.bring_in(write_released(tmp_path / "released.pth", source_network, prefix=prefix))
    loaded = project.network()
    assert len(features(loaded, image(0, 1))) == 7
    for mine, theirs in zip(features(loaded, image(0, 1)), features(source_network, image(1, 0)), strict=True):
        assert torch.allclose(mine, theirs, atol=1e-4)
    assert not torch.allclose(loaded.encoder(image(1, 0))[0], source_network.encoder(image(1, 0))[0], atol=0.1)


def test_pet_ct_dataset_keeps_the_channels_as_they_are(project: Project, source_network, released: Path):
    project.dataset_json["channel_names"] = {"0": "SUV", "1": "CTres"}
    project.bring_in(released)
    assert equal(features(project.network(), image(1, 0)), features(source_network, image(1, 0)))


def test_the_head_is_left_to_the_new_task(project: Project, released: Path):
    weights = project.bring_in(released)["network_weights"]
    assert not [name for name in weights if "seg_layers" in name]
    assert project.network().decoder.seg_layers[-1].weight.shape[0] == 3


def test_provenance_tells_where_the_weights_come_from(project: Project, released: Path):
    told = project.bring_in(released)["mae_provenance"]
    assert told["channel_names"] == ["CT", "PET"]
    assert told["pretrained_channel_names"] == ["PET", "CT"]
    assert told["spacing"] == [3.0, 2.0, 2.0]
    assert told["normalization_schemes"] == ["ZScoreNormalization"] * 2
    assert told["sha256"] == sha256_of(released)
    assert told["file"] == released.name
    assert "2605.21835" in told["source"]
    assert told["fits"]["dataset_name"] == DATASET
    assert told["forced"] == []


def test_own_pretraining_is_brought_in_by_what_it_says_of_itself(project: Project, source_network, tmp_path: Path):
    file = write_own_pretraining(tmp_path / "own.pth", source_network, project.plans, channel_names=("CT", "PET"))
    told = project.bring_in(file)["mae_provenance"]
    assert equal(features(project.network(), image(0, 1)), features(source_network, image(0, 1)))
    assert told["source"] == "nnUNetTrainerPETCTMAE"
    assert told["num_cases"] == 7
    assert told["plans"]["plans_name"] == "nnUNetPlans"


def test_what_was_brought_in_can_be_brought_in_for_another_dataset(project: Project, source_network, released: Path):
    project.bring_in(released)
    once = project.folder / "once.pth"
    (project.folder / "imported.pth").rename(once)
    project.dataset_json["channel_names"] = {"0": "PET", "1": "CT"}
    told = project.bring_in(once)["mae_provenance"]
    assert told["use_mask_for_norm"] == [False, False]
    assert equal(features(project.network(), image(1, 0)), features(source_network, image(1, 0)))


def test_numbers_of_the_foreground_keep_to_their_channels(project: Project, source_network, tmp_path: Path):
    own = write_own_pretraining(tmp_path / "own.pth", source_network, project.plans, channel_names=("CT", "PET"))
    checkpoint = torch.load(own, weights_only=False)
    checkpoint["mae_provenance"]["foreground"] = [[40.0, 90.0, -200.0, 300.0], [3.0, 2.0, 0.0, 30.0]]
    torch.save(checkpoint, own)
    project.dataset_json["channel_names"] = {"0": "PET", "1": "CT"}
    turned = project.bring_in(own)["mae_provenance"]["foreground"]
    assert [numbers[0] for numbers in turned] == [3.0, 40.0]
    (project.folder / "imported.pth").rename(tmp_path / "once.pth")
    alone = project.bring_in(tmp_path / "once.pth", trainer="nnUNetTrainerMuDuoPrompt")["mae_provenance"]["foreground"]
    assert [numbers[0] for numbers in alone] == [3.0]


def harmonised(project: Project, *, cropped: bool) -> None:
    """The dataset gets the record of a harmonised one."""
    raw = project.folder / "nnUNet_raw" / DATASET
    raw.mkdir(parents=True)
    write_harmonised_record(raw, cropped)


def test_a_dataset_that_is_not_cropped_to_the_body_is_refused_unless_forced(project: Project, released: Path):
    harmonised(project, cropped=False)
    with pytest.raises(UserError, match=r"--force(.|\n)*pretrained on scans cropped to the body, .* not all cropped"):
        project.bring_in(released)
    told = project.bring_in(released, force=True)["mae_provenance"]
    assert told["forced"][0].startswith("body crop")
    assert len([line for line in project.log if line.startswith("WARNING: taken all the same: body crop")]) == 1


def test_a_dataset_that_nobody_knows_to_be_cropped_is_warned_of(project: Project, released: Path):
    project.bring_in(released)
    (warning,) = [line for line in project.log if line.startswith("WARNING")]
    assert "not known to be cropped" in warning


def test_a_dataset_that_is_cropped_as_the_pretraining_was_is_taken_without_a_word(project: Project, released: Path):
    harmonised(project, cropped=True)
    project.bring_in(released)
    assert not [line for line in project.log if line.startswith("WARNING")]


@pytest.mark.parametrize(("reader", "warned"), [("SimpleITKIO", True), ("SimpleITKIOWithReorient", False)])
def test_scans_that_lie_otherwise_than_those_of_the_pretraining_are_warned_of(
    project: Project, source_network, tmp_path: Path, reader: str, warned: bool
):
    own = write_own_pretraining(tmp_path / "own.pth", source_network, project.plans, channel_names=("CT", "PET"))
    checkpoint = torch.load(own, weights_only=False)
    checkpoint["mae_provenance"]["orientations"] = ["RAS"]
    torch.save(checkpoint, own)
    images = project.folder / "nnUNet_raw" / DATASET / "imagesUn"
    images.mkdir(parents=True)
    sitk.WriteImage(sitk.Image(2, 3, 4, sitk.sitkUInt8), str(images / "a_0000.nii.gz"))  # LPS
    project.plans["image_reader_writer"] = reader
    told = project.bring_in(own)["mae_provenance"]
    assert told["orientations"] == ["RAS"]
    warnings = [line for line in project.log if line.startswith("WARNING: orientation: pretrained on scans")]
    assert len(warnings) == warned


def test_the_plans_of_the_pretraining_outlive_a_second_import(project: Project, source_network, tmp_path: Path):
    own = write_own_pretraining(tmp_path / "own.pth", source_network, project.plans, channel_names=("CT", "PET"))
    first = project.bring_in(own)["mae_provenance"]
    (project.folder / "imported.pth").rename(tmp_path / "once.pth")
    assert project.bring_in(tmp_path / "once.pth")["mae_provenance"]["plans"] == first["plans"] == project.plans


def test_a_stock_checkpoint_with_its_curves_is_read_without_running_anything(project: Project, tmp_path: Path):
    project.save()
    network = pretrained_network()
    checkpoint = {
        "network_weights": network.state_dict(),
        "logging": {"train_losses": [np.float32(1), np.float64(2)]},
        "_best_ema": np.float64(0.3),
        "init_args": {
            "plans": project.plans,
            "configuration": "3d_fullres",
            "dataset_json": DATASET_JSON,
            "device": torch.device("cpu"),
        },
        "trainer_name": "nnUNetTrainer",
    }
    torch.save(checkpoint, tmp_path / "stock.pth")
    told = project.bring_in(tmp_path / "stock.pth")["mae_provenance"]
    assert (told["source"], told["channel_names"]) == ("nnUNetTrainer", ["CT", "PET"])


def test_one_channel_is_brought_in_for_one_channel(project: Project, tmp_path: Path):
    alone = pretrained_network(channels=1)
    project.dataset_json["channel_names"] = {"0": "PET"}
    project.configuration["normalization_schemes"] = ["ZScoreNormalization"]
    project.bring_in(write_released(tmp_path / "pet.pth", alone), channels=["PET"])
    assert equal(features(project.network(channels=1), image(1)), features(alone, image(1)))


def test_one_channel_for_two_starts_the_other_from_zeros_if_forced(project: Project, tmp_path: Path):
    alone = pretrained_network(channels=1)
    file = write_released(tmp_path / "pet.pth", alone)
    with pytest.raises(UserError, match="pretrained on PET, the dataset has CT, PET"):
        project.bring_in(file, channels=["PET"])
    told = project.bring_in(file, channels=["PET"], force=True)["mae_provenance"]
    assert told["normalization_schemes"] == ["none", "ZScoreNormalization"]
    assert "Input channel 0 (CT): zeros: not pretrained" in project.log
    for mine, theirs in zip(features(project.network(), image(0, 1)), features(alone, image(1)), strict=True):
        assert torch.allclose(mine, theirs, atol=1e-4)


def test_a_channel_that_pretraining_never_showed_starts_from_zeros_if_forced(project: Project, tmp_path: Path):
    network, path = pretrained_network(), tmp_path / "own.pth"
    write_own_pretraining(path, network, project.plans, channel_names=("CT", "PET"))
    checkpoint = torch.load(path, weights_only=False)
    checkpoint["mae_provenance"]["normalization_schemes"] = ["ZScoreNormalization", "none"]
    torch.save(checkpoint, path)
    with pytest.raises(UserError, match="pretrained on CT, the dataset has CT, PET"):
        project.bring_in(path)
    project.bring_in(path, force=True)
    assert "Input channel 1 (PET): zeros: not pretrained" in project.log
    assert not any(line.startswith("Left out") for line in project.log)
    hidden = image(0, 1) * torch.tensor([1.0, 0.0]).view(1, 2, 1, 1, 1)
    for mine, theirs in zip(features(project.network(), image(0, 1)), features(network, hidden), strict=True):
        assert torch.allclose(mine, theirs, atol=1e-4)


def test_the_prompt_generator_sees_pet_as_where_ct_was_masked(project: Project, source_network, released: Path):
    weights = project.bring_in(released, trainer="nnUNetTrainerMuDuoPrompt")["network_weights"]
    assert weights["channel"].tolist() == [1]
    loaded = project.network(PromptGeneratorTrainer).network
    masked = image(1, 0) * torch.tensor([1.0, 0.0]).view(1, 2, 1, 1, 1)
    for mine, theirs in zip(features(loaded, image(1)), features(source_network, masked), strict=True):
        assert torch.allclose(mine, theirs, atol=1e-4)
    assert "Left out: pretrained channel 1 (CT), as if it were masked" in project.log


def test_one_channel_that_is_not_named_is_asked_for(project: Project, tmp_path: Path):
    with pytest.raises(UserError, match=r"1 input channel.*cannot be PET, CT.*--channels PET"):
        project.bring_in(write_released(tmp_path / "pet.pth", pretrained_network(channels=1)))


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"spacing": [3.0, 2.1, 2.0]}, "spacing: pretrained at 3 x 2 x 2 mm, the plans have 3 x 2.1 x 2 mm"),
        ({"normalization_schemes": ["CTNormalization", "ZScoreNormalization"]}, "normalisation of CT"),
        ({"use_mask_for_norm": [False, True]}, "normalisation of PET"),
    ],
)
def test_other_preparation_is_refused_unless_forced(project: Project, released: Path, change: dict, reason: str):
    project.configuration.update(change)
    with pytest.raises(UserError, match=f"pretrained otherwise.*--force(.|\n)*{reason}"):
        project.bring_in(released)
    assert not (project.folder / "imported.pth").exists()
    assert reason in project.bring_in(released, force=True)["mae_provenance"]["forced"][0]
    assert any(line.startswith("WARNING") and reason in line for line in project.log)


def test_a_prompt_generator_asks_how_pet_is_prepared_and_not_ct(project: Project, released: Path):
    project.configuration["use_mask_for_norm"] = [True, False]
    project.bring_in(released, trainer="nnUNetTrainerMuDuoPrompt")
    project.configuration["use_mask_for_norm"] = [False, True]
    with pytest.raises(UserError, match="normalisation of PET"):
        project.bring_in(released, trainer="nnUNetTrainerMuDuoPrompt", overwrite=True)


def test_channels_of_other_names_are_refused_and_forced_by_position(project: Project, source_network, released: Path):
    project.dataset_json["channel_names"] = {"0": "T1", "1": "T2"}
    with pytest.raises(UserError, match="pretrained on PET, CT, the dataset has T1, T2"):
        project.bring_in(released)
    project.bring_in(released, force=True)
    assert equal(features(project.network(), image(1, 0)), features(source_network, image(1, 0)))


def test_channels_set_by_hand_count_as_their_modality(project: Project, source_network, released: Path):
    project.dataset_json["channel_names"] = {"0": "first", "1": "second"}
    project.plans["muduo"] = {"pet_channel": 0, "ct_channel": 1}
    project.bring_in(released)
    assert equal(features(project.network(), image(1, 0)), features(source_network, image(1, 0)))


def test_plans_for_another_number_of_channels_are_named(project: Project, released: Path):
    project.dataset_json["channel_names"] = {"0": "PET"}
    with pytest.raises(UserError, match=r"nnUNetPlans normalise 2 channel.* has 1 \(PET\)"):
        project.bring_in(released)


def test_every_other_shape_is_listed_and_force_does_not_help(project: Project, tmp_path: Path):
    file = write_released(tmp_path / "wide.pth", pretrained_network(features=8))
    for force in (False, True):
        with pytest.raises(UserError, match="does not fit the network") as refused:
            project.bring_in(file, force=force)
    listed = str(refused.value).splitlines()[1:]
    assert len(listed) == 22 * 4 + 5 * 2  # weight, bias and norm of 12 + 10 convolutions, upsampling weights and biases
    assert "  encoder.stages.0.0.convs.0.conv.weight [8, 2, 3, 3, 3] instead of [4, 2, 3, 3, 3]" in listed


def test_another_architecture_is_refused(project: Project, tmp_path: Path):
    torch.save({"model_state_dict": nn.Conv3d(2, 4, 3).state_dict()}, tmp_path / "other.pth")
    with pytest.raises(UserError, match=r"does not fit the network(.|\n)*weight \[4, 2, 3, 3, 3\] has no place"):
        project.bring_in(tmp_path / "other.pth")


def test_broken_files_are_named(project: Project, released: Path, tmp_path: Path):
    whole = released.read_bytes()
    for name, content, message in (
        ("half.pth", whole[: len(whole) // 2], "cut short"),
        ("text.pth", b"no checkpoint", "no checkpoint at all"),
    ):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(UserError, match=f"{name}.*{message}"):
            project.bring_in(tmp_path / name)
    with pytest.raises(UserError, match=r"There is no file .*missing.pth"):
        project.bring_in(tmp_path / "missing.pth")
    torch.save({"epoch": 3}, tmp_path / "empty.pth")
    with pytest.raises(UserError, match=r"empty.pth.*holds no network"):
        project.bring_in(tmp_path / "empty.pth")


def test_files_that_would_run_something_are_refused(project: Project, tmp_path: Path):
    torch.save({"model_state_dict": {}, "path": Path("x")}, tmp_path / "unsafe.pth")
    with pytest.raises(UserError, match=r"refused because it holds pathlib"):
        project.bring_in(tmp_path / "unsafe.pth")


def test_diverged_weights_are_refused(project: Project, tmp_path: Path):
    broken = pretrained_network()
    broken.encoder.stages[2][0].convs[0].conv.weight.data[0] = float("nan")
    with pytest.raises(UserError, match=r"NaN or infinity in encoder.stages.2"):
        project.bring_in(write_released(tmp_path / "nan.pth", broken))


def test_a_file_in_the_way_stays_unless_overwritten(project: Project, released: Path):
    project.bring_in(released)
    with pytest.raises(UserError, match="exists already"):
        project.bring_in(released)
    project.bring_in(released, overwrite=True)
    with pytest.raises(UserError, match="the pretrained checkpoint itself"):
        import_weights(released, dataset=21, output=released, overwrite=True)


def test_an_unknown_trainer_is_named(project: Project, released: Path):
    with pytest.raises(UserError, match="no trainer nnUNetTrainerNobody"):
        project.bring_in(released, trainer="nnUNetTrainerNobody")


def test_the_command_says_how_to_train(project: Project, released: Path, capsys: pytest.CaptureFixture):
    project.save()
    out = project.folder / "o.pth"
    assert cli.main(["import-mae", str(released), "-d", "21", "-o", str(out)]) == 0
    printed = capsys.readouterr().out
    assert f'nnUNetv2_train {DATASET} 3d_fullres 0 -p nnUNetPlans -pretrained_weights "{out}"' in printed
    assert "Input channel 0 (CT): pretrained channel 1" in printed
    assert cli.main(["import-mae", str(released), "-d", "21", "-o", str(out)]) == 2


def test_the_command_names_the_fold_that_the_trainer_knows(project: Project, released: Path):
    project.save()
    for trainer, fold in (("nnUNetTrainerPETCTMAE", "all"), ("nnUNetTrainerMuDuo", "0")):
        out = project.folder / f"{trainer}.pth"
        command = import_weights(released, dataset=21, output=out, trainer=trainer, log=print).train_command()
        assert f"nnUNetv2_train {DATASET} 3d_fullres {fold} -tr {trainer} -p nnUNetPlans " in command


@pytest.mark.parametrize(
    "arguments",
    [
        {"plans": 3, "configuration": "3d_fullres", "dataset_json": {}},
        {"plans": transfer_plans(), "configuration": None, "dataset_json": DATASET_JSON},
        {"plans": transfer_plans(), "configuration": "3d_fullres", "dataset_json": [1]},
        {"plans": transfer_plans(), "configuration": "3d_fullres", "dataset_json": {"labels": {}}},
    ],
)
def test_what_a_foreign_checkpoint_says_of_its_training_is_checked(project: Project, tmp_path: Path, arguments: dict):
    torch.save({"network_weights": pretrained_network().state_dict(), "init_args": arguments}, tmp_path / "a.pth")
    with pytest.raises(UserError):
        project.bring_in(tmp_path / "a.pth")


def test_a_first_layer_without_channels_is_listed_among_what_does_not_fit(project: Project, tmp_path: Path):
    weights = pretrained_network().state_dict()
    name = "encoder.stages.0.0.convs.0.conv.weight"
    torch.save({"network_weights": {**weights, name: weights[name].flatten()}}, tmp_path / "a.pth")
    with pytest.raises(UserError, match="does not fit the network"):
        project.bring_in(tmp_path / "a.pth", channels=("CT", "PET"))
