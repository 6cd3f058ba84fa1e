"""Seeded checkpoints in the format of the released PET/CT masked autoencoder, of a network of test size."""

import copy
from pathlib import Path

import torch
from dynamic_network_architectures.architectures.unet import PlainConvUNet
from planned_dataset import unet_plans
from torch import nn

RELEASED_SPACING = [3.0, 2.0, 2.0]
Z_SCORES = ["ZScoreNormalization", "ZScoreNormalization"]


def transfer_plans(*, features: int = 4, patch_size: tuple[int, int, int] = (16, 16, 16)) -> dict:
    """Plans whose network and preparation are those of `pretrained_network`: 3 x 2 x 2 mm, z-scores, six stages."""
    plans = unet_plans(patch_size=patch_size, features=features)
    configuration = plans["configurations"]["3d_fullres"]
    configuration["normalization_schemes"] = list(Z_SCORES)
    configuration["architecture"]["arch_kwargs"] |= network_arguments(features)
    return plans


def network_arguments(features: int = 4, *, stages: int = 6) -> dict:
    """Entries of a plan's arch_kwargs: the published six stages, with fewer features; doubled up to eight times."""
    halvings = 3  # of a 16-voxel patch, so that a test patch of 16 voxels is left with 2 in the last stage
    return {
        "n_stages": stages,
        "features_per_stage": [min(features * 2**stage, 8 * features) for stage in range(stages)],
        "kernel_sizes": [[3, 3, 3]] * stages,
        "strides": [[2, 2, 2] if 0 < stage <= halvings else [1, 1, 1] for stage in range(stages)],
        "n_conv_per_stage": [2] * stages,
        "n_conv_per_stage_decoder": [2] * (stages - 1),
    }


def pretrained_network(*, channels: int = 2, features: int = 4, stages: int = 6, seed: int = 0) -> PlainConvUNet:
    """As many reconstructed channels as there are input channels; weights and norms drawn from the seed."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = PlainConvUNet(
            input_channels=channels,
            num_classes=channels,
            conv_op=nn.Conv3d,
            conv_bias=True,
            norm_op=nn.InstanceNorm3d,
            norm_op_kwargs={"eps": 1e-5, "affine": True},
            nonlin=nn.LeakyReLU,
            nonlin_kwargs={"inplace": True},
            **network_arguments(features, stages=stages),
        )
        for parameter in network.parameters():
            if parameter.ndim == 1:  # norms and biases would all be ones and zeros
                nn.init.uniform_(parameter, 0.5, 1.5)
    return network.eval()


def write_released(path: Path, network: nn.Module, *, prefix: str = "nnunet.") -> Path:
    """The released format: the network's state below a prefix, under "model_state_dict"."""
    weights = {f"{prefix}{name}": tensor for name, tensor in network.state_dict().items()}
    torch.save({"model_state_dict": weights, "epoch": 199}, path)
    return path


def write_own_pretraining(path: Path, network: nn.Module, plans: dict, *, channel_names: tuple[str, ...]) -> Path:
    """What the pretraining trainer leaves, as far as it is read here."""
    configuration = plans["configurations"]["3d_fullres"]
    provenance = {
        "spacing": configuration["spacing"],
        "normalization_schemes": configuration["normalization_schemes"][: len(channel_names)],
        "channel_names": list(channel_names),
        "source": "nnUNetTrainerPETCTMAE",
        "plans_name": plans["plans_name"],
        "dataset_name": plans["dataset_name"],
        "configuration": "3d_fullres",
        "num_cases": 7,
    }
    checkpoint = {
        "network_weights": network.state_dict(),
        "init_args": {"plans": copy.deepcopy(plans), "configuration": "3d_fullres", "device": torch.device("cpu")},
        "mae_provenance": provenance,
    }
    torch.save(checkpoint, path)
    return path
