"""`muduo clicks`: how good a teacher's masks are after so many clicks."""

from argparse import ArgumentParser, Namespace
from pathlib import Path

from nnunetv2_muduo.commands.command import Command, add_device_argument, chosen_device
from nnunetv2_muduo.nnunet_folders import find_dataset, nnunet_folder


def _add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("-d", metavar="ID", required=True, help="dataset, as number (221) or name (Dataset221_X)")
    parser.add_argument(
        "--teacher", required=True, metavar="NAME", help="a name that `muduo weights` lists, or a file with weights"
    )
    parser.add_argument("--split", choices=("Tr", "Ts"), default="Tr", help="imagesTr (default) or imagesTs")
    parser.add_argument("--cases", nargs="+", metavar="CASE", help="default: all that have a label map")
    parser.add_argument("--labels", nargs="+", metavar="ORGAN", help="names in dataset.json (default: all)")
    parser.add_argument(
        "--clicks", nargs="+", type=int, default=[1, 3, 5, 10], metavar="N", help="compare after so many: 1 3 5 10"
    )
    parser.add_argument("--seed", type=int, default=0, help="of the clicks (default: 0)")
    parser.add_argument("--modality", choices=("CT", "PET"), help="needed for weights that do not say theirs")
    parser.add_argument("--channel", type=int, metavar="N", help="input channel, where channel_names do not tell")
    parser.add_argument(
        "--protocol",
        choices=("scan", "crop"),
        default="scan",
        help="scan (default): as `muduo segment` does it, the mask is followed beyond the teacher's cube and Dice "
        "counts the whole scan; crop: the papers', one cube centred on the target, Dice within it",
    )
    parser.add_argument(
        "--share-windows",
        action="store_true",
        help="with protocol scan: the same cubes for all organs of a case, each encoded once, instead of cubes centred "
        "on each organ's first click",
    )
    parser.add_argument("-o", type=Path, metavar="OUT", help="folder for the results (default: clicks_NAME)")
    add_device_argument(parser)


def _run(arguments: Namespace) -> None:
    folder = nnunet_folder("nnUNet_raw") / find_dataset(arguments.d)

    from nnunetv2_muduo.files import check_can_write
    from nnunetv2_muduo.interactive.click_settings import ClickSettings
    from nnunetv2_muduo.interactive.clicks_benchmark import run_clicks
    from nnunetv2_muduo.teachers.weights import load_teacher, locate_teacher, modality_of

    name, weights = locate_teacher(arguments.teacher)
    modality = modality_of(name, folder=weights, given=arguments.modality)
    settings = ClickSettings(tuple(arguments.clicks), arguments.seed, arguments.protocol, arguments.share_windows)
    output = arguments.o or Path(f"clicks_{Path(name).stem}")
    check_can_write(output / "clicks.csv")
    summary = run_clicks(
        folder,
        load_teacher(name, folder=weights),
        teacher_name=name,
        modality=modality,
        output=output,
        split=arguments.split,
        cases=arguments.cases,
        labels=arguments.labels,
        channel=arguments.channel,
        settings=settings,
        device=chosen_device(arguments.device),
    )
    print(f"\n{summary.as_table()}\n")
    print(f"{summary.seconds_per_click:.2f} seconds a click. Rows, table and curve: {output}/clicks.csv, .md, .png")


COMMAND = Command(
    name="clicks",
    summary="measure a teacher by simulated clicks: Dice after 1, 3, 5 and 10 of them",
    description=(
        "Click on every organ of labelled cases in nnUNet_raw as a correcting user would and compare with the labels:\n"
        "the first click is random inside the organ, later ones are random among the voxels that are still wrong.\n"
        "Writes every organ of every case (clicks.csv), the means (clicks.md) and curves (clicks.png). Run again, it\n"
        "goes on where it stopped."
    ),
    example="  muduo clicks -d 221 --teacher standin_ct --split Ts --labels liver spleen -o clicks_ct",
    add_arguments=_add_arguments,
    run=_run,
)
