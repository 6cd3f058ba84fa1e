"""The page: everything that is known of some trainings in one HTML file that loads nothing from anywhere."""

from collections.abc import Sequence
from datetime import datetime
from importlib.resources import files
from pathlib import Path

from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

from nnunetv2_muduo.files import clear_away_left_behind_of, write_text
from nnunetv2_muduo.package_versions import installed_versions
from nnunetv2_muduo.reporting.cases import case_pictures
from nnunetv2_muduo.reporting.chart import chart, legend_sample
from nnunetv2_muduo.reporting.commands_again import commands_again
from nnunetv2_muduo.reporting.evaluations import EvaluatedFolder
from nnunetv2_muduo.reporting.headline import headline
from nnunetv2_muduo.reporting.panels import newest_report, panel_groups
from nnunetv2_muduo.reporting.pictures import Picture, embed, found_pictures, read_picture
from nnunetv2_muduo.reporting.settings_rows import plan_rows, setting_rows, side_by_side, version_rows
from nnunetv2_muduo.reporting.tables import (
    DICE,
    METRICS,
    Table,
    case_table,
    difference_table,
    metric_table,
    source_table,
)
from nnunetv2_muduo.reporting.training import Training

# readable on white and on black, in print, and on a grey scan; green is the reference's
COLOURS = ("#2b7de9", "#f07f09", "#d6409f", "#8e6be0", "#a8861a", "#c4513f")
MOST_BYTES_OF_PICTURES = 4_000_000  # of a page that shall stay below some 5 MB


def write_report(
    path: Path,
    trainings: Sequence[Training],
    *,
    evaluations: Sequence[EvaluatedFolder] = (),
    num_cases: int = 2,
    most_picture_bytes: int = MOST_BYTES_OF_PICTURES,
) -> list[str]:
    """Write a report of some trainings, the first of which the others are compared with.

    Args:
        path: HTML file, replaced as a whole.
        trainings: at least one.
        evaluations: results of `muduo evaluate` to show as well.
        num_cases: so many of the worst and of the best validation cases of each training are pictured.
        most_picture_bytes: all pictures are scaled down until they take no more.

    Returns:
        What could not be shown, a sentence each; the page says it as well.
    """
    names = [training.name for training in trainings]
    cases, case_notes = case_pictures(trainings, number=num_cases, colours=COLOURS)
    drawn = [(index, picture) for index, training in enumerate(trainings) for picture in _drawn_before(training)]
    embedded = embed([picture for _, picture in (*cases, *drawn)], most_bytes=most_picture_bytes)
    notes = [f"{training.name}: {note}" for training in trainings for note in training.notes] + case_notes
    groups = panel_groups(trainings)
    last_epoch = max(training.epochs for training in trainings) - 1
    content = {
        "title": " and ".join(names) if len(names) < 3 else f"{len(names)} trainings",
        "names": names,
        "trainings": trainings,
        "headlines": [headline(training, trainings[0]) for training in trainings],
        "scores": _validation_tables(trainings),
        "compared": len(trainings) > 1 or any(len(e.methods) > 1 for e in evaluations),
        "evaluations": [(e, _evaluation_tables(e)) for e in evaluations],
        "groups": [(g, [chart(p, names, last_epoch=last_epoch, small=g.small) for p in g.panels]) for g in groups],
        "reports": _report_tables(trainings),
        "case_pictures": embedded[: len(cases)],
        "trainer_pictures": embedded[len(cases) :],
        "plan": side_by_side(plan_rows(trainings), names),
        "settings": {
            table: [side_by_side([row for row in rows if row.noteworthy is wanted], names) for wanted in (True, False)]
            for table, rows in setting_rows(trainings).items()
        },
        "versions": side_by_side(version_rows(trainings), names),
        "versions_here": installed_versions(),
        "commands": [(training.name, commands_again(training)) for training in trainings],
        "notes": notes,
        "written": f"{datetime.now():%Y-%m-%d %H:%M}",
    }
    clear_away_left_behind_of(path)
    write_text(path, render(content).encode("utf-8", "replace").decode("utf-8"))  # JSON may hold half a character
    return notes


def render(content: dict) -> str:
    """The page of the template; whatever comes from files is escaped."""
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.globals["sample"] = legend_sample
    room = files("nnunetv2_muduo.reporting")
    style, script, page = (room.joinpath(name).read_text("utf-8") for name in ("page.css", "page.js", "page.html"))
    own = "".join(f".c{k}{{--own:{colour}}}" for k, colour in enumerate(COLOURS))
    return environment.from_string(page).render(**content, style=Markup(style + own), script=Markup(script))


def _validation_tables(trainings: Sequence[Training]) -> list[Table]:
    scores = {training.name: training.validation for training in trainings if not training.is_pretraining}
    if not any(scores.values()):
        return []
    tables = [metric_table(scores, DICE, suffix=" of the final validation"), case_table(scores)]
    return [table for table in tables if table is not None]


def _evaluation_tables(evaluated: EvaluatedFolder) -> list[Table]:
    tables = [metric_table(evaluated.methods, metric) for metric in METRICS]
    tables += [difference_table(evaluated.differences, metric) for metric in METRICS]
    return [table for table in (*tables, case_table(evaluated.methods)) if table is not None]


def _report_tables(trainings: Sequence[Training]) -> list[Table]:
    tables = []
    for training in trainings:
        newest = newest_report(training)
        if newest is not None:
            epoch, dice = newest
            caption = f"{training.name}: Dice on labelled patches before epoch {epoch}, the last report"
            tables.append(source_table(caption, dice, training.organs))
    return tables


def _drawn_before(training: Training) -> list[Picture]:
    """Pictures that the trainer left; nnU-Net's own progress figure where there are no curves to draw."""
    found = found_pictures(training.folder)
    if not training.epochs and (progress := training.folder / "progress.png").is_file():
        found += [picture for picture in [read_picture(progress, "nnU-Net's progress.png")] if picture]
    return [
        Picture(p.image, f"{training.name}: {p.caption[:1].lower()}{p.caption[1:]}", f"{training.name}: {p.alt}")
        for p in found
    ]
