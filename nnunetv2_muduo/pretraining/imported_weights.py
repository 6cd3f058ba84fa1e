"""Weights pretrained elsewhere, renamed and rearranged for a network of nnU-Net's; tensors by name, no files.

Names are those of dynamic-network-architectures, whose U-Nets register the encoder twice (`encoder.*` and
`decoder.encoder.*`) and each convolution twice (`*.conv.*` and `*.all_modules.0.*`); all copies are the same tensor.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from nnunetv2_muduo.checkpoint_files import other_kinds, other_shapes, without_prefixes

HEAD = ".seg_layers."  # nnU-Net's load_pretrained_weights leaves such tensors alone, and demands all others
_STATE_KEYS = ("network_weights", "model_state_dict", "state_dict")
_WRAPPERS = ("module.", "_orig_mod.")  # DistributedDataParallel, torch.compile
_RELEASED_MODEL = "nnunet."  # attribute of the released model that holds the U-Net
_ENCODER, _ENCODER_IN_DECODER = "encoder.", "decoder.encoder."


def network_weights(checkpoint: Mapping[str, Any]) -> dict[str, Tensor]:
    """The network of a checkpoint of nnU-Net's or in the released format, without prefixes and without its head.

    Args:
        checkpoint: what the file holds; the network lies under "network_weights", "model_state_dict" or "state_dict",
            or is all there is.

    Raises:
        ValueError: if there are no tensors by name in it.
    """
    found = next((checkpoint[key] for key in _STATE_KEYS if isinstance(checkpoint.get(key), Mapping)), checkpoint)
    if not found or not all(isinstance(name, str) and isinstance(value, Tensor) for name, value in found.items()):
        raise ValueError(f"it holds no network: neither {', '.join(_STATE_KEYS)} nor tensors by name")
    weights = without_prefixes(found, _WRAPPERS)
    inner = {name.removeprefix(_RELEASED_MODEL): weights[name] for name in weights if name.startswith(_RELEASED_MODEL)}
    network = without_prefixes(inner or weights, _WRAPPERS)  # the released model may hold a compiled network
    body = {name: tensor for name, tensor in network.items() if HEAD not in name}
    return _with_both_encoders(body)


def input_tensors(network: Mapping[str, Tensor], wider: Mapping[str, Tensor]) -> list[str]:
    """Names of the tensors that look at the input channels: those that grow with one more of them.

    Args:
        network, wider: states of the same architecture, the second with one more input channel.
    """
    return [name for name, tensor in network.items() if tensor.shape != wider[name].shape]


def with_input_channels(
    weights: Mapping[str, Tensor], names: Sequence[str], sources: Sequence[int | None]
) -> dict[str, Tensor]:
    """Rearrange the input channels of the tensors called `names`, [F, C, ...] -> [F, len(sources), ...].

    Args:
        weights: of the network; not changed.
        names: of its tensors that look at the input channels (`input_tensors`); those it lacks, or that have no
            channels, are passed over.
        sources: for each new channel the old one, or None for zeros: such a channel counts for nothing until it is
            trained. An old channel that is left out was at its mean, 0, as where masked autoencoding had masked it.
    """
    arranged = dict(weights)
    for name in names:
        if name in weights and weights[name].ndim > 1:  # else it fits nowhere, as `misfits` tells
            old = weights[name]
            arranged[name] = torch.stack(
                [torch.zeros_like(old[:, 0]) if source is None else old[:, source] for source in sources], dim=1
            )
    return arranged


def misfits(expected: Mapping[str, Tensor], given: Mapping[str, Tensor]) -> list[str]:
    """What keeps weights from filling a network, one phrase for each tensor; copies of one tensor are named once.

    Args:
        expected: the state of the network, its head aside.
        given: the weights.
    """
    wanted, known = _without_copies(expected), _without_copies(given)
    return [
        *other_shapes(wanted, known),
        *other_kinds(wanted, known),
        *(f"{name} {list(tensor.shape)} is missing" for name, tensor in wanted.items() if name not in known),
        *(f"{name} {list(tensor.shape)} has no place" for name, tensor in known.items() if name not in wanted),
    ]


def _with_both_encoders(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Give a U-Net that was saved with one of its two names for the encoder the other one as well."""
    names = list(weights)
    has_decoder = any(name.startswith("decoder.") for name in names)
    own = {name: weights[name] for name in names if name.startswith(_ENCODER)}
    inner = {name: weights[name] for name in names if name.startswith(_ENCODER_IN_DECODER)}
    if has_decoder and own and not inner:
        return {**weights, **{f"decoder.{name}": tensor for name, tensor in own.items()}}
    if inner and not own:
        return {**{name.removeprefix("decoder."): tensor for name, tensor in inner.items()}, **weights}
    return dict(weights)


def _without_copies(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Each tensor under the first of its names."""
    blocks = {name.partition(".conv.")[0] for name in weights if ".conv." in name}
    return {
        name: tensor
        for name, tensor in weights.items()
        if not (name.startswith(_ENCODER_IN_DECODER) and name.removeprefix("decoder.") in weights)
        and name.partition(".all_modules.")[0] not in blocks
    }
