"""A checkpoint belongs to the data it was trained on: with other data it is neither continued nor validated."""

from collections.abc import Collection, Mapping
from typing import Any

from nnunetv2_muduo.cases.freshness import changed_preprocessing
from nnunetv2_muduo.errors import UserError
from nnunetv2_muduo.nnunet_files import check_dataset_json, check_plans
from nnunetv2_muduo.nnunet_folders import check_configuration
from nnunetv2_muduo.plain_configuration import naming_bad_plans

ENTRY = "muduo_training_cases"  # of a checkpoint: names of all cases it was ever trained on
_REMEDY = "put them back, or train anew without --c"


def refuse_other_data(begun: Any, *, plans: dict, configuration: str, dataset_json: Mapping) -> None:
    """Refuse a checkpoint whose outputs are other organs than today's, or whose inputs were made otherwise.

    Args:
        begun: nnU-Net's arguments of the trainer when the training began, as its checkpoints keep them.
        plans, configuration, dataset_json: today's.

    Raises:
        UserError: naming the labels, or the entries of the plans, that differ, or what of `begun` is damaged.
    """
    _check_arguments(begun)
    before, now = begun["dataset_json"]["labels"], dataset_json["labels"]
    if other := sorted(name for name in {*before, *now} if before.get(name) != now.get(name)):
        raise UserError(
            f"Cannot go on with this checkpoint: the labels of dataset.json were others when its training began "
            f"({', '.join(other)}), so that its outputs mean other organs; {_REMEDY}."
        )
    with naming_bad_plans(begun["plans"], begun["configuration"]):
        other = changed_preprocessing((begun["plans"], begun["configuration"]), (plans, configuration))
    if other:
        raise UserError(
            f"Cannot go on with this checkpoint: the plans prepared scans otherwise when its training began "
            f"({', '.join(other)}), so that it knows other images than these; {_REMEDY}."
        )


def _check_arguments(begun: Any) -> None:
    """Raise UserError for what are no arguments of a trainer, such as a damaged checkpoint holds."""
    name = "The checkpoint's init_args"
    if not (isinstance(begun, Mapping) and isinstance(begun.get("dataset_json"), Mapping)):
        raise UserError(f"{name} hold no dataset.json; train anew without --c.")
    check_dataset_json(begun["dataset_json"], name, needs=("labels",))
    plans: Any = begun.get("plans")
    configuration: Any = begun.get("configuration")
    check_plans(plans, name)
    check_configuration(plans, configuration)


def refuse_known_cases(known: Collection[str], validation: Collection[str]) -> None:
    """Refuse to validate on what was trained on under another split.

    Args:
        known: names of the cases it was trained on and is no more.
        validation: of those that are held out today.

    Raises:
        UserError: naming the first of those that are both.
    """
    if both := sorted({*known} & {*validation}):
        raise UserError(
            f"Cannot go on with this checkpoint: it was trained on {len(both)} of the {len(validation)} validation "
            f"cases of this fold (the first: {both[0]}), so that its validation would look better than it is; put back "
            "the split (splits_final.json), or train anew without --c."
        )
