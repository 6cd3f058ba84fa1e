"""A conversion of AutoPET as a test asks for it, and what is there afterwards."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import SimpleITK as sitk
from autopet_folders import STUDY

from nnunetv2_muduo.autopet.plan import Wishes, plan_conversion
from nnunetv2_muduo.autopet.recipe import Summary, convert
from nnunetv2_muduo.transfer.few_shot import Amount

NAME = "Dataset221_AutoPET"
STUDIES = {f"{number}": [STUDY, "s2"] if number % 2 else [STUDY] for number in range(8)}  # 12 studies of 8 patients
CASES = [f"fdg_{patient}_{study}" for patient, studies in STUDIES.items() for study in studies]


class Project:
    """A folder for everything, and what a user asks for."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.dataset, self.preprocessed = folder, folder / "raw" / NAME, folder / "preprocessed" / NAME
        self.wishes = Wishes(
            (folder / "source",), "lesions", labelled=Amount(2), validation=Amount(2), test=Amount(2), seed=1
        )
        self.lines: list[str] = []

    def run(self, **changed) -> Summary:
        options = {key: changed.pop(key) for key in ("overwrite", "num_processes") if key in changed}
        plan = plan_conversion(replace(self.wishes, **changed), self.dataset, log=self.lines.append)
        self.plan = plan
        return convert(plan, preprocessed=self.preprocessed, log=self.lines.append, **options)

    def files(self, folder: str) -> list[str]:
        place = self.dataset / folder
        return sorted(path.name.removesuffix(".nii.gz") for path in place.iterdir()) if place.is_dir() else []

    def cases(self, folder: str) -> list[str]:
        return [name.removesuffix("_0000") for name in self.files(folder) if name.endswith("_0000")]

    def manifest(self) -> dict:
        return json.loads((self.dataset / "autopet.json").read_text(encoding="utf-8"))

    def values(self, file: str) -> np.ndarray:
        return sitk.GetArrayFromImage(sitk.ReadImage(str(self.dataset / f"{file}.nii.gz")))

    def a_labelled_case(self) -> str:
        return self.cases("imagesTr")[0]
