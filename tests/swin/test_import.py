"""`muduo import-mae` for the SwinUNETR: channels in another order, or another network."""

import json
from pathlib import Path

import pytest
import torch
from monai_extra import needs_monai
from nnunetv2.run.load_pretrained_weights import load_pretrained_weights
from planned_dataset import unet_plans, write_planned_dataset
from pretrained_files import pretrained_network, write_own_pretraining

from nnunetv2_muduo.errors import UserError
from nnunetv2_muduo.swin.building import build_swin
from nnunetv2_muduo.transfer.weight_import import import_weights

pytestmark = needs_monai
TRAINER = "nnUNetTrainerPETCTSwin"


@pytest.fixture
def plans(nnunet_folders: Path) -> dict:
    """Of a dataset of CT and PET, planned below `tmp_path`."""
    plans = unet_plans(patch_size=(32, 32, 64), features=2)
    plans["configurations"]["3d_fullres"]["normalization_schemes"] = ["ZScoreNormalization"] * 2
    write_planned_dataset(nnunet_folders / "nnUNet_preprocessed", plans)
    return json.loads(json.dumps(plans))


def test_weights_of_pet_and_ct_do_the_same_for_ct_and_pet(tmp_path: Path, plans: dict):
    torch.manual_seed(0)
    source = build_swin("small", input_channels=2, output_channels=2).eval()
    file = write_own_pretraining(tmp_path / "own.pth", source, plans, channel_names=("PET", "CT"))
    import_weights(file, dataset=21, output=tmp_path / "fitted.pth", trainer=TRAINER, log=lambda line: None)
    ours = build_swin("small", input_channels=2, output_channels=3).eval()
    load_pretrained_weights(ours, tmp_path / "fitted.pth")
    image = torch.randn(1, 2, 32, 32, 64)
    for network in (source, ours):
        network.decoder = torch.nn.Identity()
    with torch.no_grad():
        assert torch.allclose(ours(image), source(image.flip(1)), atol=1e-5)
        assert not torch.allclose(ours(image), source(image), atol=1e-2)


def test_another_size_is_refused_with_the_tensors(tmp_path: Path, plans: dict):
    source = build_swin("small", input_channels=2, output_channels=2)
    file = write_own_pretraining(tmp_path / "own.pth", source, plans, channel_names=("CT", "PET"))
    path = tmp_path / "nnUNet_preprocessed" / "Dataset021_Tiny" / "nnUNetPlans.json"
    path.write_text(json.dumps({**plans, "mae": {"swin": "base"}}))
    with pytest.raises(UserError, match=r"swinViT.patch_embed.proj.weight"):
        import_weights(file, dataset=21, output=tmp_path / "fitted.pth", trainer=TRAINER)


def test_a_unet_is_refused(tmp_path: Path, plans: dict):
    file = write_own_pretraining(tmp_path / "own.pth", pretrained_network(), plans, channel_names=("CT", "PET"))
    with pytest.raises(UserError, match=f"does not fit the network of {TRAINER}"):
        import_weights(file, dataset=21, output=tmp_path / "fitted.pth", trainer=TRAINER)


def test_for_the_planned_network_a_swin_is_refused_with_the_trainer_that_takes_it(tmp_path: Path, plans: dict):
    source = build_swin("small", input_channels=2, output_channels=2)
    file = write_own_pretraining(tmp_path / "own.pth", source, plans, channel_names=("CT", "PET"))
    with pytest.raises(UserError, match="-tr nnUNetTrainerPETCTSwin"):
        import_weights(file, dataset=21, output=tmp_path / "fitted.pth")
