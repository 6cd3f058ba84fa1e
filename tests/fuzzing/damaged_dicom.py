"""DICOM series with slices missing, twice, of another series or broken, and with tags that lie."""

import shutil
import warnings
from pathlib import Path
from random import Random

from damaged_bytes import damaged_bytes

_JUNK = ("", "text", "-1", "0", "nan", "1e30", "99999", "20269999", "256161", "CNTS", "GML", "OTHER", "9" * 20)
_LISTED = ([0.0, 0.0, 0.0], [1.0, 0.0, 0.0, 1.0, 0.0, 0.0], [0.0, 0.0], [-4.0, 4.0], [], [1e30, 1e30, 1e30], [5.0])


def damage_dicom_series(folder: Path, rng: Random) -> str:
    """Damage the series in a folder of .dcm files; returns what was done."""
    files = sorted(folder.iterdir())
    file = rng.choice(files)
    way = rng.random()
    if way < 0.2:
        changed, how = damaged_bytes(file.read_bytes(), rng)
        file.write_bytes(changed)
        return f"{file.name}: {how}"
    if way < 0.4:
        return rng.choice(_SERIES_WAYS)(files, file, rng)
    chosen = files if rng.random() < 0.5 else [file]
    return _tag(chosen, rng)


def _missing(files: list[Path], file: Path, rng: Random) -> str:
    file.unlink()
    return f"{file.name} is missing"


def _twice(files: list[Path], file: Path, rng: Random) -> str:
    shutil.copyfile(file, file.with_name("copy.dcm"))
    return f"{file.name} is there twice"


def _foreign_file(files: list[Path], file: Path, rng: Random) -> str:
    (file.parent / rng.choice(["DICOMDIR", "notes.txt", "z.dcm"])).write_bytes(rng.randbytes(200))
    return "noise beside the slices"


def _one_left(files: list[Path], file: Path, rng: Random) -> str:
    for other in files:
        if other != file:
            other.unlink()
    return f"{file.name} alone is left"


def _none_left(files: list[Path], file: Path, rng: Random) -> str:
    for each in files:
        each.unlink()
    return "an empty folder"


def _a_folder_within(files: list[Path], file: Path, rng: Random) -> str:
    file.unlink()
    file.mkdir()
    return f"{file.name} is a folder"


def _tag(files: list[Path], rng: Random) -> str:
    """The same tag of all files is missing, or says something else."""
    import pydicom

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        header = pydicom.dcmread(files[0])
        keyword = rng.choice([element.keyword for element in header if element.keyword != "PixelData"] + ["PixelData"])
        inner = rng.random() < 0.5
        remove, junk, listed, number = rng.random() < 0.3, rng.choice(_JUNK), rng.choice(_LISTED), rng.randrange(300)
        how = ""
        for file in files:
            header = pydicom.dcmread(file)
            holder = header
            if keyword == "RadiopharmaceuticalInformationSequence" and inner:
                holder = header.RadiopharmaceuticalInformationSequence[0]
            name = keyword if holder is header else [element.keyword for element in holder][number % len(holder)]
            how = _change(holder, name, remove=remove, junk=junk, listed=listed, number=number)
            header.save_as(file, enforce_file_format=False)
    return f"{len(files)} file(s): {how}"


def _change(holder, name: str, *, remove: bool, junk: str, listed: list[float], number: int) -> str:
    """Delete a tag or set its raw value, whatever its kind takes."""
    if remove:
        delattr(holder, name)
        return f"{name} is missing"
    element = holder[name]
    kind = element.VR
    if kind == "SQ":
        value: object = []
    elif kind in ("US", "UL", "SS"):
        value = number
    elif kind in ("OB", "OW"):
        value = element.value[: 2 * number]
    elif kind == "DS" and number % 2:
        value = listed
    else:
        value = junk
    element.validation_mode = 0  # IGNORE of pydicom
    if kind in ("DS", "IS"):  # kept as text, which pydicom does not parse before it is read
        value = "\\".join(f"{v:g}" for v in value) if isinstance(value, list) else value
        element._value = value
    else:
        element.value = value
    return f"{name} is {value!r:.60}"


_SERIES_WAYS = (_missing, _missing, _twice, _foreign_file, _one_left, _none_left, _a_folder_within)
