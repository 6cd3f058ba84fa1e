"""Every file that a command reads, and the command: what is damaged, how, and who has to cope."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from random import Random

from damaged_checkpoints import damage_checkpoint_file
from damaged_dicom import damage_dicom_series
from damaged_json import damage_json_file
from damaged_nifti import damage_nifti_file
from damaged_settings import assignment, put_wild_setting_into_plans
from damaged_tables import damage_table_file
from damaged_text_headers import damage_text_header
from sandbox import MOST_BYTES
from world import (
    AUTOPET,
    CASE,
    CENTRES,
    EXPORTED,
    FOLD,
    MODEL,
    PREPROCESSED,
    RAW,
    RESULTS,
    TINY,
    autopet_words,
    finetune_words,
    harmonise_words,
    pseudo_words,
    scanner_words,
)

Damage = Callable[[Path, Random], str]


@dataclass(frozen=True)
class Trial:
    """A way for a damaged input to reach the product.

    Attributes:
        kind: of input; the table has a row for each.
        file: relative to the world; "" where the input is typed.
        damage: does it, in place.
        words: of the `muduo` command; "{}" takes what was typed.
        names: a refusal must name one of them; the file's own name is among them always.
        result: a file or folder that a success leaves and a refusal does not; "" where there is none.
        codes: exit codes that are no failure.
        most_growth: bytes of memory that it may take.
    """

    kind: str
    file: str
    damage: Damage
    words: tuple[str, ...]
    names: tuple[str, ...] = ()
    result: str = ""
    codes: tuple[int, ...] = (0,)
    most_growth: int = 700 << 20

    @property
    def title(self) -> str:
        """For messages."""
        return f"{Path(self.file).name or 'typed'} -> muduo {self.words[0]}"


def _json(file: str, *words: str, **more) -> Trial:
    return Trial("JSON", file, damage_json_file, words, **more)


def _nifti(file: str, *words: str, **more) -> Trial:
    return Trial("NIfTI", file, damage_nifti_file, words, **more)


def _text_header(file: str, *words: str, **more) -> Trial:
    return Trial("MHA and NRRD", file, damage_text_header, words, **more)


def _dicom(folder: str, *words: str, **more) -> Trial:
    # The library below ITK takes the memory that a broken slice claims, before it finds out
    return Trial("DICOM", folder, damage_dicom_series, words, most_growth=MOST_BYTES, **more)


def _checkpoint(file: str, *words: str, **more) -> Trial:
    return Trial("checkpoint", file, damage_checkpoint_file, words, **more)


def _table(file: str, *words: str, **more) -> Trial:
    return Trial("table", file, damage_table_file, words, **more)


def _typed(file: Path, rng: Random) -> str:
    """What is typed goes to a file of its own, from where it is put into the command line."""
    text = assignment(rng)
    file.write_text(json.dumps(text))
    return ascii(text)[:80]


PLANS, DATASET_JSON = f"{PREPROCESSED}/{TINY}/nnUNetPlans.json", f"{RAW}/{TINY}/dataset.json"
SPLITS = f"{PREPROCESSED}/{TINY}/splits_final.json"
SCAN = f"{RAW}/{TINY}/imagesTr/{CASE}_0000.nii.gz"
_WINDOWS = ("-device", "cpu", "--most-windows", "4", "-o", "mask.nii.gz")
_SEGMENT = ("segment", SCAN, *_WINDOWS)
_HOW = ("--teacher", "teacher.pth", "--point", "5", "5", "5")
_POINT = (*_SEGMENT, *_HOW)
_HARMONISE_ACTIVITY = (
    "harmonise",
    "activity",
    "-d",
    "Dataset231_Activity",
    "--preset",
    "autopet",
    "-np",
    "1",
    "--suv-from",
)
_IMPORT = ("-d", "21", "-o", "imported.pth", "--channels", "CT", "PET", "--force")
_EVALUATE = ("evaluate", f"{RAW}/{TINY}/labelsTr", "predicted", "-d", "21", "-o", "evaluated_now", "-np", "1")
_CLICKS = ("clicks", "-d", "21", "--teacher", "teacher.pth", "--clicks", "1", "--labels", "liver", "-o")
_REPORT = ("report", FOLD, "-o", "report.html", "--cases")
_UNREAD = f"{RESULTS}/unread/Dataset007_Tiny/nnUNetTrainerMuDuo__nnUNetPlans__3d_fullres"
_REPORT_UNREAD = ("report", f"{_UNREAD}/fold_0", "-o", "report.html", "--cases", "0")
_EXPORT = ("export", "-d", EXPORTED, "-o", "exported")
_EXPORTED = f"exported/{EXPORTED}/nnUNetTrainer__nnUNetPlans__3d_fullres"
_SPLIT = ("split", "-d", "21", "--labelled", "1", "--validation", "1", "--overwrite")
_PREPROCESS = ("preprocess-unlabelled", "-d", "21", "-np", "1")
_UNCROP = ("uncrop", "-i", "masks", "-o", "uncropped", "--record", f"{RAW}/{CENTRES}/harmonised.json")
_HOSPITAL = "hospital/two"

TRIALS = (
    Trial("settings", "typed.json", _typed, ("plan", "-d", "21", "--set", "{}"), ("etting", "assignment")),
    Trial(
        "settings", PLANS, put_wild_setting_into_plans, ("plan", "-d", "21", "--set", "points=3"), ("etting", "plans")
    ),
    Trial("settings", PLANS, put_wild_setting_into_plans, _PREPROCESS, ("etting", "plans")),
    _json(PLANS, "plan", "-d", "21", "--set", "points=3", names=("plans",)),
    _json(PLANS, *_PREPROCESS, names=("plans",)),
    _json(PLANS, "import-mae", "released.pth", *_IMPORT, names=("plans",), result="imported.pth"),
    _json(PLANS, "doctor", "-d", "21", codes=(0, 1)),
    _json(DATASET_JSON, "doctor", "-d", "21", codes=(0, 1)),
    _json(DATASET_JSON, *_PREPROCESS, names=("dataset", "channel")),
    _json(DATASET_JSON, *_SPLIT, names=("dataset", TINY)),
    _json(DATASET_JSON, *_EVALUATE, names=("dataset", "label"), result="evaluated_now"),
    _json(DATASET_JSON, *_CLICKS, "clicks_now", names=("dataset", TINY, "label"), result=""),
    _json(DATASET_JSON, "finetune-teacher", *finetune_words("-o", "finetuned_now"), names=(TINY, "dataset", "label")),
    _json(DATASET_JSON, "pseudo-label", *pseudo_words(), names=("dataset", "abel", "channel")),
    _json(f"{RAW}/{CENTRES}/dataset.json", "harmonise", *harmonise_words(), names=(CENTRES, "label")),
    _json(
        f"{PREPROCESSED}/{TINY}/dataset.json", "import-mae", "own.pth", *_IMPORT, names=("dataset", "channel", "plans")
    ),
    _json(SPLITS, *_PREPROCESS),
    _json(SPLITS, *_SPLIT),
    _json(SPLITS, "finetune-teacher", *finetune_words("-o", "finetuned_now", "-f", "0")),
    _json(
        "prompts.json",
        *_SEGMENT,
        "--teacher",
        "teacher.pth",
        "--prompts",
        "prompts.json",
        result="mask.nii.gz",
        names=("liver", "spleen", "target", "oint"),
    ),
    _json(
        "liver.mrk.json",
        *_SEGMENT,
        "--teacher",
        "teacher.pth",
        "--prompts",
        "liver.mrk.json",
        result="mask.nii.gz",
        names=("liver", "target", "oint"),
    ),
    _json(f"{RAW}/{CENTRES}/harmonised.json", *_UNCROP, result="uncropped"),
    _json(f"{RAW}/{CENTRES}/harmonised.json", "split", "-d", "230", "--labelled", "1", "--validation", "1"),
    _json(f"{RAW}/{CENTRES}/harmonised/two.json", "harmonise", *harmonise_words()),
    _json(f"{RAW}/{AUTOPET}/autopet.json", "convert-autopet", *autopet_words()),
    _json(f"{RAW}/{AUTOPET}/autopet.json", "split", "-d", "221", "--labelled", "1", "--validation", "1", "--overwrite"),
    _json(f"{RAW}/{AUTOPET}/autopet/PETCT_01_study.json", "convert-autopet", *autopet_words()),
    _json("organs.json", "convert-autopet", *autopet_words("--dry-run"), names=("nnU-Net wants", "organ")),
    _json(
        "labels.json",
        "harmonise",
        "hospital",
        "-d",
        "Dataset232_New",
        "--preset",
        "autopet",
        "-np",
        "1",
        "--labels-from",
        "labels.json",
        names=("nnU-Net wants",),
    ),
    _json("suv.json", *_HARMONISE_ACTIVITY, "suv.json", names=("--suv-from", "one")),
    _json("clicks/clicks.json", *_CLICKS, "clicks", names=("clicks",)),
    _json(
        "evaluated/summary.json",
        "report",
        FOLD,
        "-o",
        "report.html",
        "--cases",
        "0",
        "--evaluation",
        "evaluated",
        result="report.html",
        names=("evaluated",),
    ),
    _json(f"{FOLD}/validation/summary.json", *_REPORT, "0", result="report.html"),
    _json(f"{_UNREAD}/plans.json", *_REPORT_UNREAD, result="report.html"),
    _json(f"{_UNREAD}/dataset.json", *_REPORT_UNREAD, result="report.html"),
    _json(f"{_UNREAD}/fold_0/debug.json", *_REPORT_UNREAD, result="report.html"),
    _json(f"{FOLD}/teacher_report.json", *_REPORT, "0", result="report.html"),
    _json(f"{MODEL}/plans.json", *_EXPORT, names=("plans", EXPORTED), result=_EXPORTED),
    _json(f"{MODEL}/dataset.json", *_EXPORT, names=("dataset", EXPORTED), result=_EXPORTED),
    _json(
        "preset.json",
        "plan",
        "-d",
        "21",
        "--preset",
        "preset.json",
        names=("etting", "plans", "network", "configuration"),
    ),
    _json("network.json", "finetune-teacher", *finetune_words("-o", "finetuned_now")),
    _json("finetuned/finetuning.json", "finetune-teacher", *finetune_words("-o", "finetuned"), names=("finetuned",)),
    _json(
        "finetuned/cases/Dataset021_Tiny__labelled_0.json",
        "finetune-teacher",
        *finetune_words("-o", "finetuned", "--overwrite"),
    ),
    _json("pseudo/cases/pat 0.v1.json", "pseudo-label", *pseudo_words()),
    _nifti(SCAN, *_POINT, result="mask.nii.gz", names=("oint", "scan")),
    _nifti(
        "predicted/labelled_0.nii.gz",
        *_SEGMENT,
        "--teacher",
        "teacher.pth",
        "--mask",
        "predicted/labelled_0.nii.gz",
        result="mask.nii.gz",
        names=("mask",),
    ),
    _nifti(f"{_HOSPITAL}/CTres.nii.gz", "harmonise", *harmonise_words(), names=("two",)),
    _nifti(f"{_HOSPITAL}/SUV.nii.gz", "harmonise", *harmonise_words(), names=("two",)),
    _nifti(f"{_HOSPITAL}/SEG.nii.gz", "harmonise", *harmonise_words(), names=("two",)),
    _nifti(
        f"{_HOSPITAL}/SUV.nii.gz",
        "harmonise",
        *harmonise_words(),
        "--spacing",
        "6",
        "5",
        "5",
        "--body-crop",
        names=("two",),
    ),
    _nifti(
        "release/PETCT_01/study/CTres.nii.gz", "convert-autopet", *autopet_words("--overwrite"), names=("PETCT_01",)
    ),
    _nifti(
        "release/PETCT_01/study/SUV.nii.gz",
        "convert-autopet",
        *autopet_words("--overwrite", "--resample"),
        names=("PETCT_01",),
    ),
    _nifti(
        "organs/PETCT_01_study.nii.gz",
        "convert-autopet",
        *autopet_words("--overwrite", "--resample"),
        names=("PETCT_01",),
    ),
    _nifti("predicted/labelled_0.nii.gz", *_EVALUATE, result="evaluated_now"),
    _nifti(f"{RAW}/{TINY}/labelsTr/{CASE}.nii.gz", *_EVALUATE, result="evaluated_now"),
    _nifti(f"{RAW}/{TINY}/imagesUn/pat 0.v1_0000.nii.gz", *_PREPROCESS, names=("pat 0.v1",)),
    _nifti("predictions/pat 0.v1.nii.gz", "pseudo-label", *pseudo_words(), names=("pat 0.v1",)),
    _nifti("masks/two.nii.gz", *_UNCROP),
    _nifti(SCAN, *_CLICKS, "clicks_now", names=(CASE, "liver")),
    _nifti(
        f"{RAW}/{TINY}/labelsTr/{CASE}.nii.gz",
        "finetune-teacher",
        *finetune_words("-o", "finetuned_now"),
        names=(CASE,),
    ),
    _nifti(f"{FOLD}/validation/a.nii.gz", *_REPORT, "1", result="report.html"),
    *(
        _text_header(
            f"odd.{ending}",
            "segment",
            f"odd.{ending}",
            *_WINDOWS,
            *_HOW,
            result="mask.nii.gz",
            names=("oint", "'target'"),
        )
        for ending in ("mha", "nrrd")
    ),
    _text_header("scanner/two/CT.mha", "harmonise", *scanner_words("SUV.nrrd"), names=("two",)),
    _text_header("scanner/two/SUV.nrrd", "harmonise", *scanner_words("SUV.nrrd"), names=("two",)),
    _dicom(
        "scanner/two/PET",
        "segment",
        "scanner/two/PET",
        *_WINDOWS,
        *_HOW,
        result="mask.nii.gz",
        names=("oint", "'target'"),
    ),
    _dicom("scanner/two/PET", "harmonise", *scanner_words("PET"), names=("two",)),
    _checkpoint("teacher.pth", *_POINT, result="mask.nii.gz", names=("teacher",)),
    _checkpoint("teacher.pth", "finetune-teacher", *finetune_words("--teacher", "teacher.pth", "-o", "finetuned_now")),
    _checkpoint("released.pth", "import-mae", "released.pth", *_IMPORT, result="imported.pth"),
    _checkpoint("own.pth", "import-mae", "own.pth", *_IMPORT, result="imported.pth"),
    _checkpoint(f"{FOLD}/checkpoint_final.pth", *_REPORT, "0", result="report.html", names=("fold_0",)),
    _checkpoint(f"{MODEL}/fold_0/checkpoint_final.pth", *_EXPORT, result=_EXPORTED, names=("nnUNetTrainerMuDuo",)),
    _checkpoint("finetuned/training.pth", "finetune-teacher", *finetune_words("-o", "finetuned", "--overwrite")),
    _table("suv.csv", *_HARMONISE_ACTIVITY, "suv.csv", names=("--suv-from", "one")),
    _table("clicks/clicks.csv", *_CLICKS, "clicks"),
    _table(f"{FOLD}/training_log_2026_1_2_03_00_00.txt", *_REPORT, "0", result="report.html"),
    _table(f"{_UNREAD}/fold_0/training_log_2026_1_2_03_00_00.txt", *_REPORT_UNREAD, result="report.html"),
)
