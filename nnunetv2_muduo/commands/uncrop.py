"""`muduo uncrop`: masks predicted on harmonised scans back on the scans' own grids."""

from argparse import ArgumentParser, Namespace
from pathlib import Path

from nnunetv2_muduo.commands.command import Command


def _add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("-i", type=Path, required=True, metavar="MASKS", help="folder of predictions, or one file")
    parser.add_argument("-o", type=Path, required=True, metavar="OUT", help="folder to write to; made if missing")
    parser.add_argument(
        "--record", type=Path, required=True, metavar="FILE", help="harmonised.json of the dataset with the scans"
    )


def _run(arguments: Namespace) -> None:
    from nnunetv2_muduo.harmonising.putting_back import put_all_back

    written = put_all_back(arguments.i, arguments.record, arguments.o)
    print(f"{len(written)} mask(s) written to {arguments.o}.")


COMMAND = Command(
    name="uncrop",
    summary="put masks predicted on harmonised scans back on the scans' own grids",
    description=(
        "Put masks that were predicted on scans of `muduo harmonise` (with --body-crop or --spacing) back on the grid\n"
        "that each scan had: of the PET, or of the CT with --grid ct. Files are matched by the case's name."
    ),
    example="  muduo uncrop -i predicted -o uncropped --record nnUNet_raw/Dataset230_PETCT/harmonised.json",
    add_arguments=_add_arguments,
    run=_run,
)
