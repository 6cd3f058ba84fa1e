"""`muduo export`: a model for those who do not have this package."""

from argparse import ArgumentParser, Namespace
from pathlib import Path

from nnunetv2_muduo.commands.command import Command, add_dataset_arguments


def _add_arguments(parser: ArgumentParser) -> None:
    add_dataset_arguments(parser)
    parser.add_argument("-tr", metavar="TRAINER", default="nnUNetTrainerMuDuo", help="default: nnUNetTrainerMuDuo")
    parser.add_argument(
        "-f", nargs="+", metavar="FOLD", help="folds, 0 to 4 or all (default: every fold that is trained)"
    )
    parser.add_argument("-chk", metavar="FILE", default="checkpoint_final.pth", help="default: checkpoint_final.pth")
    parser.add_argument("-o", type=Path, required=True, metavar="OUT", help="folder to write to; made if missing")
    parser.add_argument("--zip", action="store_true", help="write a zip file as well")
    parser.add_argument("--overwrite", action="store_true", help="replace an earlier export to the same place")


def _run(arguments: Namespace) -> None:
    from nnunetv2_muduo.exporting import export_model

    exported = export_model(
        arguments.d,
        output=arguments.o,
        trainer=arguments.tr,
        plans_name=arguments.p,
        configuration=arguments.c,
        folds=arguments.f,
        checkpoint=arguments.chk,
        make_zip=arguments.zip,
        overwrite=arguments.overwrite,
    )
    print(f"Predict with: {exported.predict_command()}")


COMMAND = Command(
    name="export",
    summary="write a model that stock nnU-Net predicts with, without this package",
    description=(
        "Copy a trained model out of nnUNet_results as a plain nnU-Net model, which predicts the same voxels without\n"
        "this package. With --zip also as a file for nnUNetv2_install_pretrained_model_from_zip."
    ),
    example="  muduo export -d 221 -f 0 -o exported --zip",
    add_arguments=_add_arguments,
    run=_run,
)
