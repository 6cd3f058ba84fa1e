"""The two streams of patches of a pretraining: to learn from, and the same held-out ones in every epoch."""

from dataclasses import dataclass, replace
from functools import partial

from nnunetv2.utilities.default_n_proc_DA import get_allowed_n_proc_DA

from nnunetv2_muduo.mae_settings import MAESettings
from nnunetv2_muduo.mae_training.cases import CaseSplit
from nnunetv2_muduo.mae_training.patches import PatchSpecification, PretrainingPatches, Stream, start_stream

VALIDATION_SEED = 0  # whatever the seed of a run, so that the validation losses of runs can be compared
TRAINING_STREAM, VALIDATION_STREAM = 0, 1


@dataclass(frozen=True)
class Streams:
    """What the patches of a process are drawn from.

    Attributes:
        cases: to learn from and held out.
        batch_size: patches a batch of this process.
        specification: of plain patches, without zoom.
        settings: of the pretraining.
        seed, rank: of the run and of this process.
        pin_memory: for training on CUDA.
    """

    cases: CaseSplit
    batch_size: int
    specification: PatchSpecification
    settings: MAESettings
    seed: int
    rank: int
    pin_memory: bool

    def start_training(self, *, first: int) -> Stream:
        """Zoomed patches from batch `first` on."""
        settings = self.settings
        zoomed = replace(self.specification, zoom=settings.zoom, zoom_probability=settings.zoom_probability)
        patches = partial(
            PretrainingPatches,
            self.cases.training,
            self.batch_size,
            specification=zoomed,
            seed=(self.seed, self.rank, TRAINING_STREAM),
            first=first,
        )
        return self._start(patches, get_allowed_n_proc_DA())

    def start_validation(self) -> Stream:
        """As many batches as an epoch has, again and again."""
        patches = partial(
            PretrainingPatches,
            self.cases.held_out,
            self.batch_size,
            specification=self.specification,
            seed=(VALIDATION_SEED, self.rank, VALIDATION_STREAM),
            cycle=self.settings.val_iterations_per_epoch,
        )
        return self._start(patches, (get_allowed_n_proc_DA() + 1) // 2)

    def _start(self, patches: partial, workers: int) -> Stream:
        return start_stream(lambda number: patches(workers=number), workers=workers, pin_memory=self.pin_memory)
