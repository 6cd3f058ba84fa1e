"""Patches of unlabelled scans, endlessly."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import numpy as np
import torch
from batchgenerators.dataloading.data_loader import DataLoader
from batchgenerators.dataloading.single_threaded_augmenter import SingleThreadedAugmenter
from batchgeneratorsv2.transforms.base.basic_transform import BasicTransform
from nnunetv2.training.dataloading.nnunet_dataset import nnUNetDatasetBlosc2
from nnunetv2.utilities.default_n_proc_DA import get_allowed_n_proc_DA
from numpy.typing import NDArray

from nnunetv2_muduo.cases.freshness import BODY_LOCATIONS_KEY
from nnunetv2_muduo.cases.preprocessed import case_files
from nnunetv2_muduo.cases.raw_intensities import OUTSIDE_IS_ZERO_KEY, RAW_INTENSITY_KEY
from nnunetv2_muduo.datasets.orientation import orientation_of
from nnunetv2_muduo.errors import UserError
from nnunetv2_muduo.stored_arrays import read_part
from nnunetv2_muduo.training.workers import Augmenter, start_workers

Voxel: TypeAlias = Sequence[int] | NDArray[np.integer]  # (z, y, x)


@dataclass(frozen=True)
class UnlabelledCase:
    """A preprocessed case, read only where it is asked for.

    Attributes:
        image: [C, Z, Y, X] normalised.
        mask: [1, Z, Y, X] -1 outside nnU-Net's nonzero region.
        properties: see `unlabelled_case`.
        image_file, mask_file: where the arrays lie.
    """

    image: NDArray
    mask: NDArray
    properties: dict
    image_file: Path
    mask_file: Path

    @property
    def shape(self) -> tuple[int, ...]:
        """(Z, Y, X) in voxels."""
        return tuple(self.image.shape[1:])

    @property
    def body(self) -> NDArray[np.int32]:
        """[n, 3] (z, y, x) random voxels inside the body."""
        return self.properties[BODY_LOCATIONS_KEY]

    @property
    def orientation(self) -> str | None:
        """Which way x, y and z of the scan grow in the patient, where its file tells."""
        return orientation_of(self.properties)


class UnlabelledDataLoader(DataLoader):
    """Endless batches of patches from preprocessed unlabelled cases, centred on random voxels of the body.

    A batch is {"image", "clean", "raw", "keys", "orientations"}; the first three are float32 tensors [B, C, Z, Y, X] of
    the same crop:

    - image: the student's view, normalised by nnU-Net, with intensity augmentation; 0 outside the scan;
    - clean: the same without augmentation;
    - raw: the same in HU and SUV (as far as normalisation did not clip them), `raw_padding` outside the scan;
    - keys: the names of the B cases;
    - orientations: which way x, y and z of their scans grow, None where the file does not tell.

    A crop keeps within the scan where the scan is larger than the patch, and is padded on both sides where it is not.
    The loader travels to worker processes: it holds names, numbers and transforms, no network and no CUDA tensor.

    Args:
        data: the preprocessed cases, see `preprocess_unlabelled`.
        batch_size: patches a batch, of different cases where there are enough.
        patch_size: (Z, Y, X) voxels.
        raw_padding: of each channel (HU, SUV).
        transforms: what `intensity_transforms` returned; None for no augmentation.
        seed: of the choice of cases and crops. The transforms draw from torch's and numpy's global streams.
    """

    def __init__(
        self,
        data: nnUNetDatasetBlosc2,
        batch_size: int,
        *,
        patch_size: Sequence[int],
        raw_padding: Sequence[float],
        transforms: BasicTransform | None = None,
        seed: int | None = None,
    ) -> None:
        super().__init__(data, batch_size, infinite=True)
        self.indices = list(data.identifiers)
        self.patch_size = tuple(int(size) for size in patch_size)
        self.raw_padding = tuple(float(value) for value in raw_padding)
        self.transforms = transforms
        self.seed = seed
        self.generator = np.random.default_rng(seed)

    def set_thread_id(self, thread_id: int) -> None:
        """Called in each worker, which starts with a copy of this loader: give it draws of its own."""
        super().set_thread_id(thread_id)
        self.generator = np.random.default_rng(None if self.seed is None else [self.seed, thread_id])

    def get_indices(self) -> list[str]:
        """Names of the cases of a batch, each at most once where there are enough."""
        too_few = len(self.indices) < self.batch_size
        chosen = self.generator.choice(len(self.indices), size=(self.batch_size,), replace=too_few)
        return [self.indices[index] for index in chosen]

    def generate_train_batch(self) -> dict:
        keys: list[str] = self.get_indices()
        cases = [self.open_case(key) for key in keys]
        with torch.no_grad():
            return _collated([self._sample(case) for case in cases], cases, keys)

    def central_patch(self) -> dict:
        """A batch of one patch without augmentation, always the same: the middle of the first case's body."""
        key = min(self.indices)
        case = self.open_case(key)
        clean, mask = self.crop(case, centre := np.median(case.body, axis=0).astype(int))
        return _collated([(clean, clean, self.raw_crop(case, centre, clean, mask))], [case], [key])

    def open_case(self, key: str) -> UnlabelledCase:
        """A case by its name.

        Raises:
            UserError: where it is gone, as it is when another training has started since its scan was taken away.
        """
        mask_file, _, image_file = case_files(Path(self._data.source_folder), key)
        try:
            image, mask, _, properties = self._data.load_case(key)
        except FileNotFoundError as error:
            raise UserError(
                f"The preprocessed scan {image_file} is gone, as when its scan was taken out of imagesUn and another "
                "training was started; continue with nnUNetv2_train ... --c, which takes the scans that are there then."
            ) from error
        return UnlabelledCase(image, mask, properties, image_file, mask_file)

    def crop(self, case: UnlabelledCase, centre: Voxel) -> tuple[torch.Tensor, torch.Tensor]:
        """Clean patch [C, Z, Y, X] around a voxel of a case, and nnU-Net's nonzero mask [1, Z, Y, X] (-1 outside).

        Raises:
            UserError: naming the file, see `read_region`.
        """
        source, destination = crop_and_place(centre, case.shape, self.patch_size)
        clean = np.zeros((len(case.image), *self.patch_size), dtype=np.float32)
        clean[destination] = read_region(case.image, source, case.image_file)
        outside = np.full((1, *self.patch_size), -1, dtype=np.int16)
        outside[destination] = read_region(case.mask, source, case.mask_file)
        return torch.from_numpy(clean), torch.from_numpy(outside)

    def raw_crop(self, case: UnlabelledCase, centre: Voxel, clean: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """The patch of `crop` in HU and SUV [C, Z, Y, X], made from what `crop` returned."""
        _, inside = crop_and_place(centre, case.shape, self.patch_size)
        image, outside = clean.numpy()[inside], mask.numpy()[inside][0]
        raw = np.empty_like(clean.numpy())
        for channel, padding in enumerate(self.raw_padding):
            raw[channel] = padding
            raw[channel][inside[1:]] = _to_raw(image, outside, channel, case.properties)
        return torch.from_numpy(raw)

    def _sample(self, case: UnlabelledCase) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """The student's view, the clean and the raw patch around a random voxel of the body."""
        centre = self.generator.choice(case.body)
        clean, mask = self.crop(case, centre)
        return self._student_view(clean, mask), clean, self.raw_crop(case, centre, clean, mask)

    def _student_view(self, clean: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        if self.transforms is None:
            return clean
        return self.transforms(image=clean.clone(), segmentation=mask)["image"]


def read_region(array: NDArray, region: tuple[slice | int, ...], file: Path) -> NDArray:
    """A part of a preprocessed array.

    Raises:
        UserError: naming the file, see `read_part`.
    """
    remedy = (
        "delete it, preprocess its case again (muduo preprocess-unlabelled, nnUNetv2_preprocess for a labelled one) "
        "and continue with nnUNetv2_train ... --c"
    )
    return read_part(array, region, file, remedy=remedy)


def crop_and_place(
    centre: Voxel, shape: Sequence[int], patch_size: Sequence[int]
) -> tuple[tuple[slice, ...], tuple[slice, ...]]:
    """Where a patch lies in a volume and where that part goes in the patch, axis by axis.

    Args:
        centre: voxel of the volume that the patch is centred on, unless the volume's border is in the way.
        shape: of the volume.
        patch_size: of the patch; where it is larger than the volume, the volume lies in its middle.

    Returns:
        Slices into the volume, and slices of the same size into the patch; all channels come first in both.
    """
    source, destination = [slice(None)], [slice(None)]
    for middle, size, patch in zip(centre, shape, patch_size, strict=True):
        if size >= patch:
            start = int(np.clip(middle - patch // 2, 0, size - patch))
            source.append(slice(start, start + patch))
            destination.append(slice(0, patch))
        else:
            start = (patch - size) // 2
            source.append(slice(0, size))
            destination.append(slice(start, start + size))
    return tuple(source), tuple(destination)


def build_unlabelled_loader(
    folder: Path,
    identifiers: Sequence[str],
    *,
    batch_size: int,
    patch_size: Sequence[int],
    raw_padding: Sequence[float],
    transforms: BasicTransform | None = None,
    pin_memory: bool = False,
    seed: int | None = None,
    loader_class: Callable[..., UnlabelledDataLoader] = UnlabelledDataLoader,
) -> Augmenter:
    """The unlabelled stream, in this process or in worker processes as nnU-Net's own (`nnUNet_n_proc_DA`).

    nnU-Net starts as many workers as it is allowed for the labelled patches and half as many for validation; the
    unlabelled patches, which need no spatial augmentation, get half as many as well. Workers that are ahead sleep.

    Args:
        folder: holds the preprocessed cases.
        identifiers: names of the cases to draw from.
        batch_size: patches a batch.
        patch_size: (Z, Y, X) voxels.
        raw_padding: of each channel outside the scan (HU, SUV).
        transforms: what `intensity_transforms` returned.
        pin_memory: for training on CUDA.
        seed: of cases and crops, and of the augmentation where there are workers (see `start_workers`). In this process
            the augmentation follows torch's and numpy's global seeds, as nnU-Net's does.
        loader_class: makes the loader from the arguments of `UnlabelledDataLoader`.
    """
    data = nnUNetDatasetBlosc2(str(folder), sorted(identifiers))
    loader = loader_class(
        data, batch_size, patch_size=patch_size, raw_padding=raw_padding, transforms=transforms, seed=seed
    )
    num_processes = get_allowed_n_proc_DA()
    if num_processes == 0:
        return SingleThreadedAugmenter(loader, None)
    number = max(1, num_processes // 2)
    return start_workers(loader, number, cached=max(3, number // 2), seed=seed, pin_memory=pin_memory)


def _to_raw(image: NDArray, mask: NDArray, channel: int, properties: dict) -> NDArray:
    scale, shift = properties[RAW_INTENSITY_KEY][channel]
    raw = image[channel] * np.float32(scale) + np.float32(shift)
    if properties[OUTSIDE_IS_ZERO_KEY][channel]:
        raw[mask < 0] = 0.0
    return raw


def _collated(samples: Sequence[tuple[torch.Tensor, ...]], cases: Sequence[UnlabelledCase], keys: list[str]) -> dict:
    image, clean, raw = (torch.stack(tensors) for tensors in zip(*samples, strict=True))
    orientations = [case.orientation for case in cases]
    return {"image": image, "clean": clean, "raw": raw, "keys": keys, "orientations": orientations}
