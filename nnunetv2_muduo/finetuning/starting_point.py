"""The network a fine-tuning starts from: a teacher that is there, or a configuration with random weights."""

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any, cast

import torch
from torch import nn

from nnunetv2_muduo.checkpoint_files import read_checkpoint
from nnunetv2_muduo.errors import UserError
from nnunetv2_muduo.json_files import read_json
from nnunetv2_muduo.teachers.checkpoint import built, read_config
from nnunetv2_muduo.teachers.registry import find_architecture, known_architectures
from nnunetv2_muduo.teachers.weights import find_weights, load_teacher


def start_from_teacher(name: str, *, modality: str, folder: Path | None = None) -> tuple[nn.Module, dict[str, Any]]:
    """A teacher with all parameters free, and where it comes from.

    Args:
        name: of a known teacher, of a file in the weights folder, or the path of a file.
        modality: what it is to look at; a teacher of the other one is told of.
        folder: the weights folder; None: the usual one.

    Raises:
        UserError: if there is no such teacher, or its file does not fit.
    """
    named = str(Path(name).resolve()) if Path(name).is_file() else name
    teacher = cast(nn.Module, load_teacher(named, shown=modality, folder=folder, download=False)).requires_grad_(True)
    info = read_checkpoint(find_weights(named, folder=folder)).get("info")
    origin = {"start": Path(name).name}
    return teacher, {**origin, "info": info} if isinstance(info, Mapping) else origin


def start_from_config(path: Path, *, seed: int) -> tuple[nn.Module, dict[str, Any]]:
    """A new network of the configuration in a JSON file, its weights drawn with `seed`, and what to call it.

    Raises:
        UserError: naming the file, and what of it is no architecture or no configuration of it.
    """
    content = read_json(path)
    architecture = content.get("architecture") if isinstance(content, dict) else None
    known = known_architectures()
    if architecture not in known or not content.keys() <= {"architecture", "config"}:
        raise UserError(
            f'{path} must hold {{"architecture": "NAME", "config": {{...}}}} with a name of {", ".join(known)}.'
        )
    model = find_architecture(architecture)
    config = read_config(model, content.get("config", {}), path)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = built(model, config, path)
    return network, {"start": f"random weights ({architecture})"}


def architecture_of(network: nn.Module, known: Collection[str]) -> str:
    """The name of a network's class, if it is one of those `known`.

    Raises:
        UserError: if it is none of them.
    """
    architecture = type(network).__name__
    if architecture not in known:
        raise UserError(f"There is no training recipe for {architecture}; there are recipes for {', '.join(known)}.")
    return architecture
