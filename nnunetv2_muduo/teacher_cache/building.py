"""The teacher cache: what does not depend on the student, computed once per tile of each unlabelled case."""

import hashlib
import json
import shutil
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from tqdm import tqdm

from nnunetv2_muduo.cases.freshness import read_properties
from nnunetv2_muduo.datasets.orientation import orientation_of
from nnunetv2_muduo.errors import UserError
from nnunetv2_muduo.files import PARTIAL_PREFIX
from nnunetv2_muduo.semisupervised.answers import Evidence, Patches
from nnunetv2_muduo.semisupervised.loading import UnlabelledCase, UnlabelledDataLoader
from nnunetv2_muduo.semisupervised.teaching import Teaching
from nnunetv2_muduo.teacher_cache.case import CachedCase, is_cached, writing_case
from nnunetv2_muduo.teacher_cache.evidence import LOGIT_BITS, TileLayout, to_stored
from nnunetv2_muduo.teacher_cache.state import CACHE_SETTINGS, FIRST, made_from, source_of
from nnunetv2_muduo.teacher_cache.tiles import lay_tiles

FORMAT = 1  # raise it when what is stored, or how tiles are laid, changes
_MIB, _GIB = 2**20, 2**30


@dataclass(frozen=True)
class CacheSummary:
    """What a call of `build_teacher_cache` found and did.

    Attributes:
        folder: holds a folder for each case.
        built: names of the cases computed just now.
        fresh: names of those that were up to date.
        bytes_per_tile: largest size of a tile, uncompressed.
        bytes_of_cases: name -> size on the disk.
    """

    folder: Path
    built: tuple[str, ...]
    fresh: tuple[str, ...]
    bytes_per_tile: int
    bytes_of_cases: dict[str, int]


def teaching_fingerprint(teaching: Teaching, *, patch_size: Sequence[int], organs: int) -> str:
    """A hash of everything but the case that the cache depends on: weights, settings, patch, and this code's format."""
    settings = teaching.settings
    drawn = settings.point_strategy == "random"
    networks: dict[str, Any] = {
        "ct": teaching.dual.ct,
        "pet": teaching.dual.pet,
        "generator": teaching.prompt_generator,
    }
    relevant: dict[str, Any] = {
        "format": [FORMAT, LOGIT_BITS],
        "settings": {key: getattr(settings, key) for key in CACHE_SETTINGS},
        "seed": settings.seed if drawn else None,
        "channels": [teaching.ct_channel, teaching.pet_channel],
        "patch": [list(map(int, patch_size)), [float(step) for step in teaching.spacing_in_mm], organs],
        "weights": {name: None if n is None else weights_digest(n) for name, n in networks.items()},
    }
    if teaching.axes != (0, 1, 2):  # only then, so that caches made before there was such a thing stay good
        relevant["axes"] = list(teaching.axes)
    if settings.point_strategy == "first":
        relevant["first"] = FIRST
    return hashlib.sha256(json.dumps(relevant, sort_keys=True).encode()).hexdigest()


def weights_digest(network: nn.Module) -> str:
    """sha256 of a network's kind, configuration and weights: the same for a checkpoint written twice."""
    config: Any = getattr(network, "config", None)
    described = config.to_dict() if hasattr(config, "to_dict") else None
    kind = [type(network).__name__, str(getattr(network, "spec", None)), described]
    digest = hashlib.sha256(json.dumps(kind, default=str).encode())
    for name, tensor in network.state_dict().items():
        digest.update(f"{name} {tensor.dtype} {list(tensor.shape)}".encode())
        digest.update(tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().data)
    return digest.hexdigest()


def build_teacher_cache(
    teaching: Teaching,
    loader: UnlabelledDataLoader,
    *,
    scans_folder: Path,
    cache_folder: Path,
    organs: int,
    share: tuple[int, int] = (0, 1),
    log: Callable[[str], object] = print,
    progress: bool = True,
) -> CacheSummary:
    """Bring the cache of all of a loader's cases up to date, case by case; what is up to date is kept.

    Args:
        teaching: the teachers and the prompt generator, on the device that computes.
        loader: crops the preprocessed cases; its patch is the tile.
        scans_folder: holds the preprocessed cases.
        cache_folder: of this training alone; made when missing. Cases that the loader does not know stay (see
            `remove_other_cases`).
        organs: K.
        share: (rank, processes): this process does each `processes`-th case, so that several GPUs share the work.
        log: takes what is worth telling.
        progress: show a progress bar, one step a tile.

    Raises:
        UserError: when the disk is too small for what is to come, judged by what the cases so far took.
    """
    layout = TileLayout.of(teaching, organs=organs, patch_size=loader.patch_size)
    cases = sorted(loader.indices)[share[0] :: share[1]]
    base = teaching_fingerprint(teaching, patch_size=loader.patch_size, organs=organs)
    fingerprints = {case: _case_fingerprint(base, teaching, scans_folder, case) for case in cases}
    fresh = [case for case in cases if is_cached(cache_folder / case, fingerprints[case], layout)]
    stale = [case for case in cases if case not in fresh]
    sizes = {case: CachedCase(cache_folder / case).size_in_bytes() for case in fresh}
    _announce(layout, teaching.settings.cache_tiles, len(stale), cache_folder, log)
    centres = {case: _tiles_of(case, loader, teaching.settings.cache_tiles) for case in stale}
    number = sum(map(len, centres.values()))
    with tqdm(total=number, desc="Teacher cache", unit="tile", disable=not (progress and stale)) as bar:
        for done, case in enumerate(stale, start=1):
            folder, opened = cache_folder / case, loader.open_case(case)
            told = made_from(teaching.settings, loader.patch_size, source_of(scans_folder, case))
            writing = writing_case(
                folder, layout, centres=centres[case], fingerprint=fingerprints[case], made_from=told
            )
            with writing as writer, _draws_of_its_own(teaching, case):
                for tile, centre in enumerate(centres[case]):
                    writer.write(tile, to_stored(_evidence_at(teaching, loader, opened, centre), layout))
                    bar.update()
            sizes[case] = CachedCase(folder).size_in_bytes()
            _check_room(cache_folder, [sizes[case] for case in stale[:done]], remaining=len(stale) - done)
    summary = CacheSummary(cache_folder, tuple(stale), tuple(fresh), layout.bytes_per_tile, sizes)
    _report(summary, log)
    return summary


def remove_other_cases(cache_folder: Path, cases: Sequence[str]) -> None:
    """Take away what belongs to no case: scans that are gone, and what a killed run left half done."""
    for folder in cache_folder.iterdir() if cache_folder.is_dir() else ():
        if folder.name not in cases or folder.name.startswith(PARTIAL_PREFIX):
            shutil.rmtree(folder, ignore_errors=True)


def _case_fingerprint(base: str, teaching: Teaching, scans_folder: Path, case: str) -> str:
    relevant = [base, source_of(scans_folder, case)]
    orientation = orientation_of(read_properties(scans_folder, case))
    if teaching.mirrors(orientation):  # only then, so that caches made before there was such a thing stay good
        relevant.append(orientation)
    return hashlib.sha256(json.dumps(relevant, sort_keys=True).encode()).hexdigest()


def _tiles_of(case: str, loader: UnlabelledDataLoader, most: int) -> NDArray[np.int32]:
    opened = loader.open_case(case)
    return lay_tiles(opened.shape, loader.patch_size, opened.body, most=most)


def _evidence_at(
    teaching: Teaching, loader: UnlabelledDataLoader, case: UnlabelledCase, centre: NDArray[np.int32]
) -> Evidence:
    clean, mask = loader.crop(case, centre)
    raw = loader.raw_crop(case, centre, clean, mask)
    return teaching.gather(Patches(clean[None], raw[None], [case.orientation]).to(teaching.device))


@contextmanager
def _draws_of_its_own(teaching: Teaching, case: str) -> Iterator[None]:
    """Random points follow from seed and case alone, and building leaves no trace in the training's random numbers."""
    state = teaching.randomness.get_state()
    if teaching.settings.seed is not None:
        teaching.randomness.manual_seed(teaching.settings.seed + zlib.crc32(case.encode()))
    try:
        yield
    finally:
        teaching.randomness.set_state(state)


def _announce(layout: TileLayout, tiles: int, cases: int, folder: Path, log: Callable[[str], object]) -> None:
    if not cases:
        return
    bound = tiles * layout.bytes_per_tile
    free = shutil.disk_usage(_existing(folder)).free
    log(
        f"Teacher cache: computing {cases} case(s), at most {tiles} tiles each (setting cache_tiles) and "
        f"{bound / _MIB:.0f} MiB a case before compression, {cases * bound / _GIB:.1f} GiB in all; "
        f"{free / _GIB:.1f} GiB are free in {folder}"
    )
    if free < bound:
        raise _too_small(folder, free, bound)


def _check_room(folder: Path, sizes: Sequence[int], *, remaining: int) -> None:
    """Stop early when the cases to come will not fit, if they are like those before."""
    needed, free = int(np.mean(sizes) * remaining), shutil.disk_usage(folder).free
    if free < needed:
        raise _too_small(folder, free, needed)


def _too_small(folder: Path, free: int, needed: int) -> UserError:
    return UserError(
        f"The teacher cache still needs about {needed / _GIB:.1f} GiB, but only {free / _GIB:.1f} GiB are free in "
        f"{folder}; free some space, set a lower cache_tiles, or switch it off with teacher_cache=false (muduo plan)."
    )


def _existing(folder: Path) -> Path:
    return next(path for path in (folder, *folder.parents) if path.exists())


def _report(summary: CacheSummary, log: Callable[[str], object]) -> None:
    if not summary.bytes_of_cases:
        return
    sizes = list(summary.bytes_of_cases.values())
    log(
        f"Teacher cache: {len(sizes)} case(s) ready ({len(summary.built)} computed now, {len(summary.fresh)} up to "
        f"date), {np.mean(sizes) / _MIB:.1f} MiB a case, {sum(sizes) / _GIB:.2f} GiB in {summary.folder}"
    )
