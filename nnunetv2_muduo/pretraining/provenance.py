"""What a pretrained checkpoint was trained on, and what of it another dataset's plans contradict."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

PROVENANCE_KEY = "mae_provenance"  # entry of a checkpoint, written in pretraining and at import
SPACING_TOLERANCE = 0.01  # relative; the same resolution written by different tools differs by less
NOT_PRETRAINED = "none"  # normalisation scheme of a channel that the network was never shown
_HEEDS_MASK = "ZScoreNormalization"  # the one scheme of nnU-Net's that use_mask_for_norm changes
_HEEDS_FOREGROUND = "CTNormalization"  # clips and scales by numbers of the labelled foreground of a dataset
_SOFT_TISSUE_IN_HU = 40.0
_MOST_SHIFT = 0.5  # of a scaled intensity, in standard deviations; a choice, not a measurement
_REQUIRED = ("spacing", "normalization_schemes", "channel_names")


@dataclass(frozen=True)
class Provenance:
    """How the images were prepared that weights were trained on, or that a network is to be trained on.

    The patch size is not part of it: the networks are convolutional, or window by window, and take other patches.

    Attributes:
        spacing: (z, y, x) in mm, in the order of the network's axes.
        normalization_schemes: nnU-Net's name of each channel's normalisation; `NOT_PRETRAINED` where there was none.
        channel_names: of the input channels in their order.
        source: what made the weights, a trainer or a publication.
        plans_name, dataset_name, configuration: of the pretraining; "" where nobody knows.
        transpose_forward: which of a scan's axes (z, y, x) each of the network's axes is, as in nnU-Net's plans.
        use_mask_for_norm: for each channel whether it is normalised by its nonzero region alone, as in nnU-Net's plans;
            () where nobody knows.
        foreground: for each channel (mean, standard deviation, 0.5th, 99.5th percentile) in HU or SUV of the labelled
            foreground, by which CTNormalization scales and clips; () where nobody knows.
        body_crop: whether all scans were cropped to the body, which z-scores depend on; None where nobody knows.
        orientations: in which ways x, y and z of the scans grow, as nnU-Net's reader delivers them, such as ("LPS",);
            () where nobody knows.
    """

    spacing: tuple[float, ...]
    normalization_schemes: tuple[str, ...]
    channel_names: tuple[str, ...]
    source: str = ""
    plans_name: str = ""
    dataset_name: str = ""
    configuration: str = ""
    transpose_forward: tuple[int, ...] = (0, 1, 2)
    use_mask_for_norm: tuple[bool, ...] = ()
    foreground: tuple[tuple[float, ...], ...] = ()
    body_crop: bool | None = None
    orientations: tuple[str, ...] = ()

    @property
    def taught_channels(self) -> tuple[str | None, ...]:
        """Names of the input channels in their order, None for one that was not pretrained."""
        pairs = zip(self.channel_names, self.normalization_schemes, strict=True)
        return tuple(None if scheme == NOT_PRETRAINED else name for name, scheme in pairs)

    def normalisation(self, channel: int, *, with_mask: bool = True) -> str:
        """A channel's scheme in words, and, `with_mask`, whether it is of the nonzero voxels alone."""
        scheme = self.normalization_schemes[channel]
        masked = with_mask and scheme == _HEEDS_MASK and self.use_mask_for_norm[channel]
        return f"{scheme} of nonzero voxels" if masked else scheme

    @classmethod
    def from_dict(cls, given: Mapping[str, Any]) -> "Provenance":
        """Read what a checkpoint says of itself; further keys are ignored.

        Raises:
            ValueError: naming a key that is missing, or lists whose lengths contradict each other.
        """
        missing = [key for key in _REQUIRED if key not in given]
        if missing:
            raise ValueError(f"it does not say its {' and '.join(missing)}")
        crop = given.get("body_crop")
        if crop is not None and not isinstance(crop, bool):
            raise ValueError(f"its body_crop is {crop!r}, neither true nor false")
        words = {key: str(given.get(key) or "") for key in ("source", "plans_name", "dataset_name", "configuration")}
        provenance = cls(
            spacing=tuple(float(edge) for edge in given["spacing"]),
            normalization_schemes=tuple(str(scheme) for scheme in given["normalization_schemes"]),
            channel_names=tuple(str(name) for name in given["channel_names"]),
            transpose_forward=tuple(int(axis) for axis in given.get("transpose_forward", cls.transpose_forward)),
            use_mask_for_norm=tuple(bool(used) for used in given.get("use_mask_for_norm", ())),
            foreground=tuple(tuple(map(float, numbers)) for numbers in given.get("foreground", ())),
            body_crop=crop,
            orientations=tuple(map(str, given.get("orientations", ()))),
            **words,
        )
        if sorted(provenance.transpose_forward) != [0, 1, 2] or len(provenance.spacing) not in (2, 3):
            raise ValueError(f"it has the axes {provenance.transpose_forward} with {len(provenance.spacing)} spacings")
        if len(provenance.normalization_schemes) != len(provenance.channel_names):
            raise ValueError(
                f"it names {len(provenance.channel_names)} channels and {len(provenance.normalization_schemes)} "
                "normalisation schemes"
            )
        if provenance.use_mask_for_norm and len(provenance.use_mask_for_norm) != len(provenance.channel_names):
            raise ValueError(
                f"it names {len(provenance.channel_names)} channels and use_mask_for_norm of "
                f"{len(provenance.use_mask_for_norm)}"
            )
        if any(len(numbers) != 4 for numbers in provenance.foreground) or (
            provenance.foreground and len(provenance.foreground) != len(provenance.channel_names)
        ):
            raise ValueError(
                f"it does not say four numbers of the foreground for each channel: {provenance.foreground}"
            )
        return provenance

    def to_dict(self) -> dict[str, Any]:
        """Plain lists, numbers and texts, as `from_dict` reads them back."""
        return {key: list(value) if isinstance(value, tuple) else value for key, value in asdict(self).items()}


# arXiv 2605.21835: harmonised to 3 x 2 x 2 mm, cropped to the body, each channel z-scored per volume, PET first
RELEASED = Provenance(
    spacing=(3.0, 2.0, 2.0),
    normalization_schemes=("ZScoreNormalization", "ZScoreNormalization"),
    channel_names=("PET", "CT"),
    source="PET/CT masked autoencoder (arXiv 2605.21835)",
    use_mask_for_norm=(False, False),
    body_crop=True,
)


def channel_sources(
    pretrained: Sequence[str | None], wanted: Sequence[str], *, by_position: bool = False
) -> tuple[int | None, ...]:
    """For each wanted channel the pretrained one of the same name, in any case; None where there is none.

    Args:
        pretrained: names of the channels of the pretrained network, in their order; one that is None serves nobody.
        wanted: names of the channels of the new one.
        by_position: give pretrained channels that nobody asked for by name to the wanted ones without any, in order.
    """
    known = [None if name is None else name.casefold() for name in pretrained]
    found = [known.index(name.casefold()) if name.casefold() in known else None for name in wanted]
    if by_position:
        spare = iter([channel for channel, name in enumerate(known) if name is not None and channel not in found])
        found = [next(spare, None) if channel is None else channel for channel in found]
    return tuple(found)


def obstacles(pretrained: Provenance, target: Provenance) -> list[str]:
    """Why weights pretrained one way would mislead a network trained another way, one phrase a reason; [] if none."""
    return [
        *_other_spacing(pretrained.spacing, target.spacing),
        *_other_axes(pretrained.transpose_forward, target.transpose_forward),
        *_unknown_channels(pretrained.taught_channels, target.channel_names),
        *_other_normalisation(pretrained, target),
        *([] if None in (pretrained.body_crop, target.body_crop) else _other_body_crop(pretrained, target)),
    ]


def cautions(pretrained: Provenance, target: Provenance) -> list[str]:
    """What may mislead, or slow learning down, without ruling the weights out, one phrase each; [] if nothing."""
    crop_is_unknown = pretrained.body_crop is not None and target.body_crop is None
    return [
        *(_other_body_crop(pretrained, target) if crop_is_unknown else []),
        *_other_orientations(pretrained.orientations, target.orientations),
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


def _unknown_channels(pretrained: tuple[str | None, ...], wanted: tuple[str, ...]) -> list[str]:
    sources = channel_sources(pretrained, wanted)
    if None not in sources and len(set(sources)) == len(sources):
        return []
    taught = ", ".join(name for name in pretrained if name is not None)
    return [f"channels: pretrained on {taught}, the dataset has {', '.join(wanted)}"]


def _other_normalisation(pretrained: Provenance, target: Provenance) -> list[str]:
    both_known = bool(pretrained.use_mask_for_norm and target.use_mask_for_norm)
    reasons = []
    for channel, source in enumerate(channel_sources(pretrained.taught_channels, target.channel_names)):
        if source is None:
            continue
        before = pretrained.normalisation(source, with_mask=both_known)
        now = target.normalisation(channel, with_mask=both_known)
        name = target.channel_names[channel]
        if before != now:
            reasons.append(f"normalisation of {name}: pretrained with {before}, the plans have {now}")
        elif now == _HEEDS_FOREGROUND and pretrained.foreground and target.foreground:
            reasons += _other_foreground(pretrained.foreground[source], target.foreground[channel], name=name)
    return reasons


def _other_body_crop(pretrained: Provenance, target: Provenance) -> list[str]:
    if pretrained.body_crop == target.body_crop or _HEEDS_MASK not in target.normalization_schemes:
        return []
    words = {True: "cropped to the body", False: "not all cropped to the body", None: "not known to be cropped"}
    return [
        f"body crop: pretrained on scans {words[pretrained.body_crop]}, those of the dataset are "
        f"{words[target.body_crop]} (muduo harmonise {'with' if pretrained.body_crop else 'without'} --body-crop); a "
        "z-score depends on how much air a scan shows"
    ]


def _other_orientations(pretrained: Sequence[str], target: Sequence[str]) -> list[str]:
    new = sorted(set(target) - set(pretrained))
    if not pretrained or not new:
        return []
    return [
        f"orientation: pretrained on scans that the network sees as {' and '.join(pretrained)}, those of the dataset "
        f"lie as {' and '.join(new)}, which it has to learn anew; "
        '"overwrite_image_reader_writer": "SimpleITKIOWithReorient" in the dataset.json of both, before planning and '
        "pretraining, turns all scans alike"
    ]


def _other_foreground(pretrained: Sequence[float], target: Sequence[float], *, name: str) -> list[str]:
    """Compare what CTNormalization makes of soft tissue and of all that it clips."""
    probes = (_SOFT_TISSUE_IN_HU, *pretrained[2:], *target[2:])
    shift = max(abs(_scaled(value, pretrained) - _scaled(value, target)) for value in probes)
    if shift <= _MOST_SHIFT:
        return []
    told = [f"mean {mean:.0f}, sd {sd:.0f}, {low:.0f} to {high:.0f}" for mean, sd, low, high in (pretrained, target)]
    return [
        f"foreground that {_HEEDS_FOREGROUND} scales {name} by: pretrained with {told[0]}, the plans have {told[1]}"
    ]


def _scaled(value: float, foreground: Sequence[float]) -> float:
    """As nnU-Net's CTNormalization does it."""
    mean, sd, low, high = foreground
    return (min(max(value, low), high) - mean) / max(sd, 1e-8)


def _millimetres(spacing: tuple[float, ...]) -> str:
    return " x ".join(f"{edge:g}" for edge in spacing) + " mm"
