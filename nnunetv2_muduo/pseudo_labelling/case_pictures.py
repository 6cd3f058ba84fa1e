"""Pictures of cases: drawn as they are labelled, and again where they show suggestions of other thresholds."""

from collections.abc import Mapping, Sequence

import numpy as np
from tqdm import tqdm

from nnunetv2_muduo.pseudo_labelling.case_files import CaseJob, OutputFolder, ReadCase, read_case, read_labels
from nnunetv2_muduo.pseudo_labelling.case_quality import OrganQuality, Thresholds
from nnunetv2_muduo.worker_pool import read_ahead


def draw_picture(
    target: OutputFolder,
    read: ReadCase,
    labels: np.ndarray,
    qualities: Sequence[OrganQuality],
    thresholds: Thresholds,
) -> dict[str, str]:
    """Draw a case that can be used; organ -> the suggestion that its picture shows.

    Args:
        target: where the picture goes.
        read: scan and prompts.
        labels: [Z, Y, X] label map that came out.
        qualities: of all organs.
        thresholds: of the suggestions.
    """
    from nnunetv2_muduo.pseudo_labelling.case_figure import draw_case

    assert read.ct is not None
    assert read.pet is not None
    assert read.prompts is not None
    assert read.geometry is not None
    suggestions = thresholds.suggestions(qualities)
    draw_case(
        target.figure(read.case),
        read.ct,
        read.pet,
        read.prompts,
        labels,
        geometry=read.geometry,
        organs={quality.organ: quality.label for quality in qualities},
        suggestions=suggestions,
        case=read.case,
        oriented=read.oriented,
    )
    return suggestions


def draw_again(
    jobs: Sequence[CaseJob],
    qualities: Mapping[str, Sequence[OrganQuality]],
    target: OutputFolder,
    thresholds: Thresholds,
    *,
    num_processes: int,
) -> None:
    """Draw finished cases that have no picture, or one with suggestions of other thresholds.

    Args:
        jobs: read scans and prompts.
        qualities: case -> a row for each organ, of the finished cases.
        target: where their files are.
        thresholds: of the suggestions to show.
        num_processes: that read.
    """
    outdated = [
        job
        for job in jobs
        if job.case in qualities and target.pictured(job.case) != thresholds.suggestions(qualities[job.case])
    ]
    cases = read_ahead(read_case, outdated, num_processes=num_processes)
    for read in tqdm(cases, total=len(outdated), desc="pictures", unit="case", disable=not outdated):
        if read.reason is not None:
            tqdm.write(f"{read.case} is not drawn: {read.reason}")
            continue
        labels = read_labels(target.labels(read.case))
        target.note_pictured(read.case, draw_picture(target, read, labels, qualities[read.case], thresholds))
