"""`muduo demo`: everything at once, on simulated scans."""

from argparse import ArgumentParser, Namespace
from dataclasses import replace
from pathlib import Path

from nnunetv2_muduo.commands.command import Command


def _add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument(
        "-o",
        "--out",
        type=Path,
        default=Path("demo"),
        metavar="DIR",
        help="folder that keeps everything (default: demo)",
    )
    parser.add_argument("--seed", type=int, default=0, help="of the simulated scans and the trainings (default: 0)")


def _run(arguments: Namespace) -> None:
    from nnunetv2_muduo.demo.recipe import DemoSize, run_demo

    run_demo(arguments.out, size=replace(DemoSize(), seed=arguments.seed))


COMMAND = Command(
    name="demo",
    summary="train a baseline and MuDuo on simulated PET/CT scans and compare them",
    description=(
        "Simulate a small PET/CT dataset, train stock nnU-Net and MuDuo (with the stand-in teachers) on it for the\n"
        "same number of iterations, predict the test scans and print Dice per organ. Under 10 minutes on 2 CPU cores.\n"
        "A second run goes on where the first one stopped."
    ),
    example="  muduo demo --out demo",
    add_arguments=_add_arguments,
    run=_run,
)
