"""What a subcommand of `muduo` is, and the options that several of them share."""

from argparse import ArgumentParser, Namespace
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from nnunetv2_muduo.errors import UserError
from nnunetv2_muduo.nnunet_folders import DEFAULT_CONFIGURATION, DEFAULT_PLANS

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class Command:
    """A subcommand.

    Attributes:
        name: what is typed after `muduo`.
        summary: one line for `muduo -h`.
        description: a few lines for `muduo NAME -h`, wrapped by hand.
        example: a command line that works, indented by two spaces.
        add_arguments: declares the options.
        run: does the work and returns the exit code (None: 0); imports what is heavy itself.
    """

    name: str
    summary: str
    description: str
    example: str
    add_arguments: Callable[[ArgumentParser], None]
    run: Callable[[Namespace], int | None]


def add_dataset_arguments(parser: ArgumentParser, *, required: bool = True) -> None:
    """-d, -c and -p as nnU-Net's own commands have them."""
    parser.add_argument("-d", metavar="ID", required=required, help="dataset, as number (221) or name (Dataset221_X)")
    parser.add_argument(
        "-c",
        metavar="CONFIGURATION",
        default=DEFAULT_CONFIGURATION,
        help=f"configuration of the plans (default: {DEFAULT_CONFIGURATION})",
    )
    parser.add_argument(
        "-p", metavar="PLANS", default=DEFAULT_PLANS, help=f"plans identifier (default: {DEFAULT_PLANS})"
    )


def add_device_argument(parser: ArgumentParser) -> None:
    """-device as nnU-Net's own commands have it."""
    parser.add_argument(
        "-device", "--device", choices=("cuda", "cpu", "mps"), help="default: cuda where there is one, else cpu"
    )


def chosen_device(name: str | None) -> "torch.device":
    """What -device says, or the best there is.

    Raises:
        UserError: if there is no such device here.
    """
    import torch

    if name == "cuda" and not torch.cuda.is_available():
        raise UserError("There is no CUDA device here; use -device cpu.")
    if name == "mps" and not torch.backends.mps.is_available():
        raise UserError("There is no MPS device here; use -device cpu.")
    return torch.device(name or ("cuda" if torch.cuda.is_available() else "cpu"))
