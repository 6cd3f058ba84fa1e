"""A smaller (or larger) network for a planned configuration, consistent in every list that nnU-Net's plans hold."""

import math
from collections.abc import Mapping, Sequence
from copy import deepcopy
from typing import Any

from nnunetv2.experiment_planning.experiment_planners.network_topology import get_pool_and_conv_props

from nnunetv2_muduo.errors import UserError

_SMALLEST_FEATURE_MAP = 4  # edge length in voxels, as nnU-Net's own planner has it
_KEYS = ("patch_size", "features", "max_features", "batch_size")


def resize_network(configuration: Mapping[str, Any], request: Mapping[str, Any]) -> dict[str, Any]:
    """Derive patch size, batch size and architecture of a configuration from a few numbers.

    The patch is clipped to the dataset's median shape and then grown to what the poolings need, as nnU-Net's planner
    does with its own first guess; number of stages, strides and kernel sizes follow from it and from the spacing by
    nnU-Net's rules.

    Args:
        configuration: of an nnU-Net plans file, with its inheritance resolved; not changed.
        request: any of "patch_size" (voxels, in the plans' axis order, or one number for all axes), "features" (of the
            first stage; they double from stage to stage), "max_features", "batch_size".

    Returns:
        The entries of the configuration to replace: "patch_size", "batch_size", "architecture".

    Raises:
        UserError: for an unknown key, a value that is no whole number above 0, or a patch that cannot be pooled once.
    """
    _check(request)
    spacing, old = configuration["spacing"], configuration["architecture"]["arch_kwargs"]
    wanted = _per_axis(request.get("patch_size", configuration["patch_size"]), len(spacing))
    median = [math.ceil(edge) for edge in configuration["median_image_size_in_voxels"]]
    first_guess = [min(pair) for pair in zip(wanted, median, strict=True)]
    _, strides, kernel_sizes, patch_size, _ = get_pool_and_conv_props(
        spacing, first_guess, _SMALLEST_FEATURE_MAP, max_numpool=math.inf
    )
    stages = len(strides)
    if stages < 2:
        raise UserError(
            f'A patch of {first_guess} voxels is too small for a U-Net; give "patch_size" at least '
            f"{2 * _SMALLEST_FEATURE_MAP} voxels an axis (the dataset's median shape is {median})."
        )
    features = request.get("features", old["features_per_stage"][0])
    most = request.get("max_features", max(old["features_per_stage"]))
    architecture = deepcopy(dict(configuration["architecture"]))
    architecture["arch_kwargs"] |= {
        "n_stages": stages,
        "features_per_stage": [min(most, features * 2**stage) for stage in range(stages)],
        "kernel_sizes": [list(sizes) for sizes in kernel_sizes],
        "strides": [list(sizes) for sizes in strides],
        **_convolutions(old, stages),
    }
    return {
        "patch_size": [int(edge) for edge in patch_size],
        "batch_size": request.get("batch_size", configuration["batch_size"]),
        "architecture": architecture,
    }


def _convolutions(old: Mapping[str, Any], stages: int) -> dict[str, list[int]]:
    """The lists of convolutions (or residual blocks) per stage, cut or continued to the new number of stages."""
    lengths = {"n_conv_per_stage": stages, "n_blocks_per_stage": stages, "n_conv_per_stage_decoder": stages - 1}
    return {
        key: [*old[key][:length], *[old[key][-1]] * (length - len(old[key]))]
        for key, length in lengths.items()
        if isinstance(old.get(key), Sequence)
    }


def _check(request: Mapping[str, Any]) -> None:
    for key, value in request.items():
        if key not in _KEYS:
            raise UserError(f'Unknown key "{key}" under "network"; known are {", ".join(_KEYS)}.')
        edges = value if key == "patch_size" and isinstance(value, list) else [value]
        if not all(isinstance(edge, int) and not isinstance(edge, bool) and edge > 0 for edge in edges):
            raise UserError(f'"{key}" under "network" is {value}, but must be a whole number above 0.')


def _per_axis(patch_size: int | Sequence[int], axes: int) -> list[int]:
    edges = [patch_size] * axes if isinstance(patch_size, int) else list(patch_size)
    if len(edges) != axes:
        raise UserError(f'"patch_size" is {edges}, but this configuration has {axes} axes.')
    return edges
