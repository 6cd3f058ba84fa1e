"""Which voxels each organ lays claim to: eight voxels a byte, and only the part of the scan where the organ is."""

import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np

from nnunetv2_muduo.datasets.turning import Part
from nnunetv2_muduo.errors import UserError
from nnunetv2_muduo.files import replacing


@dataclass(frozen=True)
class Claims:
    """Organs' masks, which may overlap.

    Attributes:
        packed: organ -> its part of the scan as [3, 2] start and stop, and the mask's bits in raster order.
    """

    packed: dict[int, tuple[np.ndarray, np.ndarray]]

    def add(self, organ: int, part: Part, mask: np.ndarray) -> None:
        """Remember an organ's mask [z, y, x] bool in a part of the scan."""
        corners = np.array([[along.start, along.stop] for along in part], dtype=np.int32)
        self.packed[organ] = corners, np.packbits(mask)

    def of(self, organs: Iterable[int], shape: tuple[int, ...]) -> np.ndarray:
        """[Z, Y, X] bool: what any of these organs lays claim to; organs that are not known claim nothing."""
        claimed = np.zeros(shape, bool)
        for organ in organs:
            if organ not in self.packed:
                continue
            corners, bits = self.packed[organ]
            size = tuple(int(length) for length in corners[:, 1] - corners[:, 0])
            part = tuple(slice(int(start), int(stop)) for start, stop in corners)
            claimed[part] |= np.unpackbits(bits, count=int(np.prod(size))).view(bool).reshape(size)
        return claimed

    def save(self, path: Path) -> None:
        """Write a compressed .npz file."""
        arrays: dict[str, Any] = {}
        for organ, (corners, bits) in self.packed.items():
            arrays |= {f"part_{organ}": corners, f"bits_{organ}": bits}
        with replacing(path) as partial, partial.open("wb") as file:
            np.savez_compressed(file, **arrays)

    @classmethod
    def load(cls, path: Path) -> "Claims":
        """Read what `save` wrote.

        Raises:
            UserError: for a file that is damaged.
        """
        try:
            with np.load(path, allow_pickle=False) as file:
                organs = [int(name.removeprefix("part_")) for name in file.files if name.startswith("part_")]
                packed = {organ: (file[f"part_{organ}"], file[f"bits_{organ}"]) for organ in organs}
            if not all(_fit(*arrays) for arrays in packed.values()):
                raise ValueError("parts and bits do not fit each other")
            return cls(packed)
        except (OSError, ValueError, KeyError, EOFError, RuntimeError, BadZipFile, zlib.error) as error:
            raise UserError(f"{path} is damaged; delete it and run the command again.") from error


def _fit(corners: np.ndarray, bits: np.ndarray) -> bool:
    """Whether an organ's part is one of a scan, and its bits are as many as the part has voxels."""
    if corners.shape != (3, 2) or corners.dtype != np.int32 or bits.ndim != 1 or bits.dtype != np.uint8:
        return False
    sizes = [int(stop) - int(start) for start, stop in corners]
    return corners.min() >= 0 and min(sizes) >= 0 and len(bits) == -(-prod(sizes) // 8)
