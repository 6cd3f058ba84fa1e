"""Which input channel is CT and which is PET."""

import re
from collections.abc import Iterable, Mapping

from nnunetv2_muduo.errors import UserError
from nnunetv2_muduo.settings import Settings

_CT_WORD = re.compile(r"ct.*|(ce|cb|ld|nc)ct")  # CT, CTres; contrast-enhanced, cone-beam, low-dose, non-contrast CT
_PET_WORD = re.compile(r"pet.*|pt|suv.*|fdg.*|psma.*")  # PT is the DICOM modality of PET
_WORDS = {"CT": _CT_WORD, "PET": _PET_WORD}


def find_channels(dataset_json: Mapping, settings: Settings) -> tuple[int, int]:
    """Input channels of CT and PET, from the settings where given, else from the dataset's channel names.

    Args:
        dataset_json: nnU-Net's dataset.json; its `channel_names` are read without regard to case.
        settings: `ct_channel` and `pet_channel` override the names.

    Returns:
        (ct_channel, pet_channel).

    Raises:
        UserError: when a channel is missing or ambiguous, naming the names found and the setting to use.
    """
    names = channel_names(dataset_json)
    for key in ("ct_channel", "pet_channel"):
        given = getattr(settings, key)
        if given is not None and given >= len(names):
            raise UserError(f"Setting '{key}' is {given}, but the dataset has only {_listed(names)}.")
    ct_candidates = _matching(names, _CT_WORD, given=settings.ct_channel, taken=settings.pet_channel)
    pet_candidates = _matching(names, _PET_WORD, given=settings.pet_channel, taken=settings.ct_channel)
    ct_channel = _only("CT", "ct_channel", ct_candidates, names)
    pet_channel = _only("PET", "pet_channel", pet_candidates, names)
    if ct_channel == pet_channel:
        raise UserError(
            f"Channel {ct_channel} ('{names[ct_channel]}') cannot be both CT and PET; MuDuo needs them as two channels "
            f"(the dataset has {_listed(names)})."
        )
    return ct_channel, pet_channel


def find_channel(
    dataset_json: Mapping, modality: str, *, remedy: str = "correct channel_names in its dataset.json"
) -> int:
    """The one input channel of a modality, where the other one need not be there.

    Args:
        dataset_json: nnU-Net's dataset.json; its `channel_names` are read without regard to case.
        modality: "CT" or "PET".
        remedy: what a user can do where the names do not tell.

    Raises:
        UserError: if no channel, or more than one, is called so.
    """
    names = channel_names(dataset_json)
    candidates = _matching(names, _WORDS[modality], given=None, taken=None)
    if len(candidates) == 1:
        return candidates[0]
    problem = "More than one channel is called" if candidates else "No channel is called"
    raise UserError(f"{problem} {modality}: the dataset has {_listed(names)}; {remedy}.")


def modality_of_channel(name: str) -> str | None:
    """ "CT" or "PET" as a channel's name tells, whatever else is in it; None where it tells neither or both."""
    found = [modality for modality, word in _WORDS.items() if _matching((name,), word, given=None, taken=None)]
    return found[0] if len(found) == 1 else None


def channel_names(dataset_json: Mapping) -> tuple[str, ...]:
    """Names of the input channels in their order; old datasets call them `modality`.

    Raises:
        UserError: if there are none.
    """
    named = dataset_json.get("channel_names", dataset_json.get("modality"))
    if not named:
        raise UserError('The dataset.json has no channel_names; add them, such as {"0": "CT", "1": "PET"}.')
    return tuple(str(named[key]) for key in sorted(named, key=int))


def _matching(names: tuple[str, ...], word: re.Pattern, *, given: int | None, taken: int | None) -> list[int]:
    if given is not None:
        return [given]
    return [i for i, name in enumerate(names) if i != taken and any(word.fullmatch(part) for part in _words(name))]


def _words(name: str) -> Iterable[str]:
    return re.findall(r"[a-z]+\d*", name.casefold())


def _only(modality: str, key: str, candidates: list[int], names: tuple[str, ...]) -> int:
    if len(candidates) == 1:
        return candidates[0]
    problem = "more than one channel is called" if candidates else "no channel is called"
    remedy = f"Correct channel_names in dataset.json, or set the channel with: muduo plan -d ID --set {key}=N"
    if len(names) == 1:
        remedy = f"Add {modality} to every scan, or train on what there is with -tr nnUNetTrainer."
    raise UserError(
        f"MuDuo needs one CT and one PET channel, but {problem} {modality}: the dataset has {_listed(names)}. {remedy}"
    )


def _listed(names: tuple[str, ...]) -> str:
    return ", ".join(f"channel {i} ('{name}')" for i, name in enumerate(names))
