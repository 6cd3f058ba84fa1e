import numpy as np
import pytest
import torch
from batchgeneratorsv2.transforms.intensity.gaussian_noise import GaussianNoiseTransform
from batchgeneratorsv2.transforms.spatial.channel_misalignment import ChannelMisalignmentTransform
from batchgeneratorsv2.transforms.spatial.mirroring import MirrorTransform
from batchgeneratorsv2.transforms.spatial.rot90 import Rot90Transform
from batchgeneratorsv2.transforms.utils.compose import ComposeTransforms
from batchgeneratorsv2.transforms.utils.random import OneOfTransform, RandomTransform
from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer
from nnunetv2.training.nnUNetTrainer.variants.data_augmentation.nnUNetTrainerDA5 import nnUNetTrainerDA5

from nnunetv2_muduo.semisupervised.augmentation import intensity_transforms

PATCH_SIZE = (8, 10, 12)


def class_names(transforms: ComposeTransforms) -> list[str]:
    return [type(getattr(outer, "transform", outer)).__name__ for outer in transforms.transforms]


def training_transforms(trainer=nnUNetTrainer, *, masked: bool = False, dummy_2d: bool = False):
    return trainer.get_training_transforms(
        PATCH_SIZE, (-0.5, 0.5), [[1, 1, 1], [0.5, 0.5, 0.5]], (0, 1, 2), dummy_2d, use_mask_for_norm=[masked, False]
    )


@pytest.mark.parametrize("dummy_2d", [False, True])
def test_the_intensity_part_of_nnunets_augmentation_is_kept_in_its_order(dummy_2d):
    assert class_names(intensity_transforms(training_transforms(dummy_2d=dummy_2d))) == [
        "GaussianNoiseTransform",
        "GaussianBlurTransform",
        "MultiplicativeBrightnessTransform",
        "ContrastTransform",
        "SimulateLowResolutionTransform",
        "GammaTransform",
        "GammaTransform",
    ]


def test_probabilities_are_kept():
    original = training_transforms()
    kept = intensity_transforms(original)
    assert all(transform in original.transforms for transform in kept.transforms)


def test_the_masking_of_the_background_is_kept():
    assert class_names(intensity_transforms(training_transforms(masked=True)))[-1] == "MaskImageTransform"


def test_stronger_augmentation_loses_its_spatial_part():
    names = class_names(intensity_transforms(training_transforms(nnUNetTrainerDA5)))
    assert "BlankRectangleTransform" in names
    assert not {"SpatialTransform", "MirrorTransform", "Rot90Transform", "TransposeAxesTransform"} & set(names)
    assert not any(name.startswith(("RemoveLabel", "Downsample", "Convert")) for name in names)


def test_wrapped_spatial_transforms_are_dropped():
    noise = GaussianNoiseTransform()
    misaligned = ChannelMisalignmentTransform(rad_or_deg="rad", rotation_ax_cor_sag=(0, 0, 0))
    nested = ComposeTransforms(
        [
            RandomTransform(ComposeTransforms([Rot90Transform(1), noise]), 0.5),
            OneOfTransform([MirrorTransform((0,)), Rot90Transform(1)]),
            misaligned,
        ]
    )
    (kept,) = intensity_transforms(nested).transforms
    assert kept.apply_probability == 0.5
    assert kept.transform.transforms == [noise]


def test_voxels_stay_in_their_place():
    """Blurring, noise and so on leave a bright half brighter than the dark half."""
    np.random.seed(0)
    torch.manual_seed(0)
    transforms = intensity_transforms(training_transforms())
    image = torch.zeros(2, *PATCH_SIZE)
    image[..., 6:] = 10
    for _ in range(20):
        augmented = transforms(image=image.clone())["image"]
        assert augmented.shape == image.shape
        assert (augmented[..., 8:].mean() - augmented[..., :4].mean()).abs() > 3
