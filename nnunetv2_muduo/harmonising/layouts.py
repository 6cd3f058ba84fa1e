"""Which file of a case's folder is what: patterns, and presets of them for public sets whose layout is documented."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePath
from types import MappingProxyType

from nnunetv2_muduo.errors import UserError


@dataclass(frozen=True)
class Layout:
    """Patterns relative to a case's folder, such as "CT*.nii.gz" or "PET" (a folder with a DICOM series).

    Attributes:
        ct, pet, label: of several patterns the first that matches counts; no pattern of labels: no labels.
    """

    ct: tuple[str, ...]
    pet: tuple[str, ...]
    label: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not self.ct or not self.pet:
            raise UserError("Say what CT and PET are called with --ct and --pet, or choose a --preset.")
        for pattern in (*self.ct, *self.pet, *self.label):
            if not pattern or PurePath(pattern).is_absolute() or ".." in PurePath(pattern).parts:
                raise UserError(f"The pattern '{pattern}' must be relative to a case's folder, as 'CT*.nii.gz' is.")


PRESETS: Mapping[str, Layout] = MappingProxyType(
    {
        # fdat.uni-tuebingen.de/records/wf9fy-txq84: PETCT_<id>/<study>/; CTres is the CT on the PET's grid
        "autopet": Layout(ct=("CTres.nii.gz", "CT.nii.gz"), pet=("SUV.nii.gz",), label=("SEG.nii.gz",)),
        # deep-psma.grand-challenge.org/dataset-format: train_<number>/{PSMA,FDG}/; PET in SUV, TTB: total tumour burden
        "deep-psma": Layout(ct=("CT.nii.gz",), pet=("PET.nii.gz",), label=("TTB.nii.gz",)),
    }
)
_UNKNOWN = {"spade": "SPADE", "vimedpet": "ViMedPET"}


def preset_layout(name: str) -> Layout:
    """The layout of a public set.

    Raises:
        UserError: for a set whose layout is not known, pointing to the general options.
    """
    if name in PRESETS:
        return PRESETS[name]
    if name in _UNKNOWN:
        raise UserError(
            f"How the files of {_UNKNOWN[name]} are laid out is not known here; name them with --ct, --pet and --label."
        )
    raise UserError(f"There is no preset '{name}'; there are {', '.join(PRESETS)}.")


def chosen_layout(
    preset: str | None, *, ct: Sequence[str] = (), pet: Sequence[str] = (), label: Sequence[str] = ()
) -> Layout:
    """A preset's layout with whatever is given instead."""
    base = None if preset is None else preset_layout(preset)
    return Layout(
        ct=tuple(ct) or (base.ct if base else ()),
        pet=tuple(pet) or (base.pet if base else ()),
        label=tuple(label) or (base.label if base else ()),
    )
