"""What of a file counts when two runs of a command are compared: for `meaning` of a scenario."""

import csv
import hashlib
import json
import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path

import blosc2
import numpy as np
import torch


def tensors(file: Path) -> str:
    """The weights of a checkpoint; its file has a date in it."""
    content = torch.load(file, map_location="cpu", weights_only=False)
    weights = content.get("model_state_dict", content.get("network_weights"))
    digest = hashlib.sha256()
    for name, tensor in weights.items():
        digest.update(name.encode())
        digest.update(tensor.contiguous().numpy().tobytes())
    return digest.hexdigest()


def without_columns(*names: str) -> Callable[[Path], str]:
    """A table but for what depends on the clock."""

    def meaning(file: Path) -> str:
        with file.open(newline="") as lines:
            rows = [{key: value for key, value in row.items() if key not in names} for row in csv.DictReader(lines)]
        return json.dumps(rows)

    return meaning


def without_lines(*words: str) -> Callable[[Path], str]:
    """A text but for the lines with such a word."""
    return lambda file: "\n".join(line for line in file.read_text().splitlines() if not any(w in line for w in words))


def arrays(file: Path) -> str:
    """What a zip archive of arrays holds, whenever it was written."""
    with np.load(file) as archive:
        return hashlib.sha256(b"".join(name.encode() + archive[name].tobytes() for name in archive.files)).hexdigest()


def zipped(file: Path) -> str:
    """What a zip archive of files holds, whenever they were written."""
    with zipfile.ZipFile(file) as archive:
        return hashlib.sha256(b"".join(name.encode() + archive.read(name) for name in archive.namelist())).hexdigest()


def blosc(file: Path) -> str:
    """What an array of blosc2 holds; what it keeps between its parts is anything."""
    array = blosc2.open(
        str(file), mode="r", dparams={"nthreads": 1}
    )  # children to come would inherit its threads, dead
    return hashlib.sha256(np.ascontiguousarray(array[:]).tobytes()).hexdigest()


def pickled(file: Path) -> str:
    """A pickle by its content: how objects share parts of each other does not count."""
    return repr(sorted(pickle.loads(file.read_bytes()).items()))


def is_there(file: Path) -> str:
    """That it is there, whatever is in it."""
    return "there"
