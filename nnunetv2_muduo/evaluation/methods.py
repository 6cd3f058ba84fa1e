"""Names for folders of predictions that are compared."""

from collections.abc import Sequence
from pathlib import Path

from nnunetv2_muduo.errors import UserError


def named_folders(arguments: Sequence[str]) -> dict[str, Path]:
    """Method -> folder, in the given order.

    Args:
        arguments: NAME=FOLDER, or FOLDER alone: its name then, or where several share it (nnU-Net's `validation`), that
            of the nearest folder above that tells all of them apart.

    Raises:
        UserError: if two methods have one name or a folder is given twice.
    """
    split = [argument.partition("=") for argument in arguments]
    explicit = {k: name for k, (name, equals, _) in enumerate(split) if equals and not Path(arguments[k]).is_dir()}
    folders = [Path(split[k][2] if k in explicit else argument) for k, argument in enumerate(arguments)]
    short = _short_names([folder for k, folder in enumerate(folders) if k not in explicit])
    names = [explicit[k] if k in explicit else short.pop(0) for k in range(len(folders))]
    if len(set(names)) < len(names) or not all(names) or any("/" in name for name in names):
        raise UserError(
            f"The folders of predictions cannot be told apart by name ({', '.join(names)}); name each as NAME=FOLDER."
        )
    return dict(zip(names, folders, strict=True))


def _short_names(folders: Sequence[Path]) -> list[str]:
    parts = [folder.resolve().parts[::-1] for folder in folders]
    for level in range(min(map(len, parts), default=0)):
        names = [part[level] for part in parts]
        if len(set(names)) == len(names):
            return names
    return [part[0] for part in parts]
