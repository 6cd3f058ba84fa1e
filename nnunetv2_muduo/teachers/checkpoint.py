"""Teacher checkpoints: read them without running anything in them, build the teacher, name every tensor that is wrong.

A checkpoint of ours is {"architecture", "config", "model_state_dict", "info"}. The released ones of SAM-Med3D and
SegAnyPET know no "architecture"; they hold a `model_state_dict`, or are bare state dictionaries, of the released Sam3D.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from nnunetv2_muduo.checkpoint_files import mismatches, not_finite, without_prefixes
from nnunetv2_muduo.errors import UserError
from nnunetv2_muduo.files import replacing
from nnunetv2_muduo.teachers.registry import check_teacher, find_architecture

_STATE_KEYS = ("model_state_dict", "state_dict", "model")
_PREFIXES = ("module.", "_orig_mod.", "model.")  # left by DataParallel, torch.compile and wrappers


def save_teacher(teacher: nn.Module, path: Path, *, extra: dict | None = None, half: bool = False) -> None:
    """Write a teacher and its configuration, under a temporary name that is then changed to `path`.

    Args:
        teacher: a Sam3D, a ClickUNet, or any other registered architecture.
        path: the file to write; its folder is made.
        extra: plain values kept as the checkpoint's "info" (command, seed, date, "what" it is).
        half: store floating tensors in half precision; they are loaded as float32.

    Raises:
        UserError: for a kind of teacher that `load_teacher` would not know.
    """
    architecture = type(teacher).__name__
    if find_architecture(architecture) is not type(teacher):
        raise UserError(f"{architecture} is not the teacher architecture that is known by this name; register it.")
    check_teacher(teacher)
    stored: dict[tuple, Tensor] = {}  # a tensor with several names is stored once
    weights = {}
    for name, tensor in teacher.state_dict().items():
        reduced = torch.float16 if half and tensor.is_floating_point() else tensor.dtype
        key = (tensor.data_ptr(), tensor.shape, tensor.stride())
        weights[name] = stored.setdefault(key, tensor.detach().to("cpu", reduced))
    checkpoint = {
        "architecture": architecture,
        "config": teacher.config.to_dict(),  # type: ignore[operator, union-attr]
        "model_state_dict": weights,
        "info": dict(extra or {}),
    }
    with replacing(path) as partial:
        torch.save(checkpoint, partial)


def build_teacher(checkpoint: Mapping[str, Any], path: Path) -> nn.Module:
    """The teacher of a checkpoint, with its weights, in float32 on the CPU.

    Raises:
        UserError: naming the file, and the architecture, settings or tensors that do not fit.
    """
    architecture = str(checkpoint.get("architecture", "Sam3D"))
    try:
        model = find_architecture(architecture)
    except UserError as error:
        raise UserError(f"{path} cannot be used: {error}") from error
    weights = _state_dict(checkpoint, path)
    config = read_config(model, checkpoint.get("config", {}), path)
    problems = mismatches(_shapes(model, config) or built(model, config, path).state_dict(), weights)
    if problems:
        raise UserError(f"{path} does not fit {architecture}: {'; '.join(problems)}; use a file made for it.")
    if broken := not_finite(weights):
        raise UserError(f"{path} holds NaN or infinity in {broken[0]}: its training diverged; use another file.")
    teacher = built(model, config, path)
    check_teacher(teacher)
    teacher.load_state_dict(weights, strict=True)
    return teacher


def read_config(model: Any, values: Any, path: Path) -> Any:
    """A configuration of an architecture, from plain values.

    Raises:
        UserError: naming the file and what is wrong with them.
    """
    try:
        if not isinstance(values, Mapping):
            raise TypeError(f"it is a {type(values).__name__}, not a table")
        return model.config_class.from_dict(dict(values))
    except Exception as error:  # whatever a value of another type leads to in an architecture, which may be anybody's
        raise UserError(f"{path} has a configuration that no {model.__name__} can have: {error}.") from error


def _shapes(model: Any, config: Any) -> dict[str, Tensor]:
    """The state that a configuration asks for, without the memory that it would take; {} where that cannot be told."""
    try:
        with torch.device("meta"):
            return model(config).state_dict()
    except Exception:  # an architecture, which may be anybody's, can need numbers where it is built
        return {}


def built(model: Any, config: Any, path: Path) -> nn.Module:
    """A network with random weights, which draws from a copy of torch's random numbers.

    Raises:
        UserError: naming the file that the configuration is from, where the architecture does not take it.
    """
    try:
        with torch.random.fork_rng(devices=[]):  # nobody's seed should notice what is drawn here
            return model(config)
    except Exception as error:
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise UserError(f"{path} has a configuration that no {model.__name__} can have: {reason}.") from error


def _state_dict(checkpoint: Mapping[str, Any], path: Path) -> dict[str, Tensor]:
    """The tensors of a checkpoint, under their names without prefixes."""
    found = next((checkpoint[key] for key in _STATE_KEYS if isinstance(checkpoint.get(key), Mapping)), checkpoint)
    weights = dict(found)
    if not weights or not all(isinstance(name, str) and isinstance(value, Tensor) for name, value in weights.items()):
        raise UserError(
            f"{path} holds no weights: neither {', '.join(_STATE_KEYS)} nor tensors by name; use another file."
        )
    return without_prefixes(weights, _PREFIXES)
