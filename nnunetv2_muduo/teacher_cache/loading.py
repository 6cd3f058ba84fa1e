"""Patches of unlabelled scans on the tiles of the teacher cache, each with what the teachers know about it."""

from pathlib import Path
from typing import Any

import numpy as np
import torch

from nnunetv2_muduo.semisupervised.loading import UnlabelledDataLoader
from nnunetv2_muduo.teacher_cache.case import CachedCase


class CachedDataLoader(UnlabelledDataLoader):
    """As `UnlabelledDataLoader`, but each patch is one of the tiles of its case, drawn at random.

    A batch is {"image", "clean", "evidence", "keys", "orientations", "tiles"}: the student's augmented view, the same
    without augmentation, name -> [B, ...] of the stored evidence (see `stored_evidence`), names and orientations of the
    cases and the numbers of the tiles. Raw intensities are not made.

    Args:
        cache_folder: holds the cached cases.
        arguments: as of `UnlabelledDataLoader`.
    """

    def __init__(self, *arguments: Any, cache_folder: Path, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.cache_folder = cache_folder

    def generate_train_batch(self) -> dict:
        keys = self.get_indices()
        cases = [self.open_case(key) for key in keys]
        images, clean_patches, tiles, evidence = [], [], [], []
        for key, case in zip(keys, cases, strict=True):
            cached = CachedCase(self.cache_folder / key)
            tile = int(self.generator.integers(len(cached)))
            with torch.no_grad():
                clean, mask = self.crop(case, cached.centres[tile])
                images.append(self._student_view(clean, mask))
            clean_patches.append(clean)
            tiles.append(tile)
            evidence.append(cached.tile(tile))
        stacked = {name: torch.from_numpy(np.stack([arrays[name] for arrays in evidence])) for name in evidence[0]}
        return {
            "image": torch.stack(images),
            "clean": torch.stack(clean_patches),
            "evidence": stacked,
            "keys": keys,
            "orientations": [case.orientation for case in cases],
            "tiles": tiles,
        }
