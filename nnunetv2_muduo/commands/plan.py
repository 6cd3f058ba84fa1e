"""`muduo plan`: settings into an nnU-Net plans file."""

from argparse import ArgumentParser, Namespace

from nnunetv2_muduo.commands.command import Command, add_dataset_arguments


def _add_arguments(parser: ArgumentParser) -> None:
    add_dataset_arguments(parser)
    parser.add_argument("--preset", metavar="NAME", help="a preset by name (a wrong name lists them), or a .json file")
    parser.add_argument(
        "--set",
        nargs="+",
        action="extend",
        default=[],
        metavar="KEY=VALUE",
        help="settings, applied after the preset; mae.KEY=VALUE for pretraining; docs/settings.md lists them",
    )
    parser.add_argument(
        "-o", metavar="PLANS", help="plans to write (default: those that were read, or the preset's own)"
    )


def _run(arguments: Namespace) -> None:
    from nnunetv2_muduo.planning import write_muduo_plans

    written = write_muduo_plans(
        arguments.d,
        configuration=arguments.c,
        plans_name=arguments.p,
        preset=arguments.preset,
        assignments=arguments.set,
        output_name=arguments.o,
    )
    print(written.summary())


COMMAND = Command(
    name="plan",
    summary="write settings and presets into the plans of a dataset",
    description=(
        "Write MuDuo's settings into the plans of a dataset, where they travel with every model. Settings that are\n"
        "there already stay unless they are given anew. Run nnUNetv2_plan_and_preprocess first: it writes new plans.\n"
        "The preset petct_mae is plans of its own, for pretraining: it needs no planning and no labels beforehand,\n"
        "and given again it keeps the settings that these plans have."
    ),
    example="  muduo plan -d 221 --set keep_fraction=0.5 reliability=report -o nnUNetPlansMuDuo",
    add_arguments=_add_arguments,
    run=_run,
)
