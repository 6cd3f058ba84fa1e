"""Evidence of a patch on its way to the disk and back: half precision, logits with even fewer bits.

Embeddings are stored as bfloat16 where the teachers compute in it, which loses little that decoding would not drop, and
as float16 where they compute in float32 (measured on the stand-ins: the other choice is off by five times more and up).
numpy has no bfloat16: its bits travel as int16.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from nnunetv2_muduo.errors import UserError
from nnunetv2_muduo.semisupervised.answers import Evidence, Orientations
from nnunetv2_muduo.semisupervised.teaching import Teaching
from nnunetv2_muduo.teachers.dual import Encoded

LOGIT_BITS = 6  # of the mantissa: off by at most 0.8 %, a probability by at most 0.002
_MANTISSA_BITS = 10  # of float16
_LARGEST_LOGIT = 1e4  # far beyond what a sigmoid tells apart, well within float16


@dataclass(frozen=True)
class TileLayout:
    """What is stored of one tile: name -> shape and type, only what the settings need.

    Attributes:
        arrays: `generator` [Z, Y, X] label map; `ct_embedding` [n, ...] of the n cubes, zeros where there was nothing
            to encode, or `ct_logits` [n, K, M, M, M]; `pet_logits` [n', K, M', M', M'] and `pet_asked` [n', K].
    """

    arrays: Mapping[str, tuple[tuple[int, ...], np.dtype]]

    @classmethod
    def of(cls, teaching: Teaching, *, organs: int, patch_size: Sequence[int]) -> "TileLayout":
        """The layout that fits a `Teaching`; asks the CT teacher's encoder once for the shape of its embedding."""
        arrays: dict[str, tuple[tuple[int, ...], type]] = {}
        if teaching.prompt_generator is not None:
            arrays["generator"] = tuple(patch_size), np.uint8 if organs < 256 else np.int16
        view = teaching.ct_view
        if view is not None:
            if teaching.settings.ct_prompt == "generator":
                arrays["ct_logits"] = (view.n_cubes, organs, *3 * (view.spec.mask_size,)), np.float16
            else:
                half = np.int16 if teaching.dual.computes_in_bfloat16(teaching.device) else np.float16
                arrays["ct_embedding"] = (view.n_cubes, *_embedding_shape(teaching)), half
        view = teaching.pet_view
        if view is not None and teaching.prompt_generator is not None:
            arrays["pet_logits"] = (view.n_cubes, organs, *3 * (view.spec.mask_size,)), np.float16
            arrays["pet_asked"] = (view.n_cubes, organs), np.bool_
        return cls({name: (shape, np.dtype(kind)) for name, (shape, kind) in arrays.items()})

    @property
    def bytes_per_tile(self) -> int:
        """Uncompressed; what is stored is smaller."""
        return sum(int(np.prod(shape)) * kind.itemsize for shape, kind in self.arrays.values())


def to_stored(evidence: Evidence, layout: TileLayout) -> dict[str, NDArray]:
    """Evidence about one patch as arrays of the layout.

    Raises:
        UserError: where an embedding does not fit into half precision.
    """
    stored = {}
    for name, (shape, kind) in layout.arrays.items():
        if name == "ct_embedding":
            stored[name] = _stored_embedding(evidence.ct, shape, in_bfloat16=kind == np.int16)
        else:
            values = getattr(evidence, name).cpu().numpy().reshape(shape)
            stored[name] = _rounded(values) if name.endswith("logits") else values.astype(kind)
    return stored


def from_stored(
    batch: Mapping[str, Tensor], device: torch.device, orientations: Orientations | None = None
) -> Evidence:
    """Evidence about B patches.

    Args:
        batch: name -> [B, *shape of the layout], on the CPU.
        device: of the result.
        orientations: of the patches' scans, as in `Patches`.
    """
    moved = {name: values.to(device, non_blocking=True) for name, values in batch.items()}
    on_cubes = {name: values.flatten(0, 1) for name, values in moved.items() if name != "generator"}
    embedding = on_cubes.pop("ct_embedding", None)
    encoded = None
    if embedding is not None:
        if embedding.dtype == torch.int16:
            embedding = embedding.view(torch.bfloat16)
        encoded = Encoded(embedding.float(), torch.arange(len(embedding), device=device))
    logits = {name: values if name == "pet_asked" else values.float() for name, values in on_cubes.items()}
    return Evidence(generator=moved.get("generator"), ct=encoded, orientations=orientations, **logits)


def _embedding_shape(teaching: Teaching) -> tuple[int, ...]:
    assert teaching.ct_view is not None
    size = teaching.ct_view.spec.cube_size
    return tuple(
        teaching.dual.encode_ct(torch.zeros(1, 1, size, size, size, device=teaching.device)).embedding.shape[1:]
    )


def _stored_embedding(encoded: Encoded | None, shape: tuple[int, ...], *, in_bfloat16: bool) -> NDArray:
    stored = torch.zeros(shape, dtype=torch.bfloat16 if in_bfloat16 else torch.float16)
    if encoded is not None and len(encoded.images):
        embedding = encoded.embedding.float().cpu()
        stored[encoded.images.cpu()] = embedding.to(stored.dtype)
        if not stored.isfinite().all():
            raise UserError(
                "The CT teacher's embedding holds numbers beyond the range of half precision, so it cannot be cached; "
                "switch the cache off with: muduo plan -d ID --set teacher_cache=false"
            )
    return (stored.view(torch.int16) if in_bfloat16 else stored).numpy()


def _rounded(logits: NDArray) -> NDArray:
    """Logits as float16 with `LOGIT_BITS` bits of mantissa; the sign, which decides, is kept, and zeros pack well."""
    dropped = _MANTISSA_BITS - LOGIT_BITS
    bits = logits.clip(-_LARGEST_LOGIT, _LARGEST_LOGIT).astype(np.float16).view(np.uint16)
    bits = (bits + np.uint16(1 << (dropped - 1))) & np.uint16(0xFFFF << dropped & 0xFFFF)
    return bits.view(np.float16)
