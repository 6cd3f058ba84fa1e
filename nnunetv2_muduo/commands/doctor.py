"""`muduo doctor`: is everything in order?"""

import sys
from argparse import ArgumentParser, Namespace

from nnunetv2_muduo.commands.command import Command, add_dataset_arguments
from nnunetv2_muduo.errors import UserError
from nnunetv2_muduo.trainer_names import MUDUO, PRETRAINING, SEMI_SUPERVISED


def _add_arguments(parser: ArgumentParser) -> None:
    add_dataset_arguments(parser, required=False)
    parser.add_argument(
        "-tr",
        choices=(*SEMI_SUPERVISED, PRETRAINING),
        default=MUDUO,
        metavar="TRAINER",
        help=f"what the dataset is for: {MUDUO} (default), {', '.join(SEMI_SUPERVISED[1:])}, or "
        f"{PRETRAINING}, which needs no labels",
    )
    parser.add_argument(
        "--cases",
        action="store_true",
        help="read every labelled case, some seconds each, and say which is odd: intensities, missing organs, volumes, "
        "sides",
    )
    parser.add_argument("--json", action="store_true", help="print the checks as JSON, for programs")


def _run(arguments: Namespace) -> int:
    from nnunetv2_muduo.doctor import as_json, as_text, examine, exit_code

    if arguments.cases and (arguments.d is None or arguments.tr == PRETRAINING):
        raise UserError(f"--cases looks at labelled cases: name a dataset with -d, and do without -tr {PRETRAINING}.")
    if arguments.d is not None and sys.stderr.isatty():
        print("Examining the dataset and simulating a training step: some seconds ...", file=sys.stderr)
    checks = examine(
        arguments.d,
        configuration=arguments.c,
        plans_identifier=arguments.p,
        trainer_name=arguments.tr,
        read_cases=arguments.cases,
    )
    print(as_json(checks) if arguments.json else as_text(checks))
    return exit_code(checks)


COMMAND = Command(
    name="doctor",
    summary="check the installation and a dataset; say what to do about what is wrong",
    description=(
        "Check versions, folders, trainers, weights and GPU and, with -d, a dataset: channels, labels, plans,\n"
        "unlabelled scans, what is preprocessed, disk and GPU memory. Each line is ok, warn or FAIL, with a remedy.\n"
        "Exit code: 1 when a check failed, 0 when there are at most warnings."
    ),
    example=(
        "  muduo doctor -d 221\n  muduo doctor -d 221 --cases\n  muduo doctor -d 221 -tr nnUNetTrainerCPS\n"
        "  muduo doctor -d 500 -p nnUNetPlansPETCTMAE -tr nnUNetTrainerPETCTMAE"
    ),
    add_arguments=_add_arguments,
    run=_run,
)
