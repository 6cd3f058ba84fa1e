"""A record as `muduo harmonise` writes it."""

import json
from pathlib import Path

from nnunetv2_muduo.datasets.scan_grid import ScanGrid
from nnunetv2_muduo.harmonising.images import Box
from nnunetv2_muduo.harmonising.record import RECORD_FILE, CaseRecord

GRID = ScanGrid((8, 7, 6), (1.0, 1.0, 1.0), (0.0, 0.0, 0.0), (1.0, 0, 0, 0, 1.0, 0, 0, 0, 1.0))
SOURCES = {"folder": "/x", "options": {"copy": False}, "sources": {"CT": ["a", [1, 2]], "PET": ["b", [3, 4]]}}
RECORD = CaseRecord("p", SOURCES, ("imagesTr/a_0000.nii.gz",), GRID, GRID, Box((1, 1, 1), (4, 4, 4)), None, ("note",))


def write_harmonised_record(dataset: Path, *cropped: bool) -> None:
    """Of a case for each value: whether it was cropped to the body."""
    tables = [{**RECORD.to_dict(), "box": RECORD.to_dict()["box"] if crop else None} for crop in cropped]
    cases = {f"case_{number}": table for number, table in enumerate(tables)}
    (dataset / RECORD_FILE).write_text(json.dumps({"cases": cases}))
