"""`muduo pseudo-label`: let both teachers label whole scans."""

import os
from argparse import ArgumentParser, BooleanOptionalAction, Namespace
from pathlib import Path
from typing import TYPE_CHECKING

from nnunetv2_muduo.commands.command import Command, add_dataset_arguments, add_device_argument, chosen_device
from nnunetv2_muduo.errors import UserError
from nnunetv2_muduo.nnunet_files import OF_SCANS_AND_LABELS, read_dataset_json, read_plans_file
from nnunetv2_muduo.nnunet_folders import find_dataset, nnunet_folder

if TYPE_CHECKING:
    from nnunetv2_muduo.pseudo_labelling.new_dataset import PseudoDataset
    from nnunetv2_muduo.pseudo_labelling.prompt_maps import PromptModel
    from nnunetv2_muduo.settings import Settings

PROMPT_TRAINER = "nnUNetTrainerMuDuoPrompt"


def _add_arguments(parser: ArgumentParser) -> None:
    add_dataset_arguments(parser)
    parser.add_argument("-i", type=Path, metavar="FOLDER", help="scans (default: imagesUn of the dataset)")
    parser.add_argument("-o", type=Path, metavar="OUT", help="folder to write to; made if missing")
    _add_prompt_arguments(parser)
    parser.add_argument(
        "--no-teachers",
        action="store_true",
        help="self-training: with --as-labels, predictions become labels as they are, none is judged or masked",
    )
    for modality in ("ct", "pet"):
        parser.add_argument(
            f"--{modality}-teacher",
            metavar="NAME",
            help=f"{modality.upper()} teacher; none: without (default: as the plans say, else the released one)",
        )
    _add_quality_arguments(parser)
    parser.add_argument(
        "--figures", action=BooleanOptionalAction, default=True, help="draw a picture of each case (default: yes)"
    )
    _add_layout_arguments(parser)
    add_device_argument(parser)
    parser.add_argument("-np", type=int, default=2, metavar="N", help="processes that read scans (default: 2)")


def _add_prompt_arguments(parser: ArgumentParser) -> None:
    prompts = parser.add_mutually_exclusive_group(required=True)
    prompts.add_argument(
        "--model", type=Path, metavar="FOLDER", help="any trained nnU-Net model, TRAINER__PLANS__CONFIGURATION"
    )
    prompts.add_argument(
        "--prompt-generator", action="store_true", help=f"the dataset's own {PROMPT_TRAINER} (see -c and -p)"
    )
    prompts.add_argument("--predictions", type=Path, metavar="FOLDER", help="label maps that nnUNetv2_predict wrote")
    parser.add_argument("-f", nargs="+", metavar="FOLD", help="folds of the model (default: all that are trained)")
    parser.add_argument("-chk", metavar="FILE", default="checkpoint_final.pth", help="default: checkpoint_final.pth")


def _add_quality_arguments(parser: ArgumentParser) -> None:
    group = parser.add_argument_group("what to trust")
    group.add_argument(
        "--min-iou",
        type=_share,
        default=0.5,
        metavar="X",
        help="drop an organ where the teachers' soft IoU is lower (default: 0.5, as published)",
    )
    group.add_argument(
        "--min-prompt-iou",
        type=_share,
        default=0.2,
        metavar="X",
        help="drop an organ whose soft IoU with its prompt is lower: the teachers outlined something else "
        "(default: 0.2, which stray voxels do not reach and a half-found organ does)",
    )
    group.add_argument(
        "--require-organs",
        nargs="+",
        default=["usual"],
        metavar="ORGAN",
        help="organs that every scan should show; a case where one is not found is incomplete. Names, or usual: those "
        "that at least 90 %% of the labelled cases have, but no lesions (default), or none",
    )


def _add_layout_arguments(parser: ArgumentParser) -> None:
    group = parser.add_argument_group("a new dataset to train on")
    group.add_argument("--as-labels", metavar="DATASET", help="lay it out as 321 or Dataset321_Name")
    group.add_argument(
        "--incomplete",
        choices=("ignore", "leave-out", "keep"),
        default="ignore",
        help="what becomes of an incomplete case, in whose background the missing organ lies: all of that carries the "
        "ignore label (default), the case is left out, or it is kept and teaches that the organ is absent",
    )
    group.add_argument("--without-labelled", action="store_true", help="leave the labelled cases out")
    group.add_argument("--copy", action="store_true", help="copy images instead of linking them")
    group.add_argument(
        "--overwrite", action="store_true", help="lay it out anew although files of it were added or changed since"
    )


def _share(text: str) -> float:
    value = float(text)
    if not 0 <= value <= 1:
        raise ValueError(text)
    return value


def _run(arguments: Namespace) -> None:
    if arguments.o is None and not (arguments.no_teachers and arguments.predictions):
        raise UserError("Name a folder to write to with -o OUT.")
    name = find_dataset(arguments.d)
    raw = nnunet_folder("nnUNet_raw") / name
    dataset_json = read_dataset_json(
        raw / "dataset.json", needs=OF_SCANS_AND_LABELS
    )  # mistakes are told before what is slow to import

    if arguments.no_teachers:
        _self_train(arguments, name)
        return

    from nnunetv2_muduo.pseudo_labelling.case_quality import Thresholds, never_kept
    from nnunetv2_muduo.pseudo_labelling.layout import lay_out
    from nnunetv2_muduo.pseudo_labelling.new_dataset import cases_to_keep, check_target, dataset_name
    from nnunetv2_muduo.pseudo_labelling.recipe import find_unlabelled, pseudo_label, with_teachers

    target = None if arguments.as_labels is None else dataset_name(arguments.as_labels, name)
    if target is not None:  # before hours of work
        check_target(raw.parent, target, overwrite=arguments.overwrite)
        if not arguments.without_labelled:
            scans, _ = find_unlabelled(arguments.i or raw / "imagesUn", dataset_json["file_ending"])
            cases_to_keep(raw, dataset_json, scans)
    required = _required_organs(arguments, raw, dataset_json)
    thresholds = Thresholds(arguments.min_iou, arguments.min_prompt_iou, required)
    result = pseudo_label(
        name,
        prompts=_prompts(arguments, name),
        output=arguments.o,
        scans_folder=arguments.i,
        settings=with_teachers(_settings(name, arguments.p), ct=arguments.ct_teacher, pet=arguments.pet_teacher),
        thresholds=thresholds,
        device=chosen_device(arguments.device),
        num_processes=max(0, arguments.np),
        figures=arguments.figures,
    )
    if target is not None:
        made = lay_out(
            result,
            source=name,
            target=target,
            thresholds=thresholds,
            incomplete=arguments.incomplete,
            with_labelled=not arguments.without_labelled,
            copy=arguments.copy,
            overwrite=arguments.overwrite,
        )
        _tell(made)
        if lost := never_kept((row for rows in result.qualities.values() for row in rows), thresholds):
            print(
                f"WARNING: {', '.join(lost)}: found, but kept in no pseudo-labelled case; quality.csv says why. What "
                "was found carries the ignore label there, and what was overlooked is background."
            )
        _tell_to_plan_anew(target, configuration=arguments.c)


def _self_train(arguments: Namespace, name: str) -> None:
    if arguments.as_labels is None:
        raise UserError("Without teachers there is nothing to do but to lay out a dataset; add --as-labels DATASET.")
    if arguments.ct_teacher or arguments.pet_teacher:
        raise UserError("--no-teachers asks no teacher; leave out --ct-teacher and --pet-teacher, or --no-teachers.")

    from nnunetv2_muduo.pseudo_labelling.new_dataset import dataset_name
    from nnunetv2_muduo.pseudo_labelling.self_training import lay_out_predictions, self_training_commands

    target = dataset_name(arguments.as_labels, name)
    made = lay_out_predictions(
        name,
        predictions=_prompts(arguments, name),
        target=target,
        model_output=arguments.o or arguments.predictions,
        scans_folder=arguments.i,
        settings=_settings(name, arguments.p),
        with_labelled=not arguments.without_labelled,
        copy=arguments.copy,
        overwrite=arguments.overwrite,
        device=chosen_device(arguments.device),
        num_processes=max(0, arguments.np),
    )
    _tell(made)
    if not _plans_file(name, arguments.p).is_file():
        _tell_to_plan_anew(target, configuration=arguments.c)
        return
    print(f"Train with the plans of {name}, so that both models have one network and one spacing:")
    commands = self_training_commands(
        int(name[7:10]), int(target[7:10]), plans_name=arguments.p, configuration=arguments.c
    )
    print("\n".join(f"    {line}" for line in commands))


def _required_organs(arguments: Namespace, raw: Path, dataset_json: dict) -> frozenset[str]:
    from nnunetv2_muduo.pseudo_labelling.expected_organs import expected_organs
    from nnunetv2_muduo.pseudo_labelling.new_dataset import labelled_cases
    from nnunetv2_muduo.pseudo_labelling.recipe import plain_organs

    return expected_organs(
        arguments.require_organs,
        plain_organs(dataset_json),
        [case.label_map for case in labelled_cases(raw, dataset_json).values()],
        num_processes=arguments.np,
    )


def _tell(made: "PseudoDataset") -> None:
    print(
        f"{made.folder}: {made.pseudo_labelled} pseudo-labelled and {made.labelled} labelled cases, "
        f"{100 * made.ignored_share:.1f} % of the pseudo-labelled voxels carry the ignore label."
    )
    if made.incomplete:
        print(
            f"An organ that every scan should show is missing in {len(made.incomplete)} case(s), see quality.csv: "
            "prompt with a better model if it is there, leave it out of --require-organs if it need not be, or choose "
            "with --incomplete what becomes of such cases."
        )
    if made.left_out:
        print(f"Left out: {', '.join(made.left_out)}")


def _tell_to_plan_anew(target: str, *, configuration: str) -> None:
    number = int(target[7:10])
    print(
        f"Train with: nnUNetv2_plan_and_preprocess -d {number} -c {configuration} && "
        f"nnUNetv2_train {number} {configuration} 0"
    )


def _prompts(arguments: Namespace, dataset: str) -> "Path | PromptModel":
    from nnunetv2_muduo.pseudo_labelling.prompt_maps import PromptModel

    if arguments.predictions is not None:
        return arguments.predictions
    folds = None if arguments.f is None else tuple(arguments.f)
    if arguments.model is not None:
        return PromptModel(arguments.model, folds, arguments.chk)
    model = nnunet_folder("nnUNet_results") / dataset / f"{PROMPT_TRAINER}__{arguments.p}__{arguments.c}"
    if not (model / "plans.json").is_file():  # a training that was stopped early leaves a folder
        raise UserError(
            f"There is no prompt generator {model}; train it with `nnUNetv2_train {dataset} {arguments.c} 0 "
            f"-tr {PROMPT_TRAINER}`, or name another model with --model."
        )
    return PromptModel(model, folds, arguments.chk)


def _settings(dataset: str, plans_name: str) -> "Settings":
    """Those of the dataset's plans where it is planned, else the defaults; says so where there are other plans."""
    from nnunetv2_muduo.settings import Settings

    plans = _plans_file(dataset, plans_name)
    if plans.is_file():
        return Settings.from_plans(read_plans_file(plans))
    if others := sorted(file.stem for file in plans.parent.glob("*Plans*.json")):
        print(f"No plans {plans_name}: teachers and settings are the defaults. -p names others: {', '.join(others)}")
    return Settings()


def _plans_file(dataset: str, plans_name: str) -> Path:
    return Path(os.environ.get("nnUNet_preprocessed", "")) / dataset / f"{plans_name}.json"


COMMAND = Command(
    name="pseudo-label",
    summary="let both teachers label whole scans, and say which labels to trust",
    description=(
        "Label whole PET/CT scans: a trained nnU-Net model (or its predictions) prompts both teachers, whose answers\n"
        "are fused. Writes labels/, agreement/ (per cent: how far both teachers agree, voxel by voxel), figures/ and\n"
        "quality.csv, which suggests what to keep. --as-labels lays out a dataset that stock nnU-Net trains on, with\n"
        "the ignore label where an organ is dropped, where the teachers disagree, and in the background of scans that\n"
        "lack an organ which every scan should show. Run again to continue: finished cases are skipped unless their\n"
        "scan, prompts, teachers or settings changed; other thresholds ask no teacher again."
    ),
    example=(
        "  muduo pseudo-label -d 221 --prompt-generator -f 0 -o pseudo --as-labels 321\n"
        "  muduo pseudo-label -d 221 -i scans --predictions predicted -o pseudo\n"
        "  muduo pseudo-label -d 221 --predictions predicted --no-teachers --as-labels 322"
    ),
    add_arguments=_add_arguments,
    run=_run,
)
