"""The teacher cache of a trainer: where it lies, and who computes it when several processes train."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from nnunetv2.training.dataloading.nnunet_dataset import nnUNetDatasetBlosc2

from nnunetv2_muduo.cases.preprocessed import preprocessed_cases
from nnunetv2_muduo.errors import UserError
from nnunetv2_muduo.semisupervised.loading import UnlabelledDataLoader
from nnunetv2_muduo.semisupervised.teaching import Teaching
from nnunetv2_muduo.teacher_cache.building import build_teacher_cache, remove_other_cases
from nnunetv2_muduo.teacher_cache.state import caches_of
from nnunetv2_muduo.training.processes import processes_of

if TYPE_CHECKING:
    from nnunetv2_muduo.semisupervised.trainer import SemiSupervisedTrainer


def cache_folder_of(trainer: "SemiSupervisedTrainer") -> Path:
    """A folder for each folder of results, as the prompt generator is one of each fold: trainings never share one."""
    output = Path(trainer.output_folder)
    return caches_of(trainer.unlabelled_scans.folder) / output.parent.name / output.name


@contextmanager
def _disk_is_told_of(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise UserError(
            f"The teacher cache {folder} cannot be written ({error.strerror or error}); free some space, set a lower "
            "cache_tiles, or set teacher_cache=false (muduo plan), and run again: finished cases are kept."
        ) from error


def prepare_teacher_cache(trainer: "SemiSupervisedTrainer", teaching: Teaching) -> Path:
    """Bring the trainer's cache up to date and return its folder; several processes share the cases among them."""
    folder, scans = cache_folder_of(trainer), trainer.unlabelled_scans
    with processes_of(trainer) as processes, _disk_is_told_of(folder):
        # more than those to train with where a scan is a link that leads nowhere today
        processes.first_does(lambda: remove_other_cases(folder, preprocessed_cases(scans.folder)))
        build_teacher_cache(
            teaching,
            UnlabelledDataLoader(
                nnUNetDatasetBlosc2(str(scans.folder), list(scans.identifiers)),
                1,
                patch_size=trainer.configuration_manager.patch_size,
                raw_padding=trainer.raw_padding,
            ),
            scans_folder=scans.folder,
            cache_folder=folder,
            organs=len(trainer.organs),
            share=(processes.rank, processes.number),
            log=trainer.print_to_log_file,
            progress=processes.rank == 0,
        )
        processes.wait_for_all()
    return folder
