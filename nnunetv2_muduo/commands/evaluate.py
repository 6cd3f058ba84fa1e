"""`muduo evaluate`: predictions against references, organ by organ, and against each other."""

from argparse import ArgumentParser, Namespace
from collections.abc import Iterable
from pathlib import Path
from shlex import join

from nnunetv2_muduo.commands.command import Command
from nnunetv2_muduo.datasets.lesion_names import is_lesion
from nnunetv2_muduo.errors import UserError
from nnunetv2_muduo.nnunet_files import read_dataset_json


def _add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("reference", type=Path, metavar="REFERENCE", help="folder of label maps, such as labelsTs")
    parser.add_argument("predictions", nargs="?", metavar="PREDICTIONS", help="folder of predictions of these cases")
    parser.add_argument(
        "--compare",
        nargs="+",
        default=[],
        metavar="FOLDER",
        help="further folders of predictions (or NAME=FOLDER): differences to PREDICTIONS or, without it, to the first",
    )
    parser.add_argument("-o", type=Path, required=True, metavar="OUT", help="folder for the results; made if missing")
    parser.add_argument("-d", metavar="ID", help="dataset whose dataset.json names the labels, as number or name")
    parser.add_argument(
        "--dataset-json",
        "-djfile",
        type=Path,
        metavar="FILE",
        help="that file itself (default without -d: the one that nnUNetv2_predict puts beside its predictions)",
    )
    parser.add_argument("--organs", nargs="+", metavar="NAME", help="labels to evaluate (default: all)")
    parser.add_argument(
        "--lesions",
        nargs="+",
        default=[],
        metavar="NAME",
        help="labels to count false-positive and false-negative volume of, as autoPET does",
    )
    parser.add_argument(
        "--missed",
        choices=("diagonal", "exclude"),
        default="diagonal",
        help="HD95 and ASD of organs that are missed or made up count as the image's diagonal (default), or not at all",
    )
    parser.add_argument("--chill", action="store_true", help="leave out cases without a prediction")
    parser.add_argument("--seed", type=int, default=0, help="of the bootstrap over the cases (default: 0)")
    parser.add_argument("-np", type=int, default=2, metavar="N", help="processes, each with a case (default: 2)")


def _run(arguments: Namespace) -> None:
    from nnunetv2_muduo.evaluation.differences import paired_difference
    from nnunetv2_muduo.evaluation.folders import evaluate_folders
    from nnunetv2_muduo.evaluation.methods import named_folders
    from nnunetv2_muduo.evaluation.result_files import (
        check_place,
        write_differences,
        write_evaluation,
        write_methods,
    )
    from nnunetv2_muduo.evaluation.result_tables import COMPARED, difference_tables, results_table
    from nnunetv2_muduo.evaluation.task import task_of
    from nnunetv2_muduo.files import clear_away_left_behind, write_text

    folders = named_folders([*([arguments.predictions] if arguments.predictions else []), *arguments.compare])
    if not folders:
        raise UserError("There are no predictions to evaluate; give a folder of them, or several with --compare.")
    content = _dataset_json(arguments, next(iter(folders.values())))
    places = {method: arguments.o / method if len(folders) > 1 else arguments.o for method in folders}
    for place in places.values():
        check_place(place)
    evaluations = evaluate_folders(
        arguments.reference,
        folders,
        task=task_of(content, organs=arguments.organs, lesions=arguments.lesions),
        missed=arguments.missed,
        only_predicted=arguments.chill,
        num_processes=arguments.np,
    )
    clear_away_left_behind(arguments.o, *places.values())
    for method, evaluation in evaluations.items():
        write_evaluation(places[method], evaluation)
        print(f"\n{method}\n\n{results_table(evaluation)}")
    write_methods(arguments.o, places)
    baseline, *others = evaluations.values()
    if others:
        metrics = [m for m in COMPARED if arguments.lesions or m not in ("FPV_ml", "FNV_ml")]
        found = [paired_difference(o, baseline, metric=m, seed=arguments.seed) for o in others for m in metrics]
        write_differences(arguments.o / "differences.json", found, seed=arguments.seed)
        write_text(arguments.o / "differences.md", difference_tables(found) + "\n")
        print(f"\n{difference_tables(found)}")
    print(f"\nWritten to {arguments.o}.")
    if not arguments.lesions and (told := _told_of_lesions(next(iter(evaluations.values())).task.organs)):
        print(told)


def _told_of_lesions(labels: Iterable[str]) -> str:
    """What to suggest where labels are lesions by their names; "" where none is."""
    lesions = [name for name in labels if is_lesion(name)]
    if not lesions:
        return ""
    return (
        f"Add --lesions {join(lesions)} to see the volume of lesions made up or overlooked as a whole (FPV, FNV), in "
        "patients without any lesion as well."
    )


def _dataset_json(arguments: Namespace, predictions: Path) -> dict:
    """From where the user says, else from beside the predictions."""
    from nnunetv2_muduo.nnunet_folders import find_dataset, nnunet_folder

    if arguments.dataset_json:
        return read_dataset_json(arguments.dataset_json)
    if arguments.d:
        return read_dataset_json(nnunet_folder("nnUNet_raw") / find_dataset(arguments.d) / "dataset.json")
    beside = predictions / "dataset.json"
    if not beside.is_file():
        raise UserError(f"There is no {beside} that would name the labels; give the dataset with -d or --dataset-json.")
    return read_dataset_json(beside)


COMMAND = Command(
    name="evaluate",
    summary="measure predictions against references, organ by organ, and methods against each other",
    description=(
        "Measure label maps against references of the same names, organ by organ: Dice, HD95 and average symmetric\n"
        "surface distance in mm, relative absolute volume difference, volumes in ml and, for lesions, false-positive\n"
        "and false-negative volume. Writes metrics.csv, summary.json (nnU-Net's layout) and summary.md; for several\n"
        "folders one of each a method, and differences.json and .md with bootstrap intervals."
    ),
    example=(
        "  muduo evaluate labelsTs predicted -d 221 -o evaluation\n"
        "  muduo evaluate labelsTs supervised -d 221 --compare mean_teacher muduo --lesions lesion -o evaluation"
    ),
    add_arguments=_add_arguments,
    run=_run,
)
