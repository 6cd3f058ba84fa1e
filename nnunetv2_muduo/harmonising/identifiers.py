"""Case identifiers from the names of folders: unique, and safe as file names and for nnU-Net."""

import re
import unicodedata
from collections.abc import Sequence
from pathlib import Path

from nnunetv2_muduo.errors import UserError
from nnunetv2_muduo.harmonising.case_finding import FoundCase

_UNSAFE = re.compile(r'[\x00-\x1f/\\:*?"<>|]')  # in file names, on some system
_UNDECODED = re.compile("[\ud800-\udfff]")  # what Python makes of bytes of another encoding
_MOST_BYTES = 200  # file systems take 255, of which endings need some


def case_identifier(parts: Sequence[str], *, centre: str | None = None) -> str:
    """The identifier of a case, from the names of its folders joined by underscores.

    Spaces, dots within and letters of any script stay, in their composed form (NFC). What some system refuses in file
    names becomes an underscore, and `_seg` at the end, which nnU-Net keeps for labels, gets another behind it.

    Args:
        parts: names, outermost first.
        centre: put in front, so that centres that count their patients alike stay apart.

    Raises:
        UserError: if nothing is left of the name, or it is too long.
    """
    joined = "_".join(part for part in (centre, *parts) if part)
    name = _UNSAFE.sub("_", unicodedata.normalize("NFC", joined)).strip(" .")
    if name.endswith("_seg"):
        name += "_"
    if not name:
        raise UserError(f"'{'/'.join(parts)}' gives no name for a case; rename the folder.")
    if len(name.encode()) > _MOST_BYTES:
        raise UserError(f"'{name}' is too long a name for a case ({_MOST_BYTES} bytes at most); rename the folders.")
    return name


def identified(cases: Sequence[FoundCase], *, centre: str | None = None) -> dict[str, FoundCase]:
    """Identifier -> case.

    Raises:
        UserError: where two cases get the same identifier, also where only some systems tell capitals apart, or where a
            path is not in UTF-8.
    """
    named: dict[str, FoundCase] = {}
    taken: dict[str, FoundCase] = {}
    for case in cases:
        check_encoding(case.folder.resolve(), *case.sources.values())
        name = case_identifier(case.parts, centre=centre)
        other = taken.setdefault(name.casefold(), case)
        if other is not case:
            raise UserError(f"{other.folder} and {case.folder} would both be called '{name}'; rename one of them.")
        named[name] = case
    return named


def check_encoding(*paths: Path) -> None:
    """Raise UserError for a path that is not in UTF-8."""
    for path in paths:
        if _UNDECODED.search(str(path)):
            shown = str(path).encode("utf-8", "backslashreplace").decode()
            raise UserError(f"The path {shown} is not in UTF-8, so no record of it can be written; rename it.")
