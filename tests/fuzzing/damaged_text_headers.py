"""MHA and NRRD files: a header of text lines that lies, lacks or repeats something, before voxels that are fewer."""

from pathlib import Path
from random import Random

from damaged_bytes import damaged_bytes

_NUMBERS = ("0", "-1", "1", "3", "7", "nan", "inf", "1e30", "-1e-30", "99999999", "9" * 40, "1,5", "")
_WORDS = (
    "",
    "text",
    "ä",
    "True",
    "MET_UCHAR",
    "MET_DOUBLE",
    "MET_OTHER",
    "double",
    "block",
    "gzip",
    "bzip2",
    "raw",
    "LIST",
    "LOCAL",
    "../../passwd",
    "other.raw",
    "(1,0,0) (0,1,0) (0,0,0)",
    "(1,0,0) none (0,0,1)",
    "right-anterior-superior",
    "none none none",
)


def damage_text_header(file: Path, rng: Random) -> str:
    """Damage an .mha or .nrrd file where it lies; returns what was done."""
    data = file.read_bytes()
    if rng.random() < 0.2:
        changed, how = damaged_bytes(data, rng)
        file.write_bytes(changed)
        return how
    length = _header_length(data)
    lines = data[:length].decode("ascii").splitlines()
    voxels = data[length:]
    if rng.random() < 0.15:
        voxels = voxels[: rng.randrange(len(voxels))]
        how = f"{len(voxels)} bytes of voxels"
    else:
        how = _damage(lines, rng)
    end = "\n\n" if data.startswith(b"NRRD") else "\n"
    file.write_bytes("\n".join(lines).rstrip("\n").encode() + end.encode() + voxels)
    return how


def _header_length(data: bytes) -> int:
    """Bytes up to the voxels: NRRD ends its header with an empty line, MHA with the entry ElementDataFile."""
    if data.startswith(b"NRRD"):
        return data.index(b"\n\n") + 2
    return data.index(b"\n", data.index(b"ElementDataFile")) + 1


def _damage(lines: list[str], rng: Random) -> str:
    number = rng.randrange(len([line for line in lines if line]))
    line = lines[number]
    way = rng.randrange(6)
    if way == 0:
        del lines[number]
        return f"'{line}' is missing"
    if way == 1:
        lines.insert(rng.randrange(len(lines)), line)
        return f"'{line}' is there twice"
    separator = next((s for s in (" = ", ": ") if s in line), None)
    if separator is None:
        lines[number] = rng.choice(_WORDS)
        return f"'{lines[number]}' in place of '{line}'"
    key, value = line.split(separator, 1)
    values = value.split(" ")
    if way == 2:
        values = values * 2 if rng.random() < 0.5 else values[:-1]
    elif way == 3:
        values = [rng.choice(_WORDS)]
    else:
        values[rng.randrange(len(values))] = rng.choice(_NUMBERS)
    lines[number] = f"{key}{separator}{' '.join(values)}"
    return f"'{lines[number][:60]}' in place of '{line[:60]}'"
