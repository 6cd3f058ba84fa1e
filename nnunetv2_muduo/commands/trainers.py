"""`muduo trainers`: where nnU-Net has to look for our trainers."""

from argparse import ArgumentParser, Namespace

from nnunetv2_muduo.commands.command import Command
from nnunetv2_muduo.trainer_folder import trainer_folder


def _add_arguments(parser: ArgumentParser) -> None:
    """There are none."""


def _run(arguments: Namespace) -> None:
    print(trainer_folder())


COMMAND = Command(
    name="trainers",
    summary="print the folder for nnUNet_extTrainer",
    description=(
        "Print the folder of our trainers, for the environment variable nnUNet_extTrainer, where nnU-Net looks for\n"
        "the trainers named with -tr. Folders of other extensions can be named beside it, separated by colons."
    ),
    example='  export nnUNet_extTrainer="$(muduo trainers)"',
    add_arguments=_add_arguments,
    run=_run,
)
