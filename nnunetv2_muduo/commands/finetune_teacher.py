"""`muduo finetune-teacher`: adapt a promptable teacher to labelled scans."""

from argparse import ArgumentParser, BooleanOptionalAction, Namespace
from pathlib import Path

from nnunetv2_muduo.commands.command import Command, add_device_argument, chosen_device

# options that are settings of the training under the same name; None: the architecture's own
_TRAINING = (
    "steps",
    "scheme",
    "cpcl",
    "cpcl_after",
    "rectified_share",
    "learning_rate",
    "decoder_rate_share",
    "schedule",
    "crops_per_step",
    "targets_per_crop",
    "clicks_per_round",
    "accumulate",
    "validate_every",
    "save_every",
    "bfloat16",
    "seed",
)


def _add_arguments(parser: ArgumentParser) -> None:
    data = parser.add_argument_group("data")
    data.add_argument("-d", nargs="+", default=[], metavar="ID", help="datasets with labels to be trusted")
    data.add_argument("--lq", nargs="+", default=[], metavar="ID", help="datasets with labels of low quality")
    data.add_argument("--modality", choices=("CT", "PET"), required=True, help="which channel the teacher looks at")
    data.add_argument("--labels", nargs="+", metavar="NAME", help="labels to learn (default: all)")
    data.add_argument("--val-fraction", type=float, default=0.2, metavar="SHARE", help="held out of -d (default: 0.2)")
    data.add_argument("--val", nargs="+", default=[], metavar="ID", help="hold out these datasets, nothing of -d")
    data.add_argument("-f", type=int, metavar="FOLD", help="hold out this fold of nnU-Net's splits instead")
    data.add_argument(
        "--val-crops", type=int, default=24, metavar="N", help="cubes of them to measure on (default: 24)"
    )
    data.add_argument("--spacing", type=float, nargs=2, metavar=("LOW", "HIGH"), help="of the cubes, in mm")
    data.add_argument("--flips", action=BooleanOptionalAction, default=None, help="mirror cubes at random")
    data.add_argument("--min-voxels", type=int, metavar="N", help="smaller targets are not asked for (default: 30)")
    start = parser.add_mutually_exclusive_group(required=True)
    start.add_argument("--teacher", metavar="NAME", help="start from this teacher: a known name or a file")
    start.add_argument("--config", type=Path, metavar="FILE.json", help="start from random weights of this network")
    _add_training_arguments(parser)
    parser.add_argument("-o", type=Path, required=True, metavar="OUT", help="folder of the training; made if missing")
    parser.add_argument(
        "--export",
        choices=("best", "last"),
        default="best",
        help="weights of the teacher: the best on the cases held out (default), or the last; repeat to change",
    )
    parser.add_argument("--name", help="of the teacher, in the weights folder (default: the name of OUT)")
    parser.add_argument("--overwrite", action="store_true", help="replace another teacher of that name")
    add_device_argument(parser)
    parser.add_argument("-np", type=int, default=2, metavar="N", help="cases read at the same time (default: 2)")


def _add_training_arguments(parser: ArgumentParser) -> None:
    group = parser.add_argument_group("training (defaults: as published for Sam3D, as the stand-ins for ClickUNet)")
    group.add_argument("--steps", type=int, metavar="N", help="default: 200 epochs")
    group.add_argument("--scheme", choices=("published", "mixed"), help="11 clicks a step, or mixed prompts (MuDuo's)")
    readings = ("complement", "ensemble", "confident", "off")
    group.add_argument("--cpcl", choices=readings, help="how labels of --lq are rectified (default: ensemble)")
    group.add_argument("--cpcl-after", type=int, metavar="N", help="steps before that starts (default: 0)")
    group.add_argument("--rectified-share", type=float, metavar="SHARE", help="of the loss on --lq (default: 1/3)")
    group.add_argument("--learning-rate", type=float, metavar="RATE", help="of the encoder")
    group.add_argument("--decoder-rate-share", type=float, metavar="SHARE", help="the decoder's rate, as its share")
    group.add_argument("--schedule", choices=("steps", "cosine"))
    group.add_argument("--crops-per-step", type=int, metavar="B")
    group.add_argument("--targets-per-crop", type=int, metavar="K")
    group.add_argument("--clicks-per-round", type=int, metavar="N")
    group.add_argument("--accumulate", type=int, metavar="N", help="batches added up before a step")
    group.add_argument("--validate-every", type=int, metavar="N", help="steps")
    group.add_argument("--save-every", type=int, metavar="N", help="steps")
    group.add_argument(
        "--bfloat16",
        action=BooleanOptionalAction,
        default=None,
        help="mixed precision (default: on GPUs with instructions for it)",
    )
    group.add_argument("--seed", type=int, metavar="N")


def _run(arguments: Namespace) -> None:
    from nnunetv2_muduo.finetuning import FineTuning, finetune_teacher
    from nnunetv2_muduo.teachers.precision import is_gpu_with_bfloat16

    device = chosen_device(arguments.device)
    training = {name: getattr(arguments, name) for name in _TRAINING if getattr(arguments, name) is not None}
    finetune_teacher(
        FineTuning(
            modality=arguments.modality,
            datasets=tuple(arguments.d),
            low_quality=tuple(arguments.lq),
            validation=tuple(arguments.val),
            teacher=arguments.teacher,
            config=arguments.config,
            labels=tuple(arguments.labels) if arguments.labels else None,
            val_fraction=arguments.val_fraction,
            fold=arguments.f,
            val_crops=arguments.val_crops,
            spacing_range_in_mm=tuple(arguments.spacing) if arguments.spacing else None,
            flips=arguments.flips,
            min_voxels=arguments.min_voxels,
        ),
        arguments.o,
        training={"bfloat16": is_gpu_with_bfloat16(device), **training},
        export=arguments.export,
        name=arguments.name,
        overwrite=arguments.overwrite,
        device=device,
        workers=max(1, arguments.np),
    )


COMMAND = Command(
    name="finetune-teacher",
    summary="adapt a promptable teacher to labelled scans, or train a small one",
    description=(
        "Train a promptable teacher with simulated clicks on one channel of nnU-Net datasets (imagesTr, labelsTr),\n"
        "from a teacher's weights or from random ones. Labels of low quality (--lq) are learnt with cross prompting\n"
        "confident learning. Repeat the command to continue; the teacher then is known by its name."
    ),
    example="  muduo finetune-teacher -d 221 --lq 222 --modality PET --teacher seganypet_v1 -o my_pet_teacher",
    add_arguments=_add_arguments,
    run=_run,
)
