"""Checkpoints that are broken, are something else, or would run a program if they were unpickled."""

import argparse
import os
import pickle
import tarfile
import zipfile
from pathlib import Path
from random import Random
from typing import Any

import torch
from damaged_bytes import damaged_bytes
from damaged_json import JUNK

EXECUTED = "executed"  # file that a malicious checkpoint makes, beside it


class _Malicious:
    """Makes a file when it is unpickled."""

    def __init__(self, mark: Path) -> None:
        self.mark = str(mark)

    def __reduce__(self) -> tuple:
        return os.mkdir, (self.mark,)


def damage_checkpoint_file(file: Path, rng: Random) -> str:
    """Damage a file of torch.save where it lies; returns what was done."""
    way = rng.random()
    if way < 0.35:
        changed, how = damaged_bytes(file.read_bytes(), rng)
        file.write_bytes(changed)
        return how
    if way < 0.6:
        return _something_else(file, rng)
    content = torch.load(file, map_location="cpu", weights_only=False)
    how = rng.choice(_WAYS)(content, file, rng)
    torch.save(content, file)
    return how


def _malicious(content: dict, file: Path, rng: Random) -> str:
    holder, key = rng.choice([(content, "info"), (content, "anything"), (_table(content, rng), "weight")])
    holder[key] = _Malicious(file.with_name(EXECUTED))
    return f"malicious object as {key}"


def _namespace(content: dict, file: Path, rng: Random) -> str:
    content["args"] = argparse.Namespace(batch_size=2, path=Path("/somewhere") if rng.random() < 0.3 else "there")
    return "argparse.Namespace"


def _shape(content: dict, file: Path, rng: Random) -> str:
    name, weights = _tensor(content, rng)
    if name is None:
        return "nothing (no tensors)"
    old = weights[name]
    weights[name] = rng.choice([old[..., None], old.flatten()[:1], torch.zeros(0), torch.zeros(3, 3), old.flatten()])
    return f"{name} has the shape {tuple(weights[name].shape)}"


def _values(content: dict, file: Path, rng: Random) -> str:
    name, weights = _tensor(content, rng)
    if name is None:
        return "nothing (no tensors)"
    old = weights[name]
    nan = torch.full(old.shape, float("nan"))
    weights[name] = rng.choice([nan, old.to(torch.int64), old.to(torch.complex64), old > 0, None, "text", 3, [1.0]])
    return f"{name} is {str(getattr(weights[name], 'dtype', weights[name]))[:20]}"


def _missing(content: dict, file: Path, rng: Random) -> str:
    table = _table(content, rng)
    key = rng.choice(list(table))
    del table[key]
    return f"{key} is missing"


def _extra(content: dict, file: Path, rng: Random) -> str:
    table = _table(content, rng)
    table[rng.choice(["more", 3, ""])] = rng.choice([torch.zeros(2), *JUNK])
    return "something more in it"


def _junk(content: dict, file: Path, rng: Random) -> str:
    table = _table(content, rng)
    key = rng.choice(list(table))
    table[key] = rng.choice(JUNK)
    return f"{key} is {ascii(table[key])[:40]}"


def _something_else(file: Path, rng: Random) -> str:
    """In place of the file another thing by its name."""
    kind = rng.choice(list(_OTHERS))
    content = torch.load(file, map_location="cpu", weights_only=False)
    file.unlink()
    _OTHERS[kind](content, file)
    return f"{kind} in its place"


def _bare(content: Any, file: Path) -> None:
    torch.save(next((v for v in content.values() if isinstance(v, dict)), {}), file)


def _legacy(content: Any, file: Path) -> None:
    torch.save(content, file, _use_new_zipfile_serialization=False)


def _malicious_legacy(content: Any, file: Path) -> None:
    torch.save({**content, "x": _Malicious(file.with_name(EXECUTED))}, file, _use_new_zipfile_serialization=False)


def _plain_pickle(content: Any, file: Path) -> None:
    file.write_bytes(pickle.dumps(_Malicious(file.with_name(EXECUTED))))


def _archive(content: Any, file: Path) -> None:
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("../outside.txt", "no checkpoint")


def _malicious_archive(content: Any, file: Path) -> None:
    """As torch.save makes them, but with names that lead out of it."""
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("archive/data.pkl", pickle.dumps(_Malicious(file.with_name(EXECUTED))))
        archive.writestr("archive/version", "3\n")
        archive.writestr("../../archive/data/0", bytes(16))


def _tar(content: Any, file: Path) -> None:
    with tarfile.open(file, "w") as archive:
        archive.add(__file__, arcname="../outside.txt")


def _whole_model(content: Any, file: Path) -> None:
    torch.save(torch.nn.Linear(2, 2), file)


_OTHERS = {
    "bare state dictionary": _bare,
    "legacy file": _legacy,
    "malicious legacy file": _malicious_legacy,
    "malicious pickle": _plain_pickle,
    "zip archive": _archive,
    "malicious zip archive": _malicious_archive,
    "tar archive": _tar,
    "pickled module": _whole_model,
    "list": lambda content, file: torch.save([1, 2], file),
    "tensor": lambda content, file: torch.save(torch.zeros(3), file),
    "empty table": lambda content, file: torch.save({}, file),
    "folder": lambda content, file: file.mkdir(),
    "text": lambda content, file: file.write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n"),
    "dead link": lambda content, file: file.symlink_to("nowhere"),
}
_WAYS = (_malicious, _malicious, _namespace, _shape, _shape, _values, _values, _missing, _missing, _extra, _junk, _junk)


def _table(content: dict, rng: Random) -> dict:
    """The checkpoint itself or a table in it."""
    return rng.choice([content, *(value for value in content.values() if isinstance(value, dict) and value)])


def _tensor(content: dict, rng: Random) -> tuple[str | None, dict]:
    tables = [table for table in (content, *content.values()) if isinstance(table, dict)]
    found = [(n, t) for t in tables for n, v in t.items() if isinstance(v, torch.Tensor)]
    return rng.choice(found) if found else (None, content)
