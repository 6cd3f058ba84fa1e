"""Patches for pretraining: a batch is a function of seed and number, so that a resumed training gets the same ones."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import numpy as np
import torch
from batchgenerators.dataloading.multi_threaded_augmenter import MultiThreadedAugmenter
from batchgenerators.dataloading.single_threaded_augmenter import SingleThreadedAugmenter
from nnunetv2.training.dataloading.nnunet_dataset import infer_dataset_class, nnUNetBaseDataset
from numpy.typing import NDArray
from torch import Tensor

from nnunetv2_muduo.cases.freshness import BODY_LOCATIONS_KEY
from nnunetv2_muduo.cases.preprocessed import case_files
from nnunetv2_muduo.datasets.orientation import axial_axis, orientation_of
from nnunetv2_muduo.mae_training.body_of_normalised import body_locations
from nnunetv2_muduo.mae_training.cases import PretrainingCase
from nnunetv2_muduo.pretraining import size_before_zoom, zoomed
from nnunetv2_muduo.semisupervised.loading import crop_and_place, read_region
from nnunetv2_muduo.training.workers import refuse_folder_without_sockets


@dataclass(frozen=True)
class PatchSpecification:
    """What a patch looks like.

    Attributes:
        patch_size: (Z, Y, X) voxels.
        spacing_in_mm: (z, y, x) of the preprocessed cases.
        ct_channel: where the body is looked for in labelled cases.
        axes: which of a scan's axes (z, y, x) each axis of its array is: `transpose_forward` of nnU-Net's plans.
        zoom: smallest and largest factor of the zoom augmentation.
        zoom_probability: share of the patches that are zoomed.
    """

    patch_size: tuple[int, ...]
    spacing_in_mm: tuple[float, ...]
    ct_channel: int
    axes: tuple[int, ...] = (0, 1, 2)
    zoom: tuple[float, ...] = (1.0, 1.0)
    zoom_probability: float = 0.0


class PretrainingPatches:
    """Endless batches of patches around random voxels of the body, {"data": [B, C, Z, Y, X] float32, "keys": names}.

    Batch `number` is the same in every run and in whichever process it is made. Worker i of n makes every n-th batch,
    beginning with the i-th, which batchgenerators' MultiThreadedAugmenter puts in order again. Outside a scan
    is 0, as nnU-Net pads. The labels of labelled cases are not read.

    Args:
        cases: preprocessed.
        batch_size: patches a batch, of different cases where there are enough.
        specification: of the patches.
        seed: numbers that name the stream, such as a seed and the rank of the process.
        first: number of the first batch.
        cycle: the stream begins anew after so many batches; None: never.
        workers: how many processes share the stream.
    """

    def __init__(
        self,
        cases: Sequence[PretrainingCase],
        batch_size: int,
        *,
        specification: PatchSpecification,
        seed: Sequence[int],
        first: int = 0,
        cycle: int | None = None,
        workers: int = 1,
    ) -> None:
        self.cases = tuple(cases)
        self.batch_size = batch_size
        self.specification = specification
        self.seed = tuple(seed)
        self.first, self.cycle, self.workers = first, cycle, workers
        self._next = first
        self._step = 1
        self._readers: dict[Path, nnUNetBaseDataset] = {}
        self._bodies: dict[str, NDArray[np.int32]] = {}

    def set_thread_id(self, thread_id: int) -> None:
        """Called in each worker, which starts with a copy of this loader."""
        torch.set_num_threads(1)  # one worker a core; and a fork cannot use its parent's threads
        self._next, self._step = self.first + thread_id, self.workers

    def __iter__(self) -> "PretrainingPatches":
        return self

    def __next__(self) -> dict:
        number = self._next
        self._next += self._step
        return self.batch(number if self.cycle is None else number % self.cycle)

    def batch(self, number: int) -> dict:
        """The batch of this number."""
        generator = np.random.default_rng([*self.seed, number])
        too_few = len(self.cases) < self.batch_size
        chosen = generator.choice(len(self.cases), size=self.batch_size, replace=too_few)
        cases = [self.cases[index] for index in chosen]
        with torch.no_grad():
            data = torch.stack([self._patch(case, generator) for case in cases])
        return {"data": data, "keys": [case.name for case in cases]}

    def _patch(self, case: PretrainingCase, generator: np.random.Generator) -> Tensor:
        wanted = self.specification
        image, _, _, properties = self._reader(case.folder).load_case(case.name)
        centre = generator.choice(self._body(case, image, properties))
        smallest, largest = wanted.zoom
        factor = generator.uniform(smallest, largest) if generator.random() < wanted.zoom_probability else 1.0
        size = size_before_zoom(wanted.patch_size, factor)
        source, destination = crop_and_place(centre, image.shape[1:], size)
        region = np.zeros((len(image), *size), dtype=np.float32)
        region[destination] = read_region(image, source, _image_file(case))
        return zoomed(torch.from_numpy(region), wanted.patch_size)

    def _reader(self, folder: Path) -> nnUNetBaseDataset:
        if folder not in self._readers:
            self._readers[folder] = infer_dataset_class(str(folder))(str(folder), [])
        return self._readers[folder]

    def _body(self, case: PretrainingCase, image: NDArray, properties: dict) -> NDArray[np.int32]:
        """[n, 3] voxels: stored with an unlabelled case, found once in each process for a labelled one."""
        if BODY_LOCATIONS_KEY in properties:
            return properties[BODY_LOCATIONS_KEY]
        if case.name not in self._bodies:
            self._bodies[case.name] = body_locations(
                read_region(image, (self.specification.ct_channel,), _image_file(case)),
                spacing_in_mm=self.specification.spacing_in_mm,
                name=case.name,
                axial_axis=axial_axis(orientation_of(properties), self.specification.axes),
            )
        return self._bodies[case.name]


def _image_file(case: PretrainingCase) -> Path:
    return case_files(case.folder, case.name)[-1]


Stream: TypeAlias = SingleThreadedAugmenter | MultiThreadedAugmenter


def start_stream(make: Callable[[int], PretrainingPatches], *, workers: int, pin_memory: bool) -> Stream:
    """A loader at work, in this process (0 workers) or in workers; in order either way.

    Args:
        make: makes the loader for a number of workers.
        workers: processes.
        pin_memory: for training on CUDA.
    """
    if workers == 0:
        return SingleThreadedAugmenter(make(1), None)
    refuse_folder_without_sockets()
    return MultiThreadedAugmenter(
        make(workers), None, workers, num_cached_per_queue=2, pin_memory=pin_memory, wait_time=0.002
    )
