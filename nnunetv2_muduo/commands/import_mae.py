"""`muduo import-mae`: pretrained weights for -pretrained_weights."""

from argparse import ArgumentParser, Namespace
from pathlib import Path

from nnunetv2_muduo.commands.command import Command, add_dataset_arguments


def _add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("checkpoint", type=Path, metavar="FILE", help="the pretrained checkpoint; it is only read")
    add_dataset_arguments(parser)
    parser.add_argument(
        "-tr",
        metavar="TRAINER",
        default="nnUNetTrainer",
        help="what is to be trained, where its network is not the planned one, such as nnUNetTrainerMuDuoPrompt",
    )
    parser.add_argument("-o", type=Path, required=True, metavar="OUT", help="checkpoint to write")
    parser.add_argument(
        "--channels",
        nargs="+",
        metavar="NAME",
        help="input channels of the pretrained network in order (default: what the file says, or PET CT as released)",
    )
    parser.add_argument(
        "--force",
        action="store_true",
        help="take weights of another spacing, normalisation or body crop, or of other channels",
    )
    parser.add_argument("--overwrite", action="store_true", help="replace OUT")


def _run(arguments: Namespace) -> None:
    from nnunetv2_muduo.transfer.weight_import import import_weights

    imported = import_weights(
        arguments.checkpoint,
        dataset=arguments.d,
        output=arguments.o,
        configuration=arguments.c,
        plans_name=arguments.p,
        trainer=arguments.tr,
        channels=arguments.channels,
        force=arguments.force,
        overwrite=arguments.overwrite,
    )
    print(f"Train with: {imported.train_command()}")


COMMAND = Command(
    name="import-mae",
    summary="fit pretrained weights to a dataset's network, for -pretrained_weights",
    description=(
        "Rewrite a checkpoint of the PET/CT masked autoencoder, as released or pretrained here, such that\n"
        "nnUNetv2_train -pretrained_weights accepts it: names, order of the input channels, no reconstruction head.\n"
        "What does not fit the planned network is listed; weights pretrained at another spacing, with another\n"
        "normalisation, on other channels or on scans that were, or were not, cropped to the body are refused."
    ),
    example="  muduo import-mae nnunet_v2_mim_best.pth -d 221 -p nnUNetPlansPETCTMAE -o petct_mae_221.pth",
    add_arguments=_add_arguments,
    run=_run,
)
