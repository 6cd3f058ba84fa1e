"""nnU-Net's own JSON files, checked where they are read: what is in them decides about paths, sizes and networks.

nnU-Net trusts these files. They are written by programs and edited by hand, so a mistyped entry shall be named here
rather than end in a traceback far away.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any

from nnunetv2_muduo.errors import UserError, shortened
from nnunetv2_muduo.json_files import is_number, read_json, read_table

Check = Callable[[Any], bool]
SPLITS = "splits_final.json"
OF_SCANS = ("file_ending", "channel_names")
OF_SCANS_AND_LABELS = ("labels", "file_ending", "channel_names")  # entries without which none of them is found
_MOST_AXES = 3
_LARGEST_VALUE = 65535  # of a label map, which nnU-Net keeps in 16 bits
_HIGHEST_ORDER = 5  # of splines
_MOST = 1e30  # of any number in plans
_MOST_DIGITS = 4  # of a channel's number
_LONGEST_ENDING = 30


def read_dataset_json(path: Path, *, needs: Sequence[str] = ()) -> dict[str, Any]:
    """A dataset.json.

    Args:
        path: the file.
        needs: entries that must be there.

    Raises:
        UserError: if it is missing, no JSON, lacks one of `needs`, or an entry is not what nnU-Net takes.
    """
    content = read_table(path)
    check_dataset_json(content, path, needs=needs)
    return content


def check_dataset_json(content: Mapping[str, Any], path: Path | str, *, needs: Sequence[str] = ()) -> None:
    """Raise UserError for an entry that is missing or not what nnU-Net takes; further entries are nobody's business."""
    lacking = [key for key in needs if key not in content]
    if "channel_names" in lacking and "modality" in content:  # as old datasets have it
        lacking.remove("channel_names")
    if lacking:
        raise UserError(f"{path} has no entry '{lacking[0]}'; add it as nnU-Net's documentation says.")
    for key, (check, wanted) in _OF_DATASETS.items():
        if key in content:
            _demand(content[key], check, path, key, wanted)


def read_plans_file(path: Path) -> dict[str, Any]:
    """Plans.

    Raises:
        UserError: if they are missing, no JSON, or an entry is not what nnU-Net takes.
    """
    plans = read_table(path)
    check_plans(plans, path)
    return plans


def check_plans(plans: Any, path: Path | str) -> None:
    """Raise UserError for what cannot be nnU-Net's plans, naming the entry; those that are missing are passed over."""
    _demand(plans, _is_table, path, "the whole", "a table")
    _demand(plans.get("configurations"), _is_table_of(_is_table), path, "configurations", "a table of tables")
    for key, (check, wanted) in _OF_PLANS.items():
        if key in plans:
            _demand(plans[key], check, path, key, wanted)
    for name, configuration in plans["configurations"].items():
        for key, (check, wanted) in _OF_CONFIGURATIONS.items():
            if key in configuration:
                _demand(configuration[key], check, path, f"configurations.{name}.{key}", wanted)
        resolved = resolved_configuration(plans, name, path)
        lengths = {key: len(resolved[key]) for key in ("spacing", "patch_size") if key in resolved}
        if len(set(lengths.values())) > 1:
            raise UserError(f"{path}: spacing and patch_size of '{name}' have different numbers of axes; correct them.")


def resolved_configuration(plans: Mapping[str, Any], name: str, path: Path | str = "The plans") -> dict[str, Any]:
    """A configuration with the entries that it inherits.

    Raises:
        UserError: where it inherits from one that is not there, or from itself.
    """
    chain = [name]
    while (parent := plans["configurations"][chain[-1]].get("inherits_from")) is not None:
        if parent in chain or parent not in plans["configurations"]:
            raise UserError(
                f"{path}: configuration '{chain[-1]}' inherits from '{parent}', which "
                f"{'inherits from it' if parent in chain else 'is not there'}; correct inherits_from."
            )
        chain.append(parent)
    resolved: dict[str, Any] = {}
    for link in reversed(chain):
        resolved |= plans["configurations"][link]
    return resolved


def check_entries(plans: Mapping[str, Any], configuration: str, needs: Sequence[str]) -> None:
    """Raise UserError for an entry that a configuration of the plans lacks, inherited ones among them."""
    resolved = resolved_configuration(plans, configuration)
    if lacking := [key for key in needs if key not in resolved]:
        raise UserError(
            f"Configuration '{configuration}' of the plans has no entry '{lacking[0]}'; plan the dataset again with "
            "nnUNetv2_plan_and_preprocess."
        )


def read_splits(path: Path) -> list[dict[str, list[str]]]:
    """splits_final.json: a table a fold, with the names of the cases to "train" and to "val"idate on.

    Raises:
        UserError: if it is missing, no JSON, or anything else.
    """
    folds = read_json(path)
    good = _is_list(folds) and all(
        _is_table(fold) and all(_is_list_of(_is_text)(fold.get(part)) for part in ("train", "val")) for fold in folds
    )
    if not good:
        raise UserError(f'{path} must look like [{{"train": ["case", ...], "val": ["case", ...]}}, ...]; correct it.')
    return folds


def single_label(value: Any) -> int | None:
    """The one integer of a label, which may stand alone in a list as nnU-Net has it; None for a region of several."""
    several = value if isinstance(value, list | tuple) else [value]
    return int(several[0]) if len(several) == 1 else None


def is_plain_name(text: Any) -> bool:
    """Whether a text can name a file or folder and leads nowhere else, on any system."""
    return (
        isinstance(text, str)
        and bool(text.strip(" ."))
        and "\0" not in text
        and text == PurePosixPath(text).name == PureWindowsPath(text).name
        and _can_be_encoded(text)
    )


def _can_be_encoded(text: str) -> bool:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:  # half of a pair of surrogates, which JSON can hold and no file name
        return False
    return True


def _demand(value: Any, check: Check, path: Path | str, key: str, wanted: str) -> None:
    if not check(value):
        raise UserError(f"{path}: '{key}' is {shortened(ascii(value))}, but must be {wanted}; correct it.")


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and _can_be_encoded(value) and "\0" not in value


def _is_table(value: Any) -> bool:
    return isinstance(value, Mapping)


def _is_list(value: Any) -> bool:
    return isinstance(value, list | tuple)


def _is_switch(value: Any) -> bool:
    return isinstance(value, bool)


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _is_positive_whole(value: Any) -> bool:
    return _is_whole(value) and value > 0


def _is_number(value: Any) -> bool:
    return is_number(value) and abs(value) < _MOST


def _is_length(value: Any) -> bool:
    return _is_number(value) and math.isfinite(value) and value > 0


def _is_table_of(check: Check) -> Check:
    return lambda value: _is_table(value) and all(map(check, value.values()))


def _is_list_of(check: Check, *, most: int | None = None) -> Check:
    return lambda value: _is_list(value) and (most is None or 0 < len(value) <= most) and all(map(check, value))


def _is_value(value: Any) -> bool:
    return _is_whole(value) and value <= _LARGEST_VALUE


def _is_label(value: Any) -> bool:
    return _is_value(value) or (_is_list(value) and bool(value) and all(map(_is_value, value)))


def _is_labels(value: Any) -> bool:
    if not (_is_table(value) and all(map(_is_text, value)) and all(map(_is_label, value.values()))):
        return False
    if value.get("background", 0) != 0:  # organ maps that others made do without one
        return False
    others = (entry for name, entry in value.items() if name != "ignore")
    highest = max((label for entry in others for label in (entry if _is_list(entry) else [entry])), default=0)
    return value.get("ignore", highest + 1) == highest + 1


def _is_channels(value: Any) -> bool:
    return (
        _is_table(value)
        and bool(value)
        and all(isinstance(key, str) and key.isdecimal() and len(key) <= _MOST_DIGITS for key in value)
        and all(map(_is_text, value.values()))
    )


def _is_ending(value: Any) -> bool:
    return is_plain_name(value) and value.startswith(".") and len(value) <= _LONGEST_ENDING


def _is_file_list(value: Any) -> bool:
    return _is_table_of(
        lambda case: _is_table(case) and _is_text(case.get("label")) and _is_list_of(_is_text)(case.get("images"))
    )(value)


def _is_resampling(value: Any) -> bool:
    if not _is_table(value):
        return False
    orders = [value[key] for key in ("order", "order_z") if key in value]
    return all(_is_whole(order) and order <= _HIGHEST_ORDER for order in orders)


def _is_architecture(value: Any) -> bool:
    return _is_table(value) and _is_table(value.get("arch_kwargs", {}))


def _is_order(value: Any) -> bool:
    return (
        _is_list(value) and all(map(_is_whole, value)) and sorted(value) == list(range(len(value))) and len(value) == 3
    )


def _is_optional(check: Check) -> Check:
    return lambda value: value is None or check(value)


_TABLE = (_is_table, "a table")
_NAME = (is_plain_name, "a plain name")
_TEXT = (_is_text, "a text")
_OF_DATASETS: Mapping[str, tuple[Check, str]] = {
    "labels": (
        _is_labels,
        'a table from names to whole numbers, or lists of them, "background" 0 and "ignore" one above all others',
    ),
    "channel_names": (_is_channels, 'a table such as {"0": "CT", "1": "PET"}'),
    "modality": (_is_channels, 'a table such as {"0": "CT", "1": "PET"}'),
    "file_ending": (_is_ending, 'an ending such as ".nii.gz"'),
    "numTraining": (_is_whole, "a whole number"),
    "dataset": (_is_file_list, 'a table such as {"case": {"images": ["file", ...], "label": "file"}}'),
}
_OF_PLANS: Mapping[str, tuple[Check, str]] = {
    "dataset_name": _NAME,
    "plans_name": _NAME,
    "image_reader_writer": _TEXT,
    "label_manager": (_is_optional(_is_text), "a text"),
    "transpose_forward": (_is_order, "an order of the axes such as [0, 1, 2]"),
    "transpose_backward": (_is_order, "an order of the axes such as [0, 1, 2]"),
    "foreground_intensity_properties_per_channel": (
        _is_table_of(_is_table_of(_is_number)),
        "a table of numbers for each channel",
    ),
}
_RESAMPLING = ("resampling_fn_data", "resampling_fn_seg", "resampling_fn_probabilities")
_OF_CONFIGURATIONS: Mapping[str, tuple[Check, str]] = {
    "inherits_from": _TEXT,
    "previous_stage": (_is_optional(_is_text), "a text"),
    "data_identifier": _NAME,
    "preprocessor_name": _TEXT,
    "batch_size": (_is_positive_whole, "a whole number above 0"),
    "patch_size": (_is_list_of(_is_positive_whole, most=_MOST_AXES), "up to three whole numbers above 0"),
    "spacing": (_is_list_of(_is_length, most=_MOST_AXES), "up to three lengths in mm above 0"),
    "median_image_size_in_voxels": (_is_list_of(_is_length, most=_MOST_AXES), "up to three numbers above 0"),
    "normalization_schemes": (_is_list_of(_is_text), "a list of names"),
    "use_mask_for_norm": (_is_list_of(_is_switch), "a list of true and false"),
    "architecture": (_is_architecture, 'a table, as is its "arch_kwargs"'),
    **dict.fromkeys(_RESAMPLING, _TEXT),
    **dict.fromkeys(
        (f"{name}_kwargs" for name in _RESAMPLING), (_is_resampling, 'a table, its "order" and "order_z" from 0 to 5')
    ),
}
