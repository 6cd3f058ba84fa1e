"""Teacher checkpoints: read them without running anything in them, build the teacher, name every tensor that is wrong.

A checkpoint of ours is {"architecture", "config", "model_state_dict", "info"}. The released ones of SAM-Med3D and
SegAnyPET know no "architecture"; they hold a `model_state_dict`, or are bare state dictionaries, of the released Sam3D.
"""

import argparse
import re
from collections.abc import Mapping
from pathlib import Path
from pickle import UnpicklingError
from typing import Any
from zipfile import is_zipfile

import torch
from torch import Tensor, nn

from nnunetv2_muduo.errors import UserError
from nnunetv2_muduo.files import replacing
from nnunetv2_muduo.teachers.registry import check_teacher, find_architecture

_STATE_KEYS = ("model_state_dict", "state_dict", "model")
_PREFIXES = ("module.", "_orig_mod.", "model.")  # left by DataParallel, torch.compile and wrappers
_MOST_NAMES = 20  # listed of each kind of mismatch


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


def read_checkpoint(path: Path) -> dict[str, Any]:
    """Read a checkpoint of tensors and plain values; an `argparse.Namespace` in it is tolerated, nothing else is.

    Raises:
        UserError: naming the file, if it is cut short, no checkpoint at all, or holds anything that would be executed.
    """
    archive = is_zipfile(path)
    if not archive and _first_bytes(path) == b"PK":  # of an archive whose table of contents, at its end, is missing
        raise UserError(f"{path} is cut short, probably by an interrupted copy; delete it and fetch it again.")
    try:
        with torch.serialization.safe_globals([argparse.Namespace]):
            content = torch.load(path, map_location="cpu", weights_only=True, mmap=archive)
    except Exception as error:  # depending on where it is damaged: EOFError, RuntimeError, OSError, KeyError ...
        raise _unreadable(path, error) from error
    if not isinstance(content, Mapping):
        raise UserError(f"{path} holds a {type(content).__name__}, not a dictionary of weights; use another file.")
    return dict(content)


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
    try:
        config = model.config_class.from_dict(checkpoint.get("config", {}))  # type: ignore[attr-defined]
    except (TypeError, ValueError) as error:
        raise UserError(f"{path} has a configuration that no {architecture} can have: {error}.") from error
    with torch.random.fork_rng(devices=[]):  # the weights drawn here are all replaced; nobody's seed should notice
        teacher = model(config)
    check_teacher(teacher)
    problems = _mismatches(teacher.state_dict(), weights)
    if problems:
        raise UserError(f"{path} does not fit {architecture}: {'; '.join(problems)}; use a file made for it.")
    teacher.load_state_dict(weights, strict=True)
    return teacher


def _unreadable(path: Path, error: Exception) -> UserError:
    forbidden = re.search(r"GLOBAL (\S+)", str(error)) if isinstance(error, UnpicklingError) else None
    if forbidden:
        return UserError(
            f"{path} was refused because it holds {forbidden[1]}, which loading would have to execute; use a file that "
            "holds nothing but tensors and plain values."
        )
    reason = f" ({error})" if isinstance(error, OSError) else ""
    return UserError(f"{path} cannot be read{reason}: it is damaged, or no checkpoint at all; fetch it again.")


def _first_bytes(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(2)


def _state_dict(checkpoint: Mapping[str, Any], path: Path) -> dict[str, Tensor]:
    """The tensors of a checkpoint, under their names without prefixes."""
    found = next((checkpoint[key] for key in _STATE_KEYS if isinstance(checkpoint.get(key), Mapping)), checkpoint)
    weights = dict(found)
    if not weights or not all(isinstance(name, str) and isinstance(value, Tensor) for name, value in weights.items()):
        raise UserError(
            f"{path} holds no weights: neither {', '.join(_STATE_KEYS)} nor tensors by name; use another file."
        )
    prefix: str | None = ""
    while prefix is not None:
        weights = {name.removeprefix(prefix): tensor for name, tensor in weights.items()}
        prefix = next((prefix for prefix in _PREFIXES if all(name.startswith(prefix) for name in weights)), None)
    return weights


def _mismatches(expected: Mapping[str, Tensor], given: Mapping[str, Tensor]) -> list[str]:
    """What is missing, unexpected or of another shape, one phrase for each kind that occurs."""
    shapes = [
        f"{name} {list(given[name].shape)} instead of {list(tensor.shape)}"
        for name, tensor in expected.items()
        if name in given and given[name].shape != tensor.shape
    ]
    kinds = {
        "missing": [name for name in expected if name not in given],
        "unexpected": [name for name in given if name not in expected],
        "of another shape": shapes,
    }
    return [f"{len(names)} tensors {kind} ({_listed(names)})" for kind, names in kinds.items() if names]


def _listed(names: list[str]) -> str:
    more = len(names) - _MOST_NAMES
    return ", ".join(names[:_MOST_NAMES]) + (f" and {more} more" if more > 0 else "")
