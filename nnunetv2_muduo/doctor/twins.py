"""Are unlabelled scans among the labelled or the test cases, too? These are no unseen scans then."""

from pathlib import Path

from nnunetv2_muduo.cases.training_files import training_files
from nnunetv2_muduo.datasets.scan_header import chosen_reader
from nnunetv2_muduo.doctor.check import Check, warn
from nnunetv2_muduo.doctor.unlabelled import sorted_scans
from nnunetv2_muduo.errors import listed_reasons
from nnunetv2_muduo.files import sha256_of

_SAMPLE_IN_BYTES = 4096


def check_twins(raw_folder: Path, preprocessed_folder: Path, dataset_json: dict) -> list[Check]:
    """Unlabelled scans whose first channel is, byte by byte, that of another case; no check where there are none.

    A labelled case of the same name that the folds leave out is meant to be there, as `muduo split` puts it. Copies
    that were compressed or cropped anew are not recognised.

    Raises:
        UserError: if the dataset's splits_final.json is none.
    """
    scans, _ = sorted_scans(raw_folder, preprocessed_folder, dataset_json, reader=chosen_reader(dataset_json))
    first = {case: files[0] for case, files in scans.items()}
    others = _others(raw_folder, dataset_json, unlabelled=first)
    looks = {_look(file) for file in others} & {_look(file) for file in first.values()}
    known = {sha256_of(file): f"{file.parent.name}/{file.name}" for file in others if _look(file) in looks}
    twins = {
        case: known[digest]
        for case, file in first.items()
        if _look(file) in looks and (digest := sha256_of(file)) in known
    }
    if not twins:
        return []
    found = f"{len(twins)} unlabelled scan(s) are the same as labelled or test ones: {listed_reasons(twins)}"
    return [warn("twins", found, "take them out of imagesUn, if labelled and test scans are to be unseen ones")]


def _others(raw_folder: Path, dataset_json: dict, *, unlabelled: dict[str, Path]) -> list[Path]:
    """First channels of the labelled and the test cases, but for labelled ones that are unlabelled scans by name."""
    labelled, tests = (training_files(raw_folder, dataset_json, split=split) for split in ("Tr", "Ts"))
    others = [*(files for case, files in labelled.items() if case not in unlabelled), *tests.values()]
    return [file for files in others for file in files.images[:1] if file.is_file()]


def _look(file: Path) -> tuple[int, bytes]:
    """Size, and a few bytes from the middle: scans that differ hardly ever have both in common."""
    size = file.stat().st_size
    with file.open("rb") as stream:
        stream.seek(size // 2)
        return size, stream.read(_SAMPLE_IN_BYTES)
