"""Checkpoints of any kind: read without running anything in them, compared tensor by tensor, written with additions."""

import argparse
import io
import re
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from pickle import UnpicklingError
from typing import Any
from zipfile import ZIP_STORED, BadZipFile, ZipFile, is_zipfile

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from nnunetv2_muduo.errors import UserError, listed
from nnunetv2_muduo.files import replacing

_SCALAR = np.float64(0).__reduce__()[0]  # how numpy pickles a number; its module's name depends on numpy's version
# nnU-Net's checkpoints hold the curves and the best Dice as numpy's numbers, and nothing else beyond plain values
NUMPY_NUMBERS = (
    (_SCALAR, "numpy._core.multiarray.scalar"),
    (_SCALAR, "numpy.core.multiarray.scalar"),
    np.dtype,
    *(type(np.dtype(kind)) for kind in (np.float16, np.float32, np.float64, np.int32, np.int64, np.bool_)),
)


def read_checkpoint(path: Path, *, allowed: Iterable[Any] = ()) -> dict[str, Any]:
    """Read a checkpoint of tensors and plain values; an `argparse.Namespace` in it is tolerated.

    Args:
        path: the file.
        allowed: what else may be in it, as `torch.serialization.safe_globals` takes it; nothing more is.

    Raises:
        UserError: naming the file, if it is missing, cut short, no checkpoint at all, or holds anything that would be
            executed.
    """
    if not path.is_file():
        raise UserError(f"There is no file {path}; check its name.")
    archive = is_zipfile(path)
    if not archive and _first_bytes(path) == b"PK":  # of an archive whose table of contents, at its end, is missing
        raise UserError(f"{path} is cut short, probably by an interrupted copy; delete it and fetch it again.")
    if archive and _unpacks(path):  # a few kilobytes may be made to fill any memory
        raise UserError(f"{path} is a compressed archive, which torch.save never writes; fetch it again.")
    try:
        with torch.serialization.safe_globals([argparse.Namespace, *allowed]):
            content = torch.load(path, map_location="cpu", weights_only=True, mmap=archive)
    except Exception as error:  # depending on where it is damaged: EOFError, RuntimeError, OSError, KeyError ...
        raise _unreadable(path, error) from error
    if not isinstance(content, Mapping):
        raise UserError(f"{path} holds a {type(content).__name__}, not a dictionary of weights; use another file.")
    if odd := next((name for name, tensor in _tensors(content) if not _holds_its_numbers(tensor)), None):
        raise UserError(
            f"{path} holds {odd} without its numbers, sparse or quantised; save the weights as plain tensors."
        )
    return dict(content)


def _tensors(content: Mapping) -> Iterator[tuple[str, Tensor]]:
    """The tensors of a checkpoint and of the tables in it, by name."""
    for table in (content, *(value for value in content.values() if isinstance(value, Mapping))):
        yield from ((str(name), value) for name, value in table.items() if isinstance(value, Tensor))


def _holds_its_numbers(tensor: Tensor) -> bool:
    """Whether a tensor is one that all of torch's functions take."""
    return tensor.layout is torch.strided and tensor.device.type == "cpu" and not tensor.is_quantized


def refuse_damaged(path: Path) -> None:
    """Compare every part of a checkpoint that torch wrote with its check sum, which torch does not.

    Raises:
        UserError: naming the file, if it is cut short or changed, or no such checkpoint.
    """
    try:
        with ZipFile(path) as archive:
            damaged = archive.testzip() is not None
    except (BadZipFile, EOFError, RuntimeError, ValueError, zlib.error):  # RuntimeError: as if it were encrypted
        damaged = True
    if damaged:
        raise UserError(
            f"{path} is damaged; move it away and run the same command again: the training goes on from another "
            "checkpoint of that folder or, where there is none, begins anew."
        )


@contextmanager
def writing_checkpoint(path: Path) -> Iterator[None]:
    """Raise UserError where a training cannot write its checkpoint because the disk is full or read-only."""
    try:
        yield
    except OSError as error:
        raise UserError(
            f"{path} cannot be written ({error.strerror}); make room, or allow it, and continue with "
            "nnUNetv2_train ... --c: the checkpoint before is kept."
        ) from error


@contextmanager
def refusing_damaged_entries(path: Path) -> Iterator[None]:
    """Raise UserError, naming a checkpoint, for whatever an entry that is damaged, or of another network, leads to."""
    try:
        yield
    except UserError:
        raise
    except Exception as error:
        raise UserError(
            f"Cannot go on with {path}: what this package keeps in it is damaged, or of another network ({error}); "
            "move it away and run the same command again, or train from its weights without --c (-pretrained_weights)."
        ) from error


def save_with(entries: Mapping[str, Any], save: Callable[[Any], object], path: Path) -> None:
    """Write the checkpoint that `save` writes to the file it is given, with further entries.

    A kill while writing leaves the checkpoint before.
    """
    buffer = io.BytesIO()
    save(buffer)  # what goes into nnU-Net's checkpoint stays its own business
    buffer.seek(0)
    checkpoint = torch.load(buffer, map_location="cpu", weights_only=False)
    with replacing(path) as partial:
        torch.save({**checkpoint, **entries}, partial)


def without_prefixes(weights: Mapping[str, Tensor], prefixes: Iterable[str]) -> dict[str, Tensor]:
    """The same tensors, without those of the prefixes that every name begins with, however often they are nested."""
    known, stripped = tuple(prefixes) if weights else (), dict(weights)
    prefix: str | None = ""
    while prefix is not None:
        stripped = {name.removeprefix(prefix): tensor for name, tensor in stripped.items()}
        prefix = next((prefix for prefix in known if all(name.startswith(prefix) for name in stripped)), None)
    return stripped


def mismatches(expected: Mapping[str, Tensor], given: Mapping[str, Tensor]) -> list[str]:
    """What is missing, unexpected, of another shape or of numbers of another kind; many names are cut."""
    kinds = {
        "missing": [name for name in expected if name not in given],
        "unexpected": [name for name in given if name not in expected],
        "of another shape": other_shapes(expected, given),
        "of another kind": other_kinds(expected, given),
    }
    return [f"{len(names)} tensors {kind} ({listed(names, most=20)})" for kind, names in kinds.items() if names]


def other_shapes(expected: Mapping[str, Tensor], given: Mapping[str, Tensor]) -> list[str]:
    """One phrase for each tensor of another shape than expected."""
    return [
        f"{name} {list(given[name].shape)} instead of {list(tensor.shape)}"
        for name, tensor in expected.items()
        if name in given and given[name].shape != tensor.shape
    ]


def other_kinds(expected: Mapping[str, Tensor], given: Mapping[str, Tensor]) -> list[str]:
    """One phrase for each tensor of whole or complex numbers for fractions, or the reverse; torch converts them."""
    return [
        f"{name} of {given[name].dtype} instead of {tensor.dtype}"
        for name, tensor in expected.items()
        if name in given and given[name].is_floating_point() != tensor.is_floating_point()
    ]


def are_weights(content: Any) -> bool:
    """Whether something is a table of tensors by name."""
    return isinstance(content, Mapping) and all(
        isinstance(name, str) and isinstance(tensor, Tensor) for name, tensor in content.items()
    )


def not_finite(weights: Mapping[str, Tensor]) -> list[str]:
    """Names of the tensors that hold NaN or infinity."""
    return [name for name, tensor in weights.items() if not tensor.isfinite().all()]


def fill(network: nn.Module, weights: Any) -> None:
    """Put a checkpoint's weights into a network.

    Raises:
        ValueError: for what is no network, or one whose training diverged.
        RuntimeError: for another network's.
    """
    if not are_weights(weights):
        raise ValueError("it holds no weights where they should be")
    if differing := mismatches(network.state_dict(), weights):
        raise RuntimeError("; ".join(differing))
    if broken := not_finite(weights):
        raise ValueError(f"it holds NaN or infinity in {broken[0]}: its training diverged")
    network.load_state_dict(weights)


def fill_optimizer(optimizer: Optimizer, stored: Mapping[str, Any]) -> None:
    """Put a checkpoint's momenta into an optimiser; learning rate, decay and the like stay as they are.

    Raises:
        ValueError: for momenta of other parameters, or of which a training would diverge.
        Exception: of any kind, for what is no optimiser's state.
    """
    groups = optimizer.state_dict()["param_groups"]
    parameters = dict(enumerate(parameter for group in optimizer.param_groups for parameter in group["params"]))
    for index, momenta in stored["state"].items():
        for name, tensor in momenta.items():
            parameter = parameters[index]
            expected = (parameter.dtype, () if name == "step" else parameter.shape)
            if (tensor.dtype, tensor.shape) != expected or not tensor.isfinite().all():
                raise ValueError(f"the {name} of its optimiser is of another network, or not finite")
    if len({frozenset(momenta) for momenta in stored["state"].values()}) > 1:
        raise ValueError("its optimiser lacks some of its momenta")
    optimizer.load_state_dict({"state": stored["state"], "param_groups": groups})


def _unreadable(path: Path, error: Exception) -> UserError:
    forbidden = re.search(r"GLOBAL (\S+)", str(error)) if isinstance(error, UnpicklingError) else None
    if forbidden:
        return UserError(
            f"{path} was refused because it holds {forbidden[1]}, which loading would have to execute; use a file that "
            "holds nothing but tensors and plain values."
        )
    reason = f" ({error})" if isinstance(error, OSError) else ""
    return UserError(f"{path} cannot be read{reason}: it is damaged, or no checkpoint at all; fetch it again.")


def _unpacks(path: Path) -> bool:
    """Whether anything in an archive becomes larger when it is read."""
    try:
        with ZipFile(path) as archive:
            return any(entry.compress_type != ZIP_STORED for entry in archive.infolist())
    except (BadZipFile, OSError, ValueError, NotImplementedError):
        return False  # its reader complains


def _first_bytes(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(2)
