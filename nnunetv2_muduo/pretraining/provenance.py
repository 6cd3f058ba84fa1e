"""What a pretrained checkpoint was trained on, and what of it another dataset's plans contradict."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

PROVENANCE_KEY = "mae_provenance"  # entry of a checkpoint, written in pretraining and at import
SPACING_TOLERANCE = 0.01  # relative; the same resolution written by different tools differs by less
NOT_PRETRAINED = "none"  # normalisation scheme of a channel whose weights are zeros
_REQUIRED = ("spacing", "normalization_schemes", "channel_names")


@dataclass(frozen=True)
class Provenance:
    """How the images were prepared that weights were trained on, or that a network is to be trained on.

    Attributes:
        spacing: (z, y, x) in mm, in the order of the network's axes.
        normalization_schemes: nnU-Net's name of each channel's normalisation.
        channel_names: of the input channels in their order.
        source: what made the weights, a trainer or a publication.
        plans_name, dataset_name, configuration: of the pretraining; "" where nobody knows.
        transpose_forward: which of a scan's axes (z, y, x) each of the network's axes is, as in nnU-Net's plans.
    """

    spacing: tuple[float, ...]
    normalization_schemes: tuple[str, ...]
    channel_names: tuple[str, ...]
    source: str = ""
    plans_name: str = ""
    dataset_name: str = ""
    configuration: str = ""
    transpose_forward: tuple[int, ...] = (0, 1, 2)

    @classmethod
    def from_dict(cls, given: Mapping[str, Any]) -> "Provenance":
        """Read what a checkpoint says of itself; further keys are ignored.

        Raises:
            ValueError: naming a key that is missing, or lists whose lengths contradict each other.
        """
        missing = [key for key in _REQUIRED if key not in given]
        if missing:
            raise ValueError(f"it does not say its {' and '.join(missing)}")
        words = {key: str(given.get(key) or "") for key in ("source", "plans_name", "dataset_name", "configuration")}
        provenance = cls(
            spacing=tuple(float(edge) for edge in given["spacing"]),
            normalization_schemes=tuple(str(scheme) for scheme in given["normalization_schemes"]),
            channel_names=tuple(str(name) for name in given["channel_names"]),
            transpose_forward=tuple(int(axis) for axis in given.get("transpose_forward", cls.transpose_forward)),
            **words,
        )
        if len(provenance.normalization_schemes) != len(provenance.channel_names):
            raise ValueError(
                f"it names {len(provenance.channel_names)} channels and {len(provenance.normalization_schemes)} "
                "normalisation schemes"
            )
        return provenance

    def to_dict(self) -> dict[str, Any]:
        """Plain lists, numbers and texts, as `from_dict` reads them back."""
        return {key: list(value) if isinstance(value, tuple) else value for key, value in asdict(self).items()}


# arXiv 2605.21835: harmonised to 3 x 2 x 2 mm, each channel z-scored per volume, PET first
RELEASED = Provenance(
    spacing=(3.0, 2.0, 2.0),
    normalization_schemes=("ZScoreNormalization", "ZScoreNormalization"),
    channel_names=("PET", "CT"),
    source="PET/CT masked autoencoder (arXiv 2605.21835)",
)


def channel_sources(
    pretrained: Sequence[str], wanted: Sequence[str], *, by_position: bool = False
) -> tuple[int | None, ...]:
    """For each wanted channel the pretrained one of the same name, in any case; None where there is none.

    Args:
        pretrained: names of the channels of the pretrained network, in their order.
        wanted: names of the channels of the new one.
        by_position: give pretrained channels that nobody asked for by name to the wanted ones without any, in order.
    """
    known = [name.casefold() for name in pretrained]
    found = [known.index(name.casefold()) if name.casefold() in known else None for name in wanted]
    if by_position:
        spare = iter([channel for channel in range(len(pretrained)) if channel not in found])
        found = [next(spare, None) if channel is None else channel for channel in found]
    return tuple(found)


def obstacles(pretrained: Provenance, target: Provenance) -> list[str]:
    """Why weights pretrained one way would mislead a network trained another way, one phrase a reason; [] if none."""
    return [
        *_other_spacing(pretrained.spacing, target.spacing),
        *_other_axes(pretrained.transpose_forward, target.transpose_forward),
        *_unknown_channels(pretrained.channel_names, target.channel_names),
        *_other_normalisation(pretrained, target),
    ]


def _other_spacing(pretrained: tuple[float, ...], target: tuple[float, ...]) -> list[str]:
    same_axes = len(pretrained) == len(target)
    if same_axes and all(abs(a - b) <= SPACING_TOLERANCE * a for a, b in zip(pretrained, target, strict=True)):
        return []
    return [f"spacing: pretrained at {_millimetres(pretrained)}, the plans have {_millimetres(target)}"]


def _other_axes(pretrained: tuple[int, ...], target: tuple[int, ...]) -> list[str]:
    if pretrained == target:
        return []
    named = ["(" + ", ".join("zyx"[axis] for axis in axes) + ")" for axes in (pretrained, target)]
    return [f"order of the axes: pretrained with {named[0]}, the plans have {named[1]}"]


def _unknown_channels(pretrained: tuple[str, ...], wanted: tuple[str, ...]) -> list[str]:
    sources = channel_sources(pretrained, wanted)
    if None not in sources and len(set(sources)) == len(sources):
        return []
    return [f"channels: pretrained on {', '.join(pretrained)}, the dataset has {', '.join(wanted)}"]


def _other_normalisation(pretrained: Provenance, target: Provenance) -> list[str]:
    sources = channel_sources(pretrained.channel_names, target.channel_names)
    pairs = zip(target.channel_names, sources, target.normalization_schemes, strict=True)
    return [
        f"normalisation of {name}: pretrained with {pretrained.normalization_schemes[source]}, the plans have {scheme}"
        for name, source, scheme in pairs
        if source is not None and pretrained.normalization_schemes[source] != scheme
    ]


def _millimetres(spacing: tuple[float, ...]) -> str:
    return " x ".join(f"{edge:g}" for edge in spacing) + " mm"
