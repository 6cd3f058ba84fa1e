"""Writes docs/settings.md from the two dataclasses of settings, their rules and the presets.

    python scripts/write_settings_reference.py

A setting without a description, or a described one that does not exist, is an error.
"""

import json
import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import fields
from inspect import getdoc
from pathlib import Path
from typing import Any

from nnunetv2_muduo.files import write_text
from nnunetv2_muduo.mae_settings import MAESettings
from nnunetv2_muduo.presets import Preset, load_preset, preset_paths
from nnunetv2_muduo.setting_rules import Choice, Name, Rule
from nnunetv2_muduo.settings import Settings

PAGE = Path(__file__).resolve().parents[1] / "docs" / "settings.md"
GROUPS: Mapping[str, Sequence[str]] = {
    "Who teaches, and how they are asked": (
        *("ct_teacher", "pet_teacher", "grid", "ct_prompt", "mask_prompt", "point_mask", "points", "point_strategy"),
        "student_prompt_share",
    ),
    "Which answers count": (
        "keep_fraction",
        "min_iou",
        "min_prompt_iou",
        "fusion",
        "prompts_label",
        "student_share",
        "reliability",
    ),
    "How much they weigh, when, and on what": (
        *("consistency_weight", "ramp_fraction", "warmup_epochs", "unlabelled_batch_size", "spatial_augmentation"),
    ),
    "Length and optimiser": (
        *("num_epochs", "iterations_per_epoch", "val_iterations_per_epoch", "prompt_epochs", "optimizer", "initial_lr"),
        *("mirroring", "seed"),
    ),
    "Averages and baselines": (
        *("predict_with", "ema_decay", "uncertainty_passes", "generalist", "generalist_prompt"),
    ),
    "Channels, cache and reports": (
        *("ct_channel", "pet_channel", "teacher_cache", "cache_tiles", "report_every", "report_patches"),
    ),
}
INTRODUCTION = """\
# Settings

<!-- Written by scripts/write_settings_reference.py from the code; run it again instead of editing this page. -->

Settings live in the plans file, under `muduo` and, for pretraining, under `mae`. nnU-Net saves the plans with every
model, so a model always knows how it was trained. `muduo plan` writes them:

    muduo plan -d 221 --set reliability=report keep_fraction=0.5
    muduo plan -d 221 --set ct_teacher=null -o nnUNetPlansPETonly
    muduo plan -d 500 --preset petct_mae --set mae.batch_size=4

All are optional. `null` stands for "derived", and for a teacher for "switched off". A key that does not exist or a
value that is not allowed is refused by name. With `-o` new plans are written, which nnU-Net takes with `-p`, in
place of earlier ones of that name (whose settings are named where they are not given again);
without it the plans that were read are changed. `nnUNetv2_plan_and_preprocess`, run again, writes plans without
settings: repeat `muduo plan` then. One plans file serves all trainers; the semi-supervised ones say in their log which
settings mean nothing to them.

"Published" is what the code of the paper does: arXiv 2606.15611 for MuDuo, arXiv 2605.21835 for pretraining.
`docs/method.md` says what each deviation is about.
"""


def page() -> str:
    """The whole of docs/settings.md."""
    parts = [INTRODUCTION, _presets(), '## `plans["muduo"]`: training\n']
    grouped = [name for names in GROUPS.values() for name in names]
    missing = {item.name for item in fields(Settings)} ^ set(grouped)
    if missing or len(grouped) != len(set(grouped)):
        raise ValueError(f"GROUPS must hold each setting once; it does not for {', '.join(sorted(missing)) or 'some'}")
    parts += [f"### {title}\n\n{_table(Settings, names)}" for title, names in GROUPS.items()]
    parts.append(
        '## `plans["mae"]`: pretraining\n\nWritten as `mae.KEY=VALUE`; `docs/pretraining.md` tells the story.\n'
    )
    parts.append(_table(MAESettings, [item.name for item in fields(MAESettings)]))
    return "\n".join(parts)


def descriptions(settings: type) -> dict[str, str]:
    """Name -> text of each entry below "Attributes:" in a docstring; names that share an entry share its text."""
    block = (getdoc(settings) or "").partition("Attributes:\n")[2].partition("\n\n")[0]
    found: dict[str, str] = {}
    for entry in re.split(r"\n(?= {4}\w)", block):
        names, separator, text = entry.partition(":")
        if not separator:
            raise ValueError(f"'{entry.strip()}' in the docstring of {settings.__name__} has no colon")
        found.update(dict.fromkeys(re.split(r",\s*", names.strip()), " ".join(text.split())))
    known = {item.name for item in fields(settings)}
    if known != set(found):
        raise ValueError(f"described and existing settings differ: {', '.join(sorted(known ^ set(found)))}")
    return found


def _table(settings: type, names: Sequence[str]) -> str:
    texts, items = descriptions(settings), {item.name: item for item in fields(settings)}
    rows = ["| key | default | allowed | meaning |", "|---|---|---|---|"]
    for name in names:
        item = items[name]
        allowed = _allowed(item.metadata["rule"]) + (" or `null`" if item.metadata["optional"] else "")
        rows.append(f"| `{name}` | {_shown(item.default)} | {allowed} | {_readable(texts[name])} |")
    return "\n".join(rows) + "\n"


def _allowed(rule: Rule) -> str:
    if isinstance(rule, Choice):
        return ", ".join(f"`{name}`" for name in rule.names)
    return "a name" if isinstance(rule, Name) else rule.describe()  # `--set` takes it without quotes


def _shown(value: Any) -> str:
    if isinstance(value, float) and 0 < value < 0.001:
        return f"`{f'{value:f}'.rstrip('0')}`"  # no 1e-06
    return f"`{value}`" if isinstance(value, str) else f"`{json.dumps(value)}`"


def _readable(text: str) -> str:
    text = re.sub(r'"([\w.]+)"', r"`\1`", re.sub(r"\bNone\b", "`null`", text)).replace("|", "\\|")
    return text[:1].upper() + text[1:]


def _presets() -> str:
    rows = ["| `--preset` | what it is for |", "|---|---|"]
    for name in preset_paths():
        preset = load_preset(name)
        rows.append(f"| `{name}` | {preset.description} {_sets(preset)} |")
    return (
        "## Presets\n\nA preset sets several at once; `--set` in the same command goes on top of it. A file of "
        "your own\n(`--preset mine.json`) looks like those in `plans/`.\n\n" + "\n".join(rows) + "\n"
    )


def _sets(preset: Preset) -> str:
    keys = [f"`{key}`" for key in preset.muduo] + [f"`mae.{key}`" for key in preset.mae]
    return f"Sets {', '.join(keys)}." if keys else ""


if __name__ == "__main__":
    write_text(PAGE, page())
    sys.stdout.write(f"{PAGE}\n")
