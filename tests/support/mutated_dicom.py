"""Every DICOM series that differs from a valid one in one tag, of all slices or of one."""

from collections.abc import Iterator, Sequence
from pathlib import Path

WHERE = {"all": slice(None), "the second": slice(1, 2), "the last": slice(-1, None)}
_MISSING = "missing"
_BY_KIND: dict[str, tuple] = {
    "DS": (_MISSING, "", "text", "-1", "0", "nan", "inf", "1e30", "2.5", "1,5", "1\\2", "3\\-2", "1\\0\\0", "9" * 16),
    "IS": (_MISSING, "", "text", "-1", "7", "9" * 12),
    "CS": (_MISSING, "", "OTHER", "MONOCHROME1", "RGB", "CT", "GML", "DECY", "ADMIN", "BQML\\GML"),
    "UI": (_MISSING, "", "1.2.4", "text"),
    "DA": (_MISSING, "", "text", "20260104", "20269999", "2026", "20251231"),
    "TM": (_MISSING, "", "text", "256161", "10:30:00", "235959", "093000"),
}


def mutated_series(files: Sequence[Path], folder: Path, *, inner: bool = True) -> Iterator[str]:
    """Write one series after the other into a folder; what was done where, and for each time the folder is the next.

    Args:
        files: of the valid series.
        folder: exists; files in it are replaced.
        inner: whether the tags of the first item of the radiopharmaceutical sequence are changed, too.
    """
    import pydicom

    valid = [pydicom.dcmread(file) for file in files]
    sequence = "RadiopharmaceuticalInformationSequence"
    places = [(None, element) for element in valid[0] if element.VR in _BY_KIND]
    places += [(sequence, element) for element in valid[0][sequence][0]] if inner else []
    for outer, element in places:
        for value in _BY_KIND[element.VR]:
            for who, chosen in WHERE.items():
                _write(valid, folder)
                for file in sorted(folder.iterdir())[chosen]:
                    header = pydicom.dcmread(file)
                    _put(header if outer is None else header[outer][0], element, value)
                    header.save_as(file, enforce_file_format=False)
                yield f"{element.keyword} of {who}: {value!r}"


def _write(series: Sequence, folder: Path) -> None:
    for number, header in enumerate(series):
        header.save_as(folder / f"{number}.dcm", enforce_file_format=False)


def _put(holder, element, value: str) -> None:
    """Set a tag to a text that pydicom would not let pass, or delete it."""
    from pydicom.dataelem import DataElement

    if value == _MISSING:
        del holder[element.tag]
        return
    changed = DataElement(element.tag, "LO", value, validation_mode=0)  # a kind that takes any text
    changed.VR = element.VR
    holder[element.tag] = changed
