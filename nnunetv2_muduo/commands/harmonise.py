"""`muduo harmonise`: folders of PET/CT scans into one nnU-Net dataset."""

import math
from argparse import ArgumentParser, Namespace
from pathlib import Path
from typing import TYPE_CHECKING

from nnunetv2_muduo.commands.command import Command
from nnunetv2_muduo.commands.next_step import plan_and_preprocess, told_of_orientations
from nnunetv2_muduo.errors import UserError
from nnunetv2_muduo.json_files import read_table

if TYPE_CHECKING:
    from nnunetv2_muduo.harmonising.recipe import Summary


def _add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("folder", type=Path, help="searched for cases: each folder, at any depth, with a CT and a PET")
    parser.add_argument("-d", required=True, metavar="NAME", help="dataset to make or extend, such as Dataset230_PETCT")
    parser.add_argument("-np", type=int, default=4, metavar="N", help="cases in work at the same time (default: 4)")
    finding = parser.add_argument_group("finding cases (patterns are relative to a case's folder; the first that fits)")
    finding.add_argument("--preset", metavar="NAME", help="names of files of a public set: autopet or deep-psma")
    finding.add_argument("--ct", nargs="+", default=[], metavar="PATTERN", help="the CT, such as 'CT*.nii.gz' or CT/")
    finding.add_argument("--pet", nargs="+", default=[], metavar="PATTERN", help="the PET; or a folder of DICOM files")
    finding.add_argument("--label", nargs="+", default=[], metavar="PATTERN", help="label map, where a case has one")
    finding.add_argument("--centre", metavar="NAME", help="put in front of the cases' names")
    labels = parser.add_argument_group("labels").add_mutually_exclusive_group()
    labels.add_argument("--labels", nargs="+", metavar="NAME=VALUE", help="what values mean, such as lesion=1")
    labels.add_argument("--labels-from", type=Path, metavar="JSON", help="take them from a file like dataset.json")
    labels.add_argument("--unlabelled", action="store_true", help="leave labels out: all scans go to imagesUn")
    images = parser.add_argument_group("images")
    images.add_argument(
        "--grid", choices=("pet", "ct"), default="pet", help="resample the other one onto it (default: pet, as AutoPET)"
    )
    images.add_argument(
        "--suv-from", type=Path, metavar="FILE", help="CSV or JSON: dose, weight and times to make SUV of Bq/ml"
    )
    images.add_argument(
        "--body-crop",
        action="store_true",
        help="cut to the largest component of CT > -500 HU plus 3 voxels; `muduo uncrop` puts masks back",
    )
    images.add_argument(
        "--spacing",
        nargs=3,
        type=float,
        metavar=("Z", "Y", "X"),
        help="resample to this spacing in mm (default: leave that to nnU-Net)",
    )
    images.add_argument("--copy", action="store_true", help="copy files that need no change instead of linking them")


def _run(arguments: Namespace) -> None:
    from nnunetv2_muduo.harmonising.layouts import chosen_layout

    layout = chosen_layout(arguments.preset, ct=arguments.ct, pet=arguments.pet, label=arguments.label)
    if arguments.spacing is not None and not all(0 < length < math.inf for length in arguments.spacing):
        raise UserError("--spacing takes three lengths in mm above 0.")

    from nnunetv2_muduo.harmonising.dataset import labels_from, open_dataset, parse_labels
    from nnunetv2_muduo.harmonising.images import Options
    from nnunetv2_muduo.harmonising.recipe import harmonise
    from nnunetv2_muduo.harmonising.suv_table import read_suv_table

    labels = parse_labels(arguments.labels) if arguments.labels else None
    if arguments.labels_from is not None:
        labels = labels_from(arguments.labels_from)
    summary = harmonise(
        arguments.folder,
        open_dataset(arguments.d, labels=labels),
        layout=layout,
        options=Options(
            grid=arguments.grid,
            body_crop=arguments.body_crop,
            spacing_in_mm=None if arguments.spacing is None else tuple(arguments.spacing),
            copy=arguments.copy,
        ),
        centre=arguments.centre,
        with_labels=not arguments.unlabelled,
        suv_table=None if arguments.suv_from is None else read_suv_table(arguments.suv_from),
        num_processes=max(1, arguments.np),
    )
    print(*told_of_orientations(summary.dataset), _next_step(summary), sep="\n")


def _next_step(summary: "Summary") -> str:
    number = int(summary.dataset.name[7:10])
    if summary.labelled_in_all:
        return plan_and_preprocess(number, read_table(summary.dataset / "dataset.json")["labels"])
    return f"The dataset has no labelled cases: add some, or see `muduo plan -h` for plans without (-d {number})."


COMMAND = Command(
    name="harmonise",
    summary="make one nnU-Net dataset of PET/CT scans from several centres",
    description=(
        "Turn a folder of PET/CT scans (NIfTI, MHA, NRRD or DICOM series) into an nnU-Net dataset, or add them to\n"
        "one: CT (HU) and PET (SUV) on one grid, labelled cases to imagesTr and labelsTr, others to imagesUn. Run it\n"
        "once for each centre. What needs no change is linked; run again, it goes on with what is not finished; cases\n"
        "that cannot be used are listed with the reason. harmonised.json records where each case came from."
    ),
    example=(
        "  muduo harmonise FDG-PET-CT-Lesions -d Dataset230_PETCT --preset autopet --labels lesion=1\n"
        "  muduo harmonise hospital -d Dataset230_PETCT --centre hospital --ct CT --pet PET --suv-from doses.csv"
    ),
    add_arguments=_add_arguments,
    run=_run,
)
