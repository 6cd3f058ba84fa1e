"""`muduo report`: one HTML page about one training, or several side by side."""

from argparse import ArgumentParser, Namespace
from pathlib import Path

from nnunetv2_muduo.commands.command import Command, add_dataset_arguments
from nnunetv2_muduo.errors import UserError


def _add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument(
        "folders",
        nargs="*",
        metavar="FOLDER",
        help="folder of a fold (or of a model: all its folds), or NAME=FOLDER to call it so; instead of -d and -tr",
    )
    add_dataset_arguments(parser, required=False)
    parser.add_argument("-tr", nargs="+", metavar="TRAINER", help="one or several, compared with the first")
    parser.add_argument("-f", nargs="+", default=["0"], metavar="FOLD", help="0 to 4 or all (default: 0)")
    parser.add_argument(
        "--evaluation",
        nargs="+",
        type=Path,
        default=[],
        metavar="DIR",
        help="folders that `muduo evaluate -o DIR` wrote, to show HD95, ASD and volumes as well",
    )
    parser.add_argument(
        "--cases",
        type=int,
        default=2,
        metavar="N",
        help="pictures of the N worst and the N best validation cases of each training (default: 2)",
    )
    parser.add_argument("-o", type=Path, required=True, metavar="FILE", help="HTML file to write")


def _run(arguments: Namespace) -> None:
    from nnunetv2_muduo.reporting.evaluations import read_evaluations
    from nnunetv2_muduo.reporting.finding import named_folds
    from nnunetv2_muduo.reporting.page import write_report
    from nnunetv2_muduo.reporting.training import read_training

    _check(arguments)
    folds = named_folds([*arguments.folders, *_folders_asked_for(arguments)])
    evaluations = read_evaluations(arguments.evaluation)
    trainings = [read_training(folder, name) for name, folder in folds.items()]
    notes = write_report(arguments.o, trainings, evaluations=evaluations, num_cases=arguments.cases)
    for note in notes:
        print(note)
    print(f"Written to {arguments.o} ({arguments.o.stat().st_size / 1e6:.1f} MB); open it in any browser.")


def _check(arguments: Namespace) -> None:
    if arguments.tr and not arguments.d:
        raise UserError("-tr names trainers, but of which dataset? Give it with -d ID.")
    if not arguments.folders and not arguments.tr:
        raise UserError("There is nothing to report on; give the folder of a fold, or -d ID and -tr TRAINER.")
    if arguments.cases < 0:
        raise UserError(f"--cases is {arguments.cases}, but must be 0 or more.")
    if arguments.o.suffix not in (".html", ".htm"):
        raise UserError(f"{arguments.o} does not end in .html; name the page so, for example report.html.")
    if arguments.o.is_dir():
        raise UserError(f"{arguments.o} is a folder; give the name of a file in it.")


def _folders_asked_for(arguments: Namespace) -> list[Path]:
    """Those of -d, -tr, -c, -p and -f."""
    from nnunetv2_muduo.reporting.finding import folders_of_names

    if not arguments.tr:
        return []
    return folders_of_names(
        arguments.d, trainers=arguments.tr, folds=arguments.f, plans_name=arguments.p, configuration=arguments.c
    )


COMMAND = Command(
    name="report",
    summary="write one HTML page about a training, or several side by side",
    description=(
        "Write a self-contained HTML page about one training or several: how far and how well, Dice organ by organ,\n"
        "best and worst validation cases with contours (the scans are looked for in nnUNet_raw), curves, teacher\n"
        "report, settings, versions and the commands that train and predict again. It loads nothing from the network."
    ),
    example=(
        "  muduo report -d 221 -tr nnUNetTrainerMuDuoSupervised nnUNetTrainerMuDuo -f 0 -o report.html\n"
        "  muduo report nnUNet_results/Dataset221_X/nnUNetTrainerMuDuo__nnUNetPlans__3d_fullres/fold_0 -o report.html"
    ),
    add_arguments=_add_arguments,
    run=_run,
)
