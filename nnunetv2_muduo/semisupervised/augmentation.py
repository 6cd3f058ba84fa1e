"""nnU-Net's augmentation without everything that moves voxels or touches labels."""

from batchgeneratorsv2.transforms.base.basic_transform import BasicTransform, ImageOnlyTransform
from batchgeneratorsv2.transforms.nnunet.random_binary_operator import ApplyRandomBinaryOperatorTransform
from batchgeneratorsv2.transforms.nnunet.remove_connected_components import (
    RemoveRandomConnectedComponentFromOneHotEncodingTransform,
)
from batchgeneratorsv2.transforms.spatial.channel_misalignment import ChannelMisalignmentTransform
from batchgeneratorsv2.transforms.utils.compose import ComposeTransforms, TimedComposeTransforms
from batchgeneratorsv2.transforms.utils.nnunet_masking import MaskImageTransform
from batchgeneratorsv2.transforms.utils.random import OneOfTransform, RandomTransform

# Image-only by class, but the first moves voxels and the others change a cascade's one-hot channels.
_NOT_INTENSITY = (
    ChannelMisalignmentTransform,
    ApplyRandomBinaryOperatorTransform,
    RemoveRandomConnectedComponentFromOneHotEncodingTransform,
)


def intensity_transforms(transforms: BasicTransform) -> ComposeTransforms:
    """The part of a trainer's training transforms that changes intensities and nothing else.

    Kept are the transforms that by their class touch only the image, and nnU-Net's masking of the region around the
    patient, which reads a `segmentation` with -1 there. Dropped is everything else: spatial transforms, mirroring,
    whatever prepares labels, and any class that is not known to leave voxels in their place.

    Args:
        transforms: what `get_training_transforms` returned; not changed, its transforms are shared.
    """
    return ComposeTransforms(_kept(transforms))


def _kept(transform: BasicTransform) -> list[BasicTransform]:
    if isinstance(transform, ComposeTransforms | TimedComposeTransforms):
        return [inner for outer in transform.transforms for inner in _kept(outer)]
    if isinstance(transform, RandomTransform):
        inner = _kept(transform.transform)
        if inner == [transform.transform]:
            return [transform]
        return [RandomTransform(ComposeTransforms(inner), transform.apply_probability)] if inner else []
    if isinstance(transform, OneOfTransform):
        choices = [ComposeTransforms(_kept(choice)) for choice in transform.list_of_transforms]
        return [OneOfTransform(choices)] if any(choice.transforms for choice in choices) else []
    is_intensity = isinstance(transform, ImageOnlyTransform) and not isinstance(transform, _NOT_INTENSITY)
    return [transform] if is_intensity or isinstance(transform, MaskImageTransform) else []
