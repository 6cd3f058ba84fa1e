"""`muduo split`: few-shot splits."""

from argparse import ArgumentParser, Namespace

from nnunetv2_muduo.commands.command import Command


def _add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("-d", metavar="ID", required=True, help="dataset, as number (221) or name (Dataset221_X)")
    parser.add_argument(
        "--labelled", metavar="N", required=True, help="cases to train on: a number, or a share such as 10%%"
    )
    parser.add_argument(
        "--validation", metavar="M", required=True, help="cases to validate on, of other patients: a number or a share"
    )
    parser.add_argument("--seed", type=int, default=0, metavar="S", help="of the draw (default: 0)")
    parser.add_argument("--folds", type=int, default=1, metavar="K", help="splits to draw, -f 0 to K - 1 (default: 1)")
    parser.add_argument(
        "--patient",
        metavar="PATTERN",
        help="regular expression that finds the patient at the start of a case's name (default: what muduo harmonise "
        "or convert-autopet recorded; fdg_PATIENT, psma_PATIENT, PETCT_PATIENT up to the next underscore; else each "
        "case is a patient)",
    )
    parser.add_argument(
        "--rest-unlabelled",
        action="store_true",
        help="link the images of the cases that are left out into imagesUn, for MuDuo",
    )
    parser.add_argument("--overwrite", action="store_true", help="replace splits_final.json; the old one is kept")


def _run(arguments: Namespace) -> None:
    from nnunetv2_muduo.transfer.few_shot import Amount
    from nnunetv2_muduo.transfer.split_files import write_splits

    written = write_splits(
        arguments.d,
        labelled=Amount.parse(arguments.labelled),
        validation=Amount.parse(arguments.validation),
        seed=arguments.seed,
        folds=arguments.folds,
        patient=arguments.patient,
        rest_unlabelled=arguments.rest_unlabelled,
        overwrite=arguments.overwrite,
    )
    print(written.summary())


COMMAND = Command(
    name="split",
    summary="draw few-shot splits: N labelled cases, M to validate on",
    description=(
        "Write splits_final.json with few labelled cases for nnU-Net's trainers. No patient is in both parts; with\n"
        "one seed, smaller numbers of labelled cases are nested in larger ones. A share of labelled cases is one of\n"
        "those that do not validate. What is in neither part is not used, or unlabelled with --rest-unlabelled:\n"
        "links into imagesUn under the same names, while images and labels stay where they are."
    ),
    example=(
        "  muduo split -d 221 --labelled 5 --validation 10 --seed 0\n"
        "  muduo split -d 221 --labelled 10% --validation 20% --folds 3 --rest-unlabelled --overwrite"
    ),
    add_arguments=_add_arguments,
    run=_run,
)
