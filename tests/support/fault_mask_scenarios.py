"""Commands that write masks of scans, as scenarios for `fault_trials`."""

import json
from pathlib import Path

import SimpleITK as sitk
from centre_folders import PET_GRID, a_ct, a_label, a_pet
from fault_commands import muduo
from fault_trials import Scenario
from pseudo_project import organs, write, write_scan, write_teachers

from nnunetv2_muduo.harmonising.images import Options, harmonise_images
from nnunetv2_muduo.harmonising.record import CaseRecord

_POINTS = {"space": "voxel", "targets": [{"name": "2", "points": [[9, 5, 10], [2, 2, 2, 0]]}]}


def segment() -> Scenario:
    """`muduo segment` of a rough mask and points from a file, with a picture."""

    def prepare(folder: Path) -> None:
        write_scan(folder, "scan", seed=0)
        write(organs(), folder / "rough.nii.gz")
        write_teachers(folder / "weights")
        (folder / "points.json").write_text(json.dumps(_POINTS))

    def run(folder: Path) -> int:
        words = "--teacher ct.pth --modality CT --mask rough.nii.gz --prompts points.json -device cpu --most-windows 2"
        files = (str(folder / "scan_0000.nii.gz"), "-o", str(folder / "out" / "mask.nii.gz"))
        return muduo(folder, "segment", *files, *words.split(), "--figure", str(folder / "out" / "mask.png"))

    return Scenario(
        "segment",
        prepare,
        run,
        results=("out/*",),
        whole=("out/*",),
        damage=("out/*",),
        inputs=("scan_0000.nii.gz", "rough.nii.gz", "points.json", "weights/ct.pth"),
    )


def uncrop() -> Scenario:
    """`muduo uncrop` of masks of three scans that were cut to the body."""

    def prepare(folder: Path) -> None:
        (folder / "masks").mkdir()
        records = {}
        made = harmonise_images(a_ct(PET_GRID), a_pet(), a_label(), Options(body_crop=True))
        for number in range(3):
            case = f"patient {number}.v1"
            record = CaseRecord(case, {}, (), made.own_grid, made.full_grid, made.box, None, made.notes)
            records[case] = record.to_dict()
            sitk.WriteImage(made.label, str(folder / "masks" / f"{case}.nii.gz"))
        (folder / "harmonised.json").write_text(json.dumps({"cases": records}))

    def run(folder: Path) -> int:
        files = ("-i", str(folder / "masks"), "--record", str(folder / "harmonised.json"), "-o", str(folder / "out"))
        return muduo(folder, "uncrop", *files)

    return Scenario(
        "uncrop",
        prepare,
        run,
        results=("out/*",),
        whole=("out/*",),
        damage=("out/*",),
        inputs=("masks/*", "harmonised.json"),
    )
