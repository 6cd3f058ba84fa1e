"""What a training holds in the host's memory while it loads patches, from the patches' sizes alone.

Counted is what a machine must have: every page of the main process and of its workers once, however many of them share
it (the sum of their proportional set sizes), and finished batches, which lie in shared memory that at times no
process maps. Each sum follows the arrays that nnU-Net 2.8, batchgenerators 0.25 and batchgeneratorsv2 hold at the same
time where they hold most; workers are taken to be there all at once. `benchmarks/memory.py` compares it with real
trainings on the CPU. On CUDA the context's share is an assumption, and torch.compile's own processes are not counted.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from nnunetv2_muduo.memory.kept_places import GIVEN_BACK_ABOVE

MIB = 1024**2
TRAINING_LIBRARIES = 1100 * MIB  # measured: a training on patches of 16 cubed, of which 450 are files that are mapped
WORKER_LIBRARIES = 20 * MIB  # measured: pages of the libraries that such a training's worker came to own
CUDA_CONTEXT = 512 * MIB  # of the host, an assumption
_FLOAT32, _INT16 = 4, 2


@dataclass(frozen=True)
class LoadedPatches:
    """What the loaders make, and what they make it from.

    Attributes:
        patch: (Z, Y, X) that the network sees.
        initial_patch: (Z, Y, X) that is cut out of a labelled scan, enlarged for rotation.
        scan: (Z, Y, X) of the largest scan, preprocessed; what a patch has beyond is padding.
        channels: of the image.
        batch: labelled patches of a step.
        unlabelled_batch: unlabelled patches of a step; 0: no loader of these.
        target_voxels: of one patch's target, at all scales of deep supervision together.
    """

    patch: tuple[int, ...]
    initial_patch: tuple[int, ...]
    scan: tuple[int, ...]
    channels: int
    batch: int
    unlabelled_batch: int
    target_voxels: int

    @property
    def image(self) -> int:
        """Bytes of one patch's image, [C, Z, Y, X] float32."""
        return _FLOAT32 * self.channels * math.prod(self.patch)

    @property
    def target(self) -> int:
        """Bytes of one patch's target, int16."""
        return _INT16 * self.target_voxels

    @property
    def labelled_batch(self) -> tuple[int, int]:
        """Bytes of a finished batch's images and targets."""
        return self.batch * self.image, self.batch * self.target

    @property
    def finished_unlabelled_batch(self) -> tuple[int, int, int]:
        """Bytes of a finished batch's student's views, clean and raw patches."""
        return (self.unlabelled_batch * self.image,) * 3


@dataclass(frozen=True)
class WorkerBytes:
    """Private memory of one worker beside its libraries.

    Attributes:
        held: the most that arrays take at the same time.
        kept: with a place of its own for every array that a batch is made of, unless it is above 32 MiB. Smaller ones
            come from glibc's heap, where they stay when they are freed, and a hole that one leaves may be too small for
            the next: an estimate, where `held` is a sum.
    """

    held: int
    kept: int


@dataclass(frozen=True)
class TrainingBytes:
    """A training on the host, in bytes.

    Attributes:
        main: libraries; on CUDA with the context, else with steps and what workers keep of a training before, if known.
        batches: finished ones, in queues and in use.
        workers: private memory of all, libraries' pages included.
    """

    main: int
    batches: int
    workers: int

    @property
    def total(self) -> int:
        """Everything together."""
        return self.main + self.batches + self.workers


@dataclass(frozen=True)
class CpuSteps:
    """What steps on the CPU take of the host, in bytes.

    Attributes:
        step: in the main process, its batch left out.
        kept_when_forked: what glibc's heap keeps of a training that came before in the same process. It is there when
            workers are forked; the main process writes over it and has copies, and the old pages stay with all workers.
    """

    step: int = 0
    kept_when_forked: int = 0


def training_bytes(
    patches: LoadedPatches,
    *,
    workers: int,
    seeded: bool,
    on_cuda: bool,
    gives_back: bool = False,
    steps: CpuSteps = CpuSteps(),
) -> TrainingBytes:
    """A training with nnU-Net's loaders and ours of unlabelled patches.

    Args:
        patches: what is loaded.
        workers: nnUNet_n_proc_DA; 0 loads in the main process.
        seeded: whether batches come in a fixed order, which needs a queue for each worker.
        on_cuda: batches in the main process lie in pinned memory; the step takes memory of the GPU, not of the host.
        gives_back: what is freed goes back to the machine at once (MALLOC_MMAP_THRESHOLD_ is set).
        steps: without CUDA.
    """
    main = TRAINING_LIBRARIES + steps.step
    if on_cuda:
        main += CUDA_CONTEXT
    making = (labelled_worker(patches), validation_worker(patches), unlabelled_worker(patches))
    each = [worker.held if gives_back else worker.kept for worker in making]
    finished = (patches.labelled_batch, patches.labelled_batch, patches.finished_unlabelled_batch)
    if workers == 0:  # one batch is made at a time, and there is one of each kind at most
        return TrainingBytes(main, sum(map(sum, finished)), max(each))
    half = max(1, workers // 2)
    loaders = [(workers, max(6, workers // 2)), (half, max(3, workers // 4)), (half, max(3, half // 2))]
    if not patches.unlabelled_batch:
        loaders.pop()
    main += steps.kept_when_forked
    batches = private = 0
    for (number, cached), sizes, making_one in zip(loaders, finished, each, strict=False):
        batches += queued_bytes(sizes, workers=number, cached=cached, seeded=seeded, on_cuda=on_cuda)
        private += number * (WORKER_LIBRARIES + making_one)
    return TrainingBytes(main, batches, private)


def queued_bytes(sizes: Sequence[int], *, workers: int, cached: int, seeded: bool, on_cuda: bool) -> int:
    """Finished batches of a loader when its queues are full.

    As many wait to be received as `cached` says, or one for each worker in a fixed order. In the main process one is
    about to be put into a second queue, which is full, and one is in use. There torch's allocator of pinned memory
    rounds tensors up to powers of two, while a copy of the one about to be put is still in shared memory.

    Args:
        sizes: bytes of a batch's tensors.
        workers: of this loader.
        cached: length of its queues.
        seeded: see `training_bytes`.
        on_cuda: see `training_bytes`.
    """
    waiting, received = (workers, max(3, workers // 2)) if seeded else (cached, cached)
    if not on_cuda:
        return (waiting + received + 2) * sum(sizes)
    pinned = sum(1 << (size - 1).bit_length() for size in sizes if size)
    return (waiting + 1) * sum(sizes) + (received + 2) * pinned


def labelled_worker(patches: LoadedPatches) -> WorkerBytes:
    """A worker that cuts, rotates and scales labelled patches; the most is held with the second patch of a batch.

    While a patch is cut out and padded, the one before still lies there in its initial size. While it is turned, a grid
    of coordinates lies beside it and, for its labels, two copies in float32 or one and the scores of labels.
    """
    voxels, initial = math.prod(patches.patch), math.prod(patches.initial_patch)
    inside = math.prod(map(min, patches.initial_patch, patches.scan))
    voxel_of_image = _FLOAT32 * patches.channels
    grid = _FLOAT32 * len(patches.patch) * voxels
    stays = [*patches.labelled_batch, grid]  # the grid that is not turned is kept for the next patch
    cut = [voxel_of_image * initial, _INT16 * initial]
    cut_before: list[int] = []
    if patches.batch > 1:
        stays += [patches.image, patches.target]  # of the patch before
        cut_before = cut
    cutting = [*cut_before, voxel_of_image * inside, voxel_of_image * initial]
    turned = [grid, patches.image, _INT16 * voxels]
    nearest_label = 2 * [_FLOAT32 * initial]
    scores_of_labels = [_FLOAT32 * initial, _FLOAT32 * voxels, *5 * [2 * voxels]]
    turning = [*cut, *turned, *max(nearest_label, scores_of_labels, key=sum)]
    passing = [_INT16 * inside, _INT16 * initial, grid, *2 * [_FLOAT32 * voxels], *_intensity_arrays(patches)]
    made = [*cutting, *turned, *nearest_label, *scores_of_labels, *passing, *patches.labelled_batch]
    return WorkerBytes(
        held=sum(stays) + max(sum(cutting), sum(turning)), kept=_kept(stays, made, at_once=(cutting, turning))
    )


def validation_worker(patches: LoadedPatches) -> WorkerBytes:
    """A worker that cuts labelled patches as they are."""
    voxels = math.prod(patches.patch)
    inside = math.prod(map(min, patches.patch, patches.scan))
    stays = list(patches.labelled_batch)
    if patches.batch > 1:
        stays += [patches.image, patches.target]  # of the patch before
    cutting = [patches.image, _INT16 * voxels, patches.target]
    if inside < voxels:
        cutting.append(_FLOAT32 * patches.channels * inside)  # what is padded
    made = [*cutting, *patches.labelled_batch]
    return WorkerBytes(held=sum(stays) + sum(cutting), kept=_kept(stays, made, at_once=(cutting,)))


def unlabelled_worker(patches: LoadedPatches) -> WorkerBytes:
    """A worker of `UnlabelledDataLoader`: the patches lie there one by one until their batch is stacked."""
    one_by_one = patches.unlabelled_batch * 3 * [patches.image]
    stays = [*one_by_one, *patches.finished_unlabelled_batch]
    read = [*2 * [patches.image], _INT16 * math.prod(patches.patch)]  # as read; in HU and SUV; where the scan is
    made = [*read, *_intensity_arrays(patches), *patches.finished_unlabelled_batch]
    return WorkerBytes(held=sum(stays), kept=_kept(stays, made, at_once=((),)))


def _intensity_arrays(patches: LoadedPatches) -> list[int]:
    """Noise of all channels; blur and low resolution, which take one channel at a time, some four copies of it."""
    return [patches.image, *4 * [_FLOAT32 * math.prod(patches.patch)]]


def _kept(stays: Sequence[int], made: Sequence[int], *, at_once: Sequence[Sequence[int]]) -> int:
    """Bytes of `WorkerBytes.kept`.

    Args:
        stays: sizes of arrays that are there all the time.
        made: sizes of all arrays that come and go, with those of a batch that is being handed over.
        at_once: of these, the ones that are there at the same time, for each stage of the work.
    """
    places = sum(size for size in made if size <= GIVEN_BACK_ABOVE)
    return sum(stays) + places + max(sum(size for size in stage if size > GIVEN_BACK_ABOVE) for stage in at_once)
