"""What `muduo import-mae` does: a pretrained checkpoint, rearranged for the network that a dataset's plans describe."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from nnunetv2_muduo.checkpoint_files import NUMPY_NUMBERS, not_finite, read_checkpoint
from nnunetv2_muduo.errors import UserError
from nnunetv2_muduo.files import clear_away_left_behind_of, replacing, sha256_of
from nnunetv2_muduo.nnunet_files import check_dataset_json, check_plans
from nnunetv2_muduo.nnunet_folders import check_configuration
from nnunetv2_muduo.plain_configuration import naming_bad_plans
from nnunetv2_muduo.plans_provenance import plain_channel_name, provenance_of_plans
from nnunetv2_muduo.pretraining.imported_weights import misfits, network_weights, with_input_channels
from nnunetv2_muduo.pretraining.provenance import (
    NOT_PRETRAINED,
    PROVENANCE_KEY,
    RELEASED,
    Provenance,
    cautions,
    channel_sources,
    obstacles,
)
from nnunetv2_muduo.transfer.target import Target, find_target

_SWIN = "swinViT.patch_embed.proj.weight"  # a tensor that no other network has


@dataclass(frozen=True)
class ImportedWeights:
    """A checkpoint for -pretrained_weights.

    Attributes:
        path: of the file.
        provenance: of the weights, channels in the new network's order.
        sources: for each of its input channels the pretrained network's, or None for zeros.
        forced: why the weights would have been refused, had it not been asked for.
        target: the network they fit.
    """

    path: Path
    provenance: Provenance
    sources: tuple[int | None, ...]
    forced: tuple[str, ...]
    target: Target

    def train_command(self) -> str:
        """The stock command that starts from the weights."""
        about = self.target.provenance
        trainer = "" if self.target.trainer == "nnUNetTrainer" else f" -tr {self.target.trainer}"
        return (
            f"nnUNetv2_train {about.dataset_name} {about.configuration} {self.target.fold}{trainer} "
            f'-p {about.plans_name} -pretrained_weights "{self.path}"'
        )


def import_weights(
    source: Path,
    *,
    dataset: str | int,
    output: Path,
    configuration: str = "3d_fullres",
    plans_name: str = "nnUNetPlans",
    trainer: str = "nnUNetTrainer",
    channels: Sequence[str] | None = None,
    force: bool = False,
    overwrite: bool = False,
    log: Callable[[str], object] = print,
) -> ImportedWeights:
    """Write the weights of a pretrained network as a checkpoint that `nnUNetv2_train -pretrained_weights` accepts.

    The file is the released one of the PET/CT masked autoencoder, one of our own pretraining, or any checkpoint of
    nnU-Net's. Input channels are put in the dataset's order by their names; the head is left out.

    Args:
        source: the pretrained checkpoint; only read.
        dataset: name or number of the planned dataset that is to be trained on.
        output: the file to write.
        configuration, plans_name, trainer: of the training to come.
        channels: names of the pretrained network's input channels in their order, where the file does not say.
        force: take weights in spite of another spacing, normalisation, body crop or other channels. A channel that was
            not pretrained then starts from zeros.
        overwrite: replace `output`.
        log: is told what is done.

    Raises:
        UserError: if a file is missing, damaged or in the way, if it holds no network, if any tensor does not fit the
            planned network (all are listed), or for the reasons that `force` overrides.
    """
    _check_paths(source, output, overwrite=overwrite)
    target = find_target(dataset, configuration=configuration, plans_name=plans_name, trainer=trainer)
    checkpoint = read_checkpoint(source, allowed=NUMPY_NUMBERS)
    weights = _network_of(checkpoint, source)
    pretrained = _provenance_of(checkpoint, source, channels)
    _check_kind(weights, target, source)
    _check_inputs(weights, target, pretrained, source)
    reasons = obstacles(pretrained, target.provenance)
    sources = channel_sources(pretrained.taught_channels, target.provenance.channel_names, by_position=force)
    fitted = with_input_channels(weights, target.input_names, sources)
    _refuse(source, target, misfits(target.network, fitted), reasons, force=force)
    about = _rearranged(pretrained, target.provenance, sources)
    entry = _entry(about, pretrained, target, source=source, reasons=reasons, checkpoint=checkpoint)
    clear_away_left_behind_of(output)
    with replacing(output) as partial:
        torch.save({"network_weights": target.as_trainer_names_it(fitted), PROVENANCE_KEY: entry}, partial)
    imported = ImportedWeights(output, about, sources, tuple(reasons), target)
    _tell(imported, pretrained, entry["sha256"], log)
    return imported


def _check_paths(source: Path, output: Path, *, overwrite: bool) -> None:
    if not output.exists():
        return
    if source.exists() and output.samefile(source):
        raise UserError(f"{output} is the pretrained checkpoint itself; write to another file.")
    if not overwrite:
        raise UserError(f"{output} exists already; give another file, or ask for it with --overwrite.")


def _network_of(checkpoint: Mapping[str, Any], source: Path) -> dict[str, Tensor]:
    try:
        weights = network_weights(checkpoint)
    except ValueError as error:
        raise UserError(f"{source} cannot be used: {error}; use a checkpoint of a pretraining.") from error
    broken = not_finite(weights)
    if broken:
        raise UserError(
            f"{source} holds NaN or infinity in {broken[0]}: its training diverged; use another checkpoint."
        )
    return weights


def _provenance_of(checkpoint: Mapping[str, Any], source: Path, channels: Sequence[str] | None) -> Provenance:
    """What the checkpoint says of itself, or the publication of the released one."""
    init_args = checkpoint.get("init_args")
    if isinstance(checkpoint.get(PROVENANCE_KEY), Mapping):
        try:
            told = Provenance.from_dict(checkpoint[PROVENANCE_KEY])
        except (TypeError, ValueError, OverflowError) as error:
            raise UserError(f"{source} does not tell how it was pretrained: {error}; pretrain it again.") from error
    elif isinstance(init_args, Mapping) and {"plans", "configuration", "dataset_json"} <= set(init_args):
        told = _told_by_trainer(init_args, source, trainer=str(checkpoint.get("trainer_name", "nnU-Net")))
    else:
        told = RELEASED if channels is None else _released_with(len(channels))
    return replace(told, channel_names=tuple(map(plain_channel_name, channels or told.channel_names)))


def _told_by_trainer(init_args: Mapping[str, Any], source: Path, *, trainer: str) -> Provenance:
    """What the arguments of a trainer of nnU-Net's say, which are as foreign as the rest of the file."""
    plans, configuration, dataset_json = (init_args[key] for key in ("plans", "configuration", "dataset_json"))
    check_plans(plans, f"{source} (plans)")
    if not isinstance(dataset_json, Mapping):
        raise UserError(f"{source} holds no dataset.json of its training; use another checkpoint.")
    check_dataset_json(dataset_json, f"{source} (dataset_json)", needs=("channel_names",))
    check_configuration(plans, configuration)
    with naming_bad_plans(plans, configuration):
        return provenance_of_plans(plans, configuration, dataset_json, source=trainer)


def _released_with(channels: int) -> Provenance:
    """The published preparation, which treats all channels alike, of so many of them; their names are to be given."""
    return replace(
        RELEASED,
        channel_names=("",) * channels,
        normalization_schemes=RELEASED.normalization_schemes[:1] * channels,
        use_mask_for_norm=RELEASED.use_mask_for_norm[:1] * channels,
    )


def _check_kind(weights: Mapping[str, Tensor], target: Target, source: Path) -> None:
    """A SwinUNETR fits the planned network of no plans."""
    if _SWIN in weights and _SWIN not in target.network:
        raise UserError(
            f"{source} holds a SwinUNETR, which {target.trainer} does not train; name a trainer that does: "
            "-tr nnUNetTrainerPETCTSwin."
        )


def _check_inputs(weights: Mapping[str, Tensor], target: Target, pretrained: Provenance, source: Path) -> None:
    """The channels that are named must be those there are."""
    names, schemes = pretrained.channel_names, pretrained.normalization_schemes
    found = {weights[name].shape[1] for name in target.input_names if name in weights and weights[name].ndim > 1}
    numbers = (found or {len(names)}) | {len(schemes)}
    if numbers != {len(names)}:
        inputs = " and ".join(str(number) for number in sorted(found))
        raise UserError(
            f"{source} has a network with {inputs} input channel(s), which cannot be {', '.join(names)}; name its "
            "channels in their order, for example with --channels PET."
        )


def _refuse(source: Path, target: Target, wrong: Sequence[str], reasons: Sequence[str], *, force: bool) -> None:
    about = target.provenance
    where = f"the plans {about.plans_name} of {about.dataset_name}"
    remedy = (
        "plan the dataset as the weights were pretrained (as published: muduo plan -d ID --preset petct_mae) and name "
        "those plans with -p"
    )
    if wrong:
        listed = "".join(f"\n  {phrase}" for phrase in [*wrong, *reasons])
        raise UserError(
            f"{source} does not fit the network of {target.trainer} with {where}; {remedy}, or use another checkpoint. "
            f"What differs:{listed}"
        )
    if reasons and not force:
        listed = "".join(f"\n  {reason}" for reason in reasons)
        raise UserError(
            f"{source} was pretrained otherwise than {where} will train; {remedy}, or take it all the same with "
            f"--force. What differs:{listed}"
        )


def _rearranged(pretrained: Provenance, target: Provenance, sources: Sequence[int | None]) -> Provenance:
    """The pretrained network's provenance with the new order of channels."""
    schemes = [NOT_PRETRAINED if source is None else pretrained.normalization_schemes[source] for source in sources]
    masks = pretrained.use_mask_for_norm and [
        source is not None and pretrained.use_mask_for_norm[source] for source in sources
    ]
    foreground = pretrained.foreground and [
        (0.0,) * 4 if source is None else pretrained.foreground[source] for source in sources
    ]
    return replace(
        pretrained,
        channel_names=target.channel_names,
        normalization_schemes=tuple(schemes),
        use_mask_for_norm=tuple(masks),
        foreground=tuple(foreground),
    )


def _entry(
    about: Provenance,
    pretrained: Provenance,
    target: Target,
    *,
    source: Path,
    reasons: Sequence[str],
    checkpoint: Mapping[str, Any],
) -> dict[str, Any]:
    """Everything a later reader may ask, in plain values."""
    entries = (checkpoint.get(key) for key in ("init_args", PROVENANCE_KEY))
    init_args, earlier = (entry if isinstance(entry, Mapping) else {} for entry in entries)
    return {
        **earlier,
        **about.to_dict(),
        "pretrained_channel_names": list(pretrained.channel_names),
        "plans": init_args.get("plans", earlier.get("plans")),
        "file": source.name,
        "sha256": sha256_of(source),
        "forced": list(reasons),
        "fits": {
            "dataset_name": target.provenance.dataset_name,
            "plans_name": target.provenance.plans_name,
            "configuration": target.provenance.configuration,
            "trainer": target.trainer,
        },
    }


def _tell(imported: ImportedWeights, pretrained: Provenance, sha256: str, log: Callable[[str], object]) -> None:
    about = imported.provenance
    log(f"Pretrained by: {about.source or 'unknown'} (sha256 {sha256[:12]})")
    for channel, (name, source) in enumerate(zip(about.channel_names, imported.sources, strict=True)):
        origin = "zeros: not pretrained" if source is None else f"pretrained channel {source}"
        log(f"Input channel {channel} ({name}): {origin}")
    for channel, taught in enumerate(pretrained.taught_channels):
        if taught is not None and channel not in imported.sources:
            log(f"Left out: pretrained channel {channel} ({taught}), as if it were masked")
    for reason in imported.forced:
        log(f"WARNING: taken all the same: {reason}")
    for caution in cautions(pretrained, imported.target.provenance):
        log(f"WARNING: {caution}")
    log(f"Written: {imported.path}")
