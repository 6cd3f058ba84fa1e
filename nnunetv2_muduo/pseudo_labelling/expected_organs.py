"""Which organs every scan ought to show: where the prompts miss one of them, its place must not pass for background."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

import SimpleITK as sitk
from tqdm import tqdm

from nnunetv2_muduo.datasets.lesion_names import is_lesion
from nnunetv2_muduo.datasets.scan_io import read_label_map
from nnunetv2_muduo.errors import UserError
from nnunetv2_muduo.worker_pool import run_jobs

USUAL, NONE = "usual", "none"  # instead of names
USUAL_SHARE = 0.9  # of the labelled cases that have a usual organ: a bladder yes, a prostate no
LEAST_CASES = 5  # of fewer, "all of them" says little
MOST_READ = 50  # enough to tell what is usual, in a minute


def expected_organs(
    wanted: Sequence[str],
    organs: Mapping[str, int],
    label_maps: Sequence[Path],
    *,
    num_processes: int = 1,
    log: Callable[[str], object] = print,
) -> frozenset[str]:
    """The names of the organs that every scan ought to show.

    Args:
        wanted: names; or "usual" alone: the organs that at least 90 % of the labelled cases have, none where there are
            fewer than five labelled cases, and no label whose name says that it is a lesion: the few labelled cases may
            all have one, and a healthy patient lacks nothing; or "none" alone.
        organs: name -> label of the dataset.
        label_maps: of the labelled cases; at most 50, evenly chosen, are read. Those that cannot be read do not count.
        num_processes: that read.
        log: is told what is usual.

    Raises:
        UserError: for a name that is no organ of the dataset.
    """
    if list(wanted) == [NONE]:
        return frozenset()
    if list(wanted) == [USUAL]:
        return _usual(organs, label_maps, num_processes=num_processes, log=log)
    unknown = sorted(set(wanted) - set(organs))
    if unknown:
        raise UserError(
            f"The dataset has no organ {', '.join(unknown)}; --require-organs wants some of {', '.join(organs)}, or "
            f"{USUAL}, or {NONE}."
        )
    return frozenset(wanted)


def _usual(
    organs: Mapping[str, int], label_maps: Sequence[Path], *, num_processes: int, log: Callable[[str], object]
) -> frozenset[str]:
    chosen = sorted(label_maps)[:: max(1, -(-len(label_maps) // MOST_READ))]
    read = run_jobs(partial(held_labels, known=tuple(organs.values())), chosen, num_processes=num_processes)
    held = tqdm(read, total=len(chosen), desc="labelled cases", unit="case", disable=not chosen)
    found = [labels for labels in held if labels is not None]
    if len(found) < LEAST_CASES:
        log(f"Too few labelled cases ({len(found)}) to tell which organs every scan shows; name them: --require-organs")
        return frozenset()
    times = Counter(label for labels in found for label in labels)
    usual = [name for name, label in organs.items() if times[label] >= USUAL_SHARE * len(found) and not is_lesion(name)]
    log(f"Organs that every scan should show (as {len(found)} labelled cases do): {', '.join(usual) or 'none'}")
    return frozenset(usual)


def held_labels(label_map: Path, known: tuple[int, ...]) -> frozenset[int] | None:
    """Which of the known labels a label map holds; None where it cannot be read."""
    try:
        values = sitk.GetArrayFromImage(read_label_map(label_map))
    except UserError:
        return None
    return frozenset(label for label in known if (values == label).any())
