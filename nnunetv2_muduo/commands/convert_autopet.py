"""`muduo convert-autopet`: AutoPET as it is published into an nnU-Net dataset with few labels."""

import os
from argparse import ArgumentParser, Namespace
from pathlib import Path

from nnunetv2_muduo.commands.command import Command
from nnunetv2_muduo.commands.next_step import plan_and_preprocess, told_of_orientations


def _add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument(
        "folder", type=Path, nargs="+", help="with PETCT_<patient>/<study>/, or with imagesTr and labelsTr; or several"
    )
    parser.add_argument("-d", required=True, metavar="NAME", help="dataset to make, such as Dataset221_AutoPET")
    parser.add_argument("-np", type=int, default=4, metavar="N", help="cases in work at the same time (default: 4)")
    labels = parser.add_argument_group("labels")
    labels.add_argument(
        "--target", choices=("organs", "lesions", "both"), required=True, help="both: organs, with lesions on top"
    )
    labels.add_argument("--organs", type=Path, metavar="FOLDER", help="organ maps, one a case, called like the cases")
    labels.add_argument(
        "--organ-names", type=Path, metavar="JSON", help='names of their values: {"liver": 1, ...} or a dataset.json'
    )
    sets = parser.add_argument_group("sets (no patient is in two of them; a number of cases, or a share such as 10%)")
    sets.add_argument("--labelled", metavar="N", help="cases to train on (default: all that neither validate nor test)")
    sets.add_argument("--validation", metavar="M", default="20%", help="cases to validate on (default: 20%%)")
    sets.add_argument("--test", metavar="K", help="cases for imagesTs and labelsTs (default: none)")
    sets.add_argument("--seed", type=int, default=0, metavar="S", help="of the draw (default: 0)")
    sets.add_argument("--only", metavar="PATTERN", help="take only cases called so, such as 'fdg_*'")
    images = parser.add_argument_group("images")
    images.add_argument(
        "--resample", action="store_true", help="bring CT and labels onto the PET's grid instead of leaving cases out"
    )
    images.add_argument("--copy", action="store_true", help="copy files instead of linking them")
    images.add_argument(
        "--every-voxel",
        action="store_true",
        help="look at all voxels (NaN, damage), not at the first slices: minutes more per hundred cases",
    )
    parser.add_argument("--overwrite", action="store_true", help="let finished cases change sets; replace other splits")
    parser.add_argument("--dry-run", action="store_true", help="say what would be done and write nothing")


def _run(arguments: Namespace) -> None:
    from nnunetv2_muduo.autopet.plan import Wishes, plan_conversion
    from nnunetv2_muduo.autopet.recipe import convert, told
    from nnunetv2_muduo.harmonising.dataset import dataset_folder
    from nnunetv2_muduo.transfer.few_shot import Amount

    dataset = dataset_folder(arguments.d)
    wishes = Wishes(
        folders=tuple(arguments.folder),
        target=arguments.target,
        organs=arguments.organs,
        organ_names=arguments.organ_names,
        labelled=None if arguments.labelled is None else Amount.parse(arguments.labelled),
        validation=Amount.parse(arguments.validation),
        test=None if arguments.test in (None, "0") else Amount.parse(arguments.test),
        seed=arguments.seed,
        only=arguments.only,
        resample=arguments.resample,
        copy=arguments.copy,
        every_voxel=arguments.every_voxel,
    )
    plan = plan_conversion(wishes, dataset, log=print)
    print("\n".join((*plan.notes, plan.table())))
    print(f"labels: {', '.join(name for name in plan.labels if name != 'background')}")
    if arguments.dry_run:
        print(*(f"cannot be used: {what}: {reason}" for what, reason in plan.skipped.items()), sep="\n")
        print(f"{len(plan.jobs)} cases, {plan.size_in_bytes() / 1e9:.1f} GB of files; nothing was written.")
        return
    preprocessed = os.environ.get("nnUNet_preprocessed")
    summary = convert(
        plan,
        preprocessed=Path(preprocessed) / dataset.name if preprocessed else None,
        num_processes=max(1, arguments.np),
        overwrite=arguments.overwrite,
    )
    print(told(summary, plan), *told_of_orientations(plan.dataset), sep="\n")
    print(plan_and_preprocess(int(dataset.name[7:10]), plan.labels))


COMMAND = Command(
    name="convert-autopet",
    summary="make an nnU-Net dataset with few labels of AutoPET",
    description=(
        "Turn AutoPET, as the NIfTI release or in the challenge's nnU-Net layout, into an nnU-Net dataset: labelled\n"
        "and validation cases in imagesTr and labelsTr, test cases in imagesTs and labelsTs, all others in imagesUn,\n"
        "and the split in splits_final.json. Organ labels come from a folder of organ maps (AutoPET-Organ, or\n"
        "TotalSegmentator's). What needs no change is linked; run again, it goes on with what is not finished.\n"
        "autopet.json records SHA-256 of all files and what became of them."
    ),
    example=(
        "  muduo convert-autopet FDG-PET-CT-Lesions -d Dataset221_AutoPET --target lesions --labelled 10% --test 100\n"
        "  muduo convert-autopet autopet3 -d Dataset222_Organs --target organs --organs organs --labelled 5 --dry-run"
    ),
    add_arguments=_add_arguments,
    run=_run,
)
