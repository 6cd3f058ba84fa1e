"""`muduo preprocess-unlabelled`: bring the preprocessed unlabelled scans up to date."""

from argparse import ArgumentParser, Namespace

from nnunetv2_muduo.commands.command import Command, add_dataset_arguments
from nnunetv2_muduo.nnunet_files import OF_SCANS, read_dataset_json
from nnunetv2_muduo.nnunet_folders import find_dataset, nnunet_folder, read_plans


def _add_arguments(parser: ArgumentParser) -> None:
    add_dataset_arguments(parser)
    parser.add_argument("-np", type=int, default=4, metavar="N", help="scans in work at the same time (default: 4)")


def _run(arguments: Namespace) -> None:
    name = find_dataset(arguments.d)
    raw, preprocessed = nnunet_folder("nnUNet_raw") / name, nnunet_folder("nnUNet_preprocessed") / name
    plans = read_plans(preprocessed, arguments.p)

    from nnunetv2_muduo.cases.unlabelled import preprocess_unlabelled  # slow, so mistakes are told first

    preprocess_unlabelled(
        name,
        plans=plans,
        configuration=arguments.c,
        dataset_json=read_dataset_json(raw / "dataset.json", needs=OF_SCANS),
        raw_folder=raw,
        preprocessed_folder=preprocessed,
        num_processes=max(1, arguments.np),
    )


COMMAND = Command(
    name="preprocess-unlabelled",
    summary="preprocess the scans of imagesUn with the dataset's own plans",
    description=(
        "Preprocess the unlabelled scans in nnUNet_raw/DatasetXXX/imagesUn with the dataset's own plans. What is\n"
        "up to date is skipped; what changed is done again; scans that cannot be used are listed by name and reason.\n"
        "The trainer does this by itself when it starts; doing it beforehand uses more processes."
    ),
    example="  muduo preprocess-unlabelled -d 221 -c 3d_fullres -np 8",
    add_arguments=_add_arguments,
    run=_run,
)
