"""What all our trainers share: plans["muduo"] sets length, seed, optimiser and mirroring; checkpoints are whole."""

from pathlib import Path
from typing import Any

import torch
from nnunetv2.training.dataloading.nnunet_dataset import nnUNetDatasetBlosc2
from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer
from nnunetv2.training.nnUNetTrainer.variants.optimizer.nnUNetTrainerAdam import nnUNetTrainerAdam
from nnunetv2.utilities.plans_handling.plans_handler import ConfigurationManager

from nnunetv2_muduo.cases.folds import prepare_folds, problem_of
from nnunetv2_muduo.cases.preprocessed import preprocessed_cases, refuse_cut_short, refuse_unpreprocessed
from nnunetv2_muduo.checkpoint_files import (
    refuse_damaged,
    refusing_damaged_entries,
    save_with,
    writing_checkpoint,
)
from nnunetv2_muduo.errors import UserError
from nnunetv2_muduo.files import clear_away_left_behind, replacing
from nnunetv2_muduo.nnunet_files import SPLITS
from nnunetv2_muduo.package_versions import installed_version
from nnunetv2_muduo.settings import Settings
from nnunetv2_muduo.training.ignored_settings import OF_AN_AVERAGE, set_in_vain
from nnunetv2_muduo.training.lean_export import LeanConfiguration
from nnunetv2_muduo.training.mistakes import answer_in_one_sentence
from nnunetv2_muduo.training.processes import refuse_unconnected_processes
from nnunetv2_muduo.training.run_length import (
    SCHEDULE,
    changed_settings,
    other_optimizer,
    refuse_changed_schedule,
    set_run_length,
)
from nnunetv2_muduo.training.same_data import ENTRY, refuse_known_cases, refuse_other_data
from nnunetv2_muduo.training.seeding import Stream, stream_seed
from nnunetv2_muduo.training.workers import refuse_folder_without_sockets, start_nnunets_loaders

ADAMW_LEARNING_RATE = 1e-3  # nnU-Net's 0.01 is meant for its SGD


class ConfiguredTrainer(nnUNetTrainer):
    """Stock nnU-Net training, as long, with the optimiser and mirrored or not as plans["muduo"] asks for."""

    configuration_manager: ConfigurationManager
    asks_for_an_average: tuple[str, ...] = OF_AN_AVERAGE  # told as meaning nothing, since stock training keeps none
    schedule: tuple[str, ...] = SCHEDULE  # settings that must not change while a training is interrupted
    trained_on: frozenset[str] = frozenset()  # cases, also of the training that a checkpoint comes from

    def __init__(
        self,
        plans: dict,
        configuration: str,
        fold: int | str,
        dataset_json: dict,
        device: torch.device = torch.device("cuda"),  # noqa: B008  (nnU-Net's signature)
    ) -> None:
        answer_in_one_sentence()
        settings = Settings.from_plans(plans)  # first: a wrong setting is refused before anything is written
        refuse_unconnected_processes()
        self.continues = plans.get("continue_training", False)  # nnU-Net takes it out
        super().__init__(plans, configuration, fold, dataset_json, device)
        self.settings = settings
        self.muduo_version, self.nnunet_version = map(installed_version, ("nnunetv2-muduo", "nnunetv2"))  # debug.json
        set_run_length(self, settings, epochs=self.epochs_asked_for())
        if settings.optimizer == "adamw":
            self.initial_lr = ADAMW_LEARNING_RATE
        if settings.initial_lr is not None:
            self.initial_lr = settings.initial_lr

    def epochs_asked_for(self) -> int | None:
        """How long this trainer runs; None leaves it at nnU-Net's own number."""
        return self.settings.num_epochs

    def configure_optimizers(self):
        if self.settings.optimizer == "adamw":
            return nnUNetTrainerAdam.configure_optimizers(self)
        return super().configure_optimizers()

    def configure_rotation_dummyDA_mirroring_and_inital_patch_size(self):  # noqa: N802  (nnU-Net's name)
        rotation, dummy_2d, initial_patch_size, mirror_axes = (
            super().configure_rotation_dummyDA_mirroring_and_inital_patch_size()
        )
        if not self.settings.mirroring:
            mirror_axes = self.inference_allowed_mirroring_axes = None
        return rotation, dummy_2d, initial_patch_size, mirror_axes

    def seed_of_epoch(self, stream: Stream) -> int | None:
        """For what this process draws from the current epoch on, so that a resumed training repeats nothing."""
        return stream_seed(self.settings.seed, rank=self.local_rank, epoch=self.current_epoch, stream=stream)

    def initialize(self) -> None:
        refuse_unpreprocessed(Path(self.preprocessed_dataset_folder))
        super().initialize()

    def do_split(self):
        if self.fold != "all":
            folder = Path(self.preprocessed_dataset_folder_base)
            if told := prepare_folds(folder, self._preprocessed_cases()):
                self.print_to_log_file(told)
        training, validation = super().do_split()
        refuse_known_cases(self.trained_on.difference(training), validation)
        return training, validation

    def get_tr_and_val_datasets(self):
        training, validation = super().get_tr_and_val_datasets()
        fold = {"train": training.identifiers, "val": validation.identifiers}
        if problem := problem_of(fold, self._preprocessed_cases()):
            file = Path(self.preprocessed_dataset_folder_base, SPLITS)
            raise UserError(f"Fold {self.fold} of {file} {'; '.join(problem)}.")
        self.trained_on |= {*training.identifiers}
        if isinstance(training, nnUNetDatasetBlosc2):  # or a worker would die of it, hours from now
            refuse_cut_short(Path(training.source_folder), {*training.identifiers, *validation.identifiers})
        return training, validation

    def _preprocessed_cases(self) -> list[str]:
        return preprocessed_cases(Path(self.preprocessed_dataset_folder))

    def get_dataloaders(self):
        return start_nnunets_loaders(
            super().get_dataloaders,
            seeds=(self.seed_of_epoch(Stream.LABELLED), self.seed_of_epoch(Stream.VALIDATION)),
            pin_memory=self.device.type == "cuda",
        )

    def perform_actual_validation(self, save_probabilities: bool = False) -> None:
        """nnU-Net's, with masks written in less memory, and for those next stages that are preprocessed."""
        plain = self.configuration_manager
        self.configuration_manager = LeanConfiguration(
            plain.configuration | {"next_stage": self._next_stages() or None}
        )
        try:
            super().perform_actual_validation(save_probabilities)
        finally:
            self.configuration_manager = plain

    def _next_stages(self) -> list[str]:
        """Those planned, without any that is not preprocessed: nnU-Net's validation would end at the missing folder."""
        stages = []
        for stage in self.configuration_manager.next_stage_names or ():
            identifier = self.plans_manager.get_configuration(stage).data_identifier
            if Path(self.preprocessed_dataset_folder_base, identifier).is_dir():
                stages.append(stage)
            else:
                self.print_to_log_file(f"Nothing is predicted for the next stage {stage}, which is not preprocessed.")
        return stages

    def checkpoint_entries(self) -> dict[str, Any]:
        """What is added to nnU-Net's checkpoints: tensors and plain values."""
        return {ENTRY: sorted(map(str, self.trained_on))} if self.trained_on else {}

    def on_train_start(self) -> None:
        refuse_folder_without_sockets()  # without workers, too: nnU-Net's validation hands masks over in the same way
        if self.local_rank == 0:  # no other training works in this folder
            clear_away_left_behind(Path(self.output_folder), all_of_them=True)
        if vain := set_in_vain(self.plans_manager.plans, self.asks_for_an_average):
            self.print_to_log_file(
                f"Settings that mean nothing to {type(self).__name__}, which keeps no average of its weights: "
                f"{', '.join(vain)}"
            )
        super().on_train_start()

    def save_checkpoint(self, filename: str) -> None:
        """Under another name first: a kill while writing leaves the checkpoint before.

        Raises:
            UserError: where the disk is full or must not be written to.
        """
        if self.local_rank > 0 or self.disable_checkpointing:
            super().save_checkpoint(filename)
            return
        path, entries = Path(filename), self.checkpoint_entries()
        with writing_checkpoint(path):
            if entries:
                save_with(entries, super().save_checkpoint, path)
                return
            with replacing(path) as partial:
                super().save_checkpoint(str(partial))

    def load_checkpoint(self, filename_or_checkpoint) -> None:
        if isinstance(filename_or_checkpoint, str):
            refuse_damaged(Path(filename_or_checkpoint))
        try:
            super().load_checkpoint(filename_or_checkpoint)
        except KeyError:  # among others the state of another optimiser, which comes after the network
            if not other_optimizer(self.my_init_kwargs["plans"], self.plans_manager.plans):
                raise
        except RuntimeError as error:
            if "state_dict" not in str(error):  # torch's, where the network's tensors have other names or shapes
                raise
            raise UserError(
                f"Cannot go on with {filename_or_checkpoint}: its network is another than that of the plans, as after "
                "planning anew; repeat the muduo plan of then, or put back the plans it began with "
                f"({self.output_folder_base}/plans.json), or train anew without --c."
            ) from error
        if self.continues:
            begun, now = self.my_init_kwargs["plans"], self.plans_manager.plans
            refuse_changed_schedule(begun, now, self.schedule)
            if changed := changed_settings(begun, now):
                self.print_to_log_file(f"WARNING: settings changed since this training began: {', '.join(changed)}")
        refuse_other_data(
            self.my_init_kwargs,
            plans=self.plans_manager.plans,
            configuration=self.configuration_name,
            dataset_json=self.dataset_json,
        )
        checkpoint = torch.load(filename_or_checkpoint, map_location="cpu", weights_only=False, mmap=True)
        with refusing_damaged_entries(Path(filename_or_checkpoint)):
            self.restore_entries(checkpoint)
        if self.trained_on:
            self.do_split()  # refuses another one now, not hours from now

    def restore_entries(self, checkpoint: dict[str, Any]) -> None:
        """Take back what `checkpoint_entries` added, when nnU-Net's own entries are loaded; raises what it likes."""
        cases = checkpoint.get(ENTRY) or []
        if not (isinstance(cases, list) and all(isinstance(case, str) for case in cases)):
            raise TypeError(f"{ENTRY} holds no names")
        self.trained_on = frozenset(cases)
