"""What `muduo export` does: a trained model as a plain nnU-Net model, for those who do not have this package."""

import json
import shutil
import zipfile
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer
from nnunetv2.utilities.label_handling.label_handling import determine_num_input_channels
from nnunetv2.utilities.plans_handling.plans_handler import PlansManager

from nnunetv2_muduo.checkpoint_files import NUMPY_NUMBERS, are_weights, not_finite, other_kinds, read_checkpoint
from nnunetv2_muduo.errors import UserError
from nnunetv2_muduo.files import clear_away_left_behind, replacing, replacing_folder, take_back, write_text
from nnunetv2_muduo.mae_training.checkpoints import STATE_KEY as PRETRAINING_STATE_KEY
from nnunetv2_muduo.nnunet_files import read_dataset_json, read_plans_file
from nnunetv2_muduo.nnunet_folders import find_dataset, nnunet_folder
from nnunetv2_muduo.plain_configuration import naming_bad_plans

PLAIN_TRAINER = "nnUNetTrainer"
_ORIGIN = "exported_from.json"
# what nnU-Net's predictor and -pretrained_weights read; optimiser, curves and our own state stay behind
_CHECKPOINT_ENTRIES = ("network_weights", "init_args", "inference_allowed_mirroring_axes", "current_epoch")
_FOLD_FILES = ("progress.png", "validation/summary.json")
_POSTPROCESSING_FILES = ("summary.json", "postprocessing.json", "postprocessing.pkl")


@dataclass(frozen=True)
class ExportedModel:
    """A plain nnU-Net model.

    Attributes:
        folder: the model folder, `.../DatasetXXX_NAME/nnUNetTrainer__PLANS__CONFIGURATION`; the folder two above can
            serve as nnUNet_results.
        zip_file: the same for `nnUNetv2_install_pretrained_model_from_zip`, or None.
        folds: "0" to "4" or "all".
        checkpoint: file name of the checkpoints.
    """

    folder: Path
    zip_file: Path | None
    folds: tuple[str, ...]
    checkpoint: str

    def predict_command(self) -> str:
        """The stock command that predicts with the folder."""
        folds = " ".join(self.folds)
        return f'nnUNetv2_predict_from_modelfolder -m "{self.folder}" -f {folds} -chk {self.checkpoint} -i IN -o OUT'


def export_model(
    dataset: str | int,
    *,
    output: Path,
    trainer: str = "nnUNetTrainerMuDuo",
    plans_name: str = "nnUNetPlans",
    configuration: str = "3d_fullres",
    folds: Iterable[str | int] | None = None,
    checkpoint: str = "checkpoint_final.pth",
    make_zip: bool = True,
    overwrite: bool = False,
    log: Callable[[str], None] = print,
) -> ExportedModel:
    """Copy a trained model out of nnUNet_results such that nnU-Net without this package predicts with it.

    Checkpoints name nnU-Net's own trainer and hold what prediction and fine-tuning (-pretrained_weights) need; training
    cannot be continued from them. Plans lose the settings of this package, which are kept in `exported_from.json`.

    Args:
        dataset: name, such as Dataset221_AutoPET, or number.
        output: folder to write to; made if missing.
        trainer: class name the model was trained with, one that leaves nnU-Net's network as planned.
        plans_name: of the plans it was trained with.
        configuration: of those plans.
        folds: 0 to 4 or "all"; None: every fold that has the checkpoint.
        checkpoint: file name of the checkpoints, such as checkpoint_best.pth.
        make_zip: whether to write a zip file as well.
        overwrite: whether an earlier export to the same place is replaced.
        log: is told what is done.

    Raises:
        UserError: when there is no such model, fold or checkpoint, when its network is not the planned one or does not
            segment, or when `output` holds this model already.
        OSError: naming the model folder or the zip file, where there is no room for it.
    """
    dataset_name = find_dataset(str(dataset))
    source = _source_folder(nnunet_folder("nnUNet_results") / dataset_name, trainer, f"{plans_name}__{configuration}")
    chosen = _folds(source, folds, checkpoint)
    target = output / dataset_name / f"{PLAIN_TRAINER}__{plans_name}__{configuration}"
    clear_away_left_behind(output, target.parent)
    take_back(target)
    _refuse_existing(target, overwrite)
    with replacing_folder(target) as partial:
        _write_model(source, partial, folds=chosen, checkpoint=checkpoint, trainer=trainer, log=log)
    log(f"Model folder: {target}")
    zip_file = output / f"{dataset_name}__{target.name}.zip"
    if make_zip:
        _zip(target, zip_file)
        log(f"Zip file: {zip_file}")
    elif zip_file.exists():
        log(f"The zip file {zip_file} holds an earlier export, not this one; delete it, or export with --zip.")
    return ExportedModel(target, zip_file if make_zip else None, chosen, checkpoint)


def _source_folder(results: Path, trainer: str, suffix: str) -> Path:
    if trainer == PLAIN_TRAINER:
        raise UserError(f"{PLAIN_TRAINER} is nnU-Net's own; export it with nnUNetv2_export_model_to_zip.")
    source = results / f"{trainer}__{suffix}"
    if not source.is_dir():
        present = ", ".join(sorted(path.name for path in results.glob("*__*__*"))) or "none"
        raise UserError(f"There is no trained model {source}; trained models of this dataset: {present}.")
    return source


def _folds(source: Path, folds: Iterable[str | int] | None, checkpoint: str) -> tuple[str, ...]:
    """The folds to export, each of which has the checkpoint."""
    ready = [path.parent.name.removeprefix("fold_") for path in sorted(source.glob(f"fold_*/{checkpoint}"))]
    chosen = ready if folds is None else [str(fold) for fold in folds]
    missing = [fold for fold in chosen if fold not in ready]
    if missing or not chosen:
        present = sorted(str(path.relative_to(source)) for path in source.glob("fold_*/checkpoint_*.pth"))
        raise UserError(
            f"{source} has no {checkpoint} for fold {', '.join(missing) or 'any'}; there are: "
            f"{', '.join(present) or 'none'}. Finish the training, or name another checkpoint."
        )
    return tuple(chosen)


def _refuse_existing(target: Path, overwrite: bool) -> None:
    if not target.exists():
        return
    if not (target / _ORIGIN).is_file():
        raise UserError(f"{target} exists and is no earlier export, so it stays; give another output folder.")
    if not overwrite:
        raise UserError(f"{target} exists already; give another output folder, or ask for it to be overwritten.")


def _write_model(
    source: Path, target: Path, *, folds: tuple[str, ...], checkpoint: str, trainer: str, log: Callable[[str], None]
) -> None:
    """Write the whole model folder."""
    plans, dataset_json = (
        read_plans_file(source / "plans.json"),
        read_dataset_json(source / "dataset.json", needs=("labels",)),
    )
    settings = plans.pop("muduo", {})
    target.mkdir()
    for fold in folds:
        log(f"Fold {fold}: {checkpoint}")
        content = _read_checkpoint(source / f"fold_{fold}" / checkpoint)
        _check_network(content, source / f"fold_{fold}" / checkpoint, plans, dataset_json, trainer)
        _copy([f"fold_{fold}/{name}" for name in _FOLD_FILES], source, target)
        (target / f"fold_{fold}").mkdir(exist_ok=True)
        with replacing(target / f"fold_{fold}" / checkpoint) as partial:
            torch.save(_plain_checkpoint(content), partial)
    results = f"crossval_results_folds_{'_'.join(folds)}"
    _copy(["dataset_fingerprint.json", *(f"{results}/{name}" for name in _POSTPROCESSING_FILES)], source, target)
    origin = {"trainer": trainer, "nnunetv2-muduo": version("nnunetv2-muduo"), "muduo": settings}
    for name, table in (("plans", plans), ("dataset", dataset_json), (Path(_ORIGIN).stem, origin)):
        write_text(target / f"{name}.json", json.dumps(table, indent=4) + "\n")


def _read_checkpoint(path: Path) -> dict[str, Any]:
    content = read_checkpoint(path, allowed=NUMPY_NUMBERS)
    weights, arguments = content.get("network_weights"), content.get("init_args")
    if not are_weights(weights):
        raise UserError(f"{path} holds no network_weights, so it is no checkpoint of nnU-Net's; train again.")
    if not isinstance(arguments, Mapping) or not isinstance(arguments.get("configuration"), str):
        raise UserError(f"{path} does not say in init_args which configuration it is of; train again.")
    if not isinstance(arguments.get("plans", {}), Mapping):
        raise UserError(f"{path} holds plans in init_args that are no table; train again.")
    return content


def _check_network(checkpoint: Mapping[str, Any], path: Path, plans: dict, dataset_json: dict, trainer: str) -> None:
    """Refuse weights that the network stock nnU-Net builds from the plans would not take, or that do not segment."""
    if PRETRAINING_STATE_KEY in checkpoint:  # with as many labels as channels all shapes would fit
        raise UserError(
            f"{trainer} reconstructs images and segments nothing, so there is no model to export; use its checkpoint "
            "with -pretrained_weights, and export what is trained from it."
        )
    name = checkpoint["init_args"]["configuration"]
    if name not in plans["configurations"]:
        raise UserError(f"{path} is of the configuration '{name[:60]}', which plans.json does not have; train again.")
    with naming_bad_plans(plans, name), torch.device("meta"):  # shapes only: no memory, no initialisation
        plans_manager = PlansManager(plans)
        configuration = plans_manager.get_configuration(name)
        planned = nnUNetTrainer.build_network_architecture(
            plans_manager,
            configuration,
            determine_num_input_channels(plans_manager, configuration, dataset_json),
            plans_manager.get_label_manager(dataset_json).num_segmentation_heads,
            enable_deep_supervision=False,
        ).state_dict()
    given = checkpoint["network_weights"]
    for name in [*planned, *given]:
        shapes = [tuple(weights[name].shape) if name in weights else "missing" for weights in (planned, given)]
        if shapes[0] != shapes[1]:
            raise UserError(
                f"{path} holds another network than the plans' ({name}: planned {shapes[0]}, trained {shapes[1]}), "
                f"which nnU-Net alone cannot build; predict with nnUNetv2_predict -tr {trainer} instead."
            )
    if odd := other_kinds(planned, given):
        raise UserError(f"{path} holds {odd[0]}, which nnU-Net would convert without a word; train again.")
    if broken := not_finite(given):
        raise UserError(f"{path} holds NaN or infinity in {broken[0]}: its training diverged; name another checkpoint.")


def _plain_checkpoint(checkpoint: Mapping[str, Any]) -> dict[str, Any]:
    plain = {key: checkpoint[key] for key in _CHECKPOINT_ENTRIES if key in checkpoint}
    init_args = dict(plain["init_args"])
    init_args["plans"] = {key: value for key, value in init_args.get("plans", {}).items() if key != "muduo"}
    return plain | {"init_args": init_args, "trainer_name": PLAIN_TRAINER}


def _copy(names: Iterable[str], source: Path, target: Path) -> None:
    """Copy those of the files that exist."""
    for name in names:
        if (source / name).is_file():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source / name, target / name)


def _zip(folder: Path, path: Path) -> None:
    """Zip a model folder with its dataset's name above it, as nnUNetv2_install_pretrained_model_from_zip unpacks it."""
    with replacing(path) as partial, zipfile.ZipFile(partial, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for file in sorted(folder.rglob("*")):
            if file.is_file():
                archive.write(file, file.relative_to(folder.parents[1]))
