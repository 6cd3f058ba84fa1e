"""Two frozen teachers side by side: masks prompt the CT teacher, points the PET teacher."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.functional import adaptive_avg_pool3d, interpolate

from nnunetv2_muduo.teachers.precision import computes_in_bfloat16
from nnunetv2_muduo.teachers.protocol import PromptableTeacher
from nnunetv2_muduo.teachers.view import ABSENT_LOGIT

MASK_PROMPTS = ("logits", "probabilities")
POINT_MASKS = ("zeros", "none")
_LEAST_PROBABILITY = 1e-4  # mask prompts stay within +-9.2, the range of the teachers' own logits

# embedding of b images, which images [b, 1] of the batch they are, organs [b, P] -> logits [b, P, M, M, M]
Decode = Callable[[Tensor, Tensor, Tensor], Tensor]


@dataclass(frozen=True)
class Encoded:
    """What a teacher's encoder made of some images of a batch.

    Attributes:
        embedding: [b, ...] one entry for each encoded image, in the teacher's own shape.
        images: [b] int64, ascending: which images of the batch they are.
    """

    embedding: Tensor
    images: Tensor

    def of(self, images: Tensor) -> Tensor:
        """Embedding of images [i] (int64, ascending) of the batch, all of them encoded."""
        if len(images) == len(self.images):
            return self.embedding
        return self.embedding[torch.searchsorted(self.images, images)]


class DualTeacher(nn.Module):
    """The CT stream and the PET stream of MuDuo (arXiv 2606.15611; METHODS.md, section 1).

    Each image is encoded once, whatever the number of organs. The teachers are frozen: always in eval mode, without
    gradients, under inference mode, in bfloat16 on GPUs and CPUs that compute in it (and nowhere else, whatever the
    caller's autocast says).

    An organ that is not asked for (all its point labels are -1, or `valid` is False) gets logits of -10, a probability
    of 5e-5. It is not sent to the teacher, except as a discarded filler where another image of the batch asks for more
    organs; an image that nothing is asked of is not encoded.

    Args:
        ct: the CT teacher, None to switch it off. Its parameters stop requiring gradients.
        pet: the PET teacher, None to switch it off. Likewise.
        mask_prompt: masks are sent as "logits", what the teachers were trained with, or as "probabilities" (published).
        point_mask: points are sent with a mask of "zeros", as in training, or with "none", the learned no-mask vector
            (published).
        bfloat16: compute in bfloat16; None: where the device has instructions for it.

    Raises:
        ValueError: for another `mask_prompt` or `point_mask`.
    """

    def __init__(
        self,
        ct: PromptableTeacher | None,
        pet: PromptableTeacher | None,
        *,
        mask_prompt: str = "logits",
        point_mask: str = "zeros",
        bfloat16: bool | None = None,
    ) -> None:
        super().__init__()
        if mask_prompt not in MASK_PROMPTS:
            raise ValueError(f"mask_prompt must be one of {', '.join(MASK_PROMPTS)}, not {mask_prompt!r}")
        if point_mask not in POINT_MASKS:
            raise ValueError(f"point_mask must be one of {', '.join(POINT_MASKS)}, not {point_mask!r}")
        self.ct = ct
        self.pet = pet
        self.mask_prompt = mask_prompt
        self.point_mask = point_mask
        self.in_bfloat16 = bfloat16  # `bfloat16` is a method of every module
        self.requires_grad_(False)
        self.eval()

    def train(self, mode: bool = True) -> "DualTeacher":
        """Stays in eval mode: a teacher is frozen."""
        return super().train(False)

    def label(
        self, ct: Tensor, pet: Tensor, masks: Tensor, coords: Tensor, labels: Tensor
    ) -> tuple[Tensor | None, Tensor | None]:
        """Label cubes for K organs with both teachers.

        Args:
            ct, pet: [B, 1, S, S, S] in the teachers' view: z-normalised, axes (x, y, z).
            masks: [B, K, S, S, S] (or M-cubes) probabilities in [0, 1], prompts of the CT teacher.
            coords: [B, K, N, 3] voxels of the S-cube (x, y, z), prompts of the PET teacher.
            labels: [B, K, N] 1 foreground, 0 background, -1 unused slot; all -1 for an organ that is absent.

        Returns:
            Probabilities [B, K, S, S, S] of CT and PET, float32; None for a teacher that is switched off.
        """
        p_ct = None if self.ct is None else _probabilities(self.ct_logits(ct, masks), self.ct.spec.cube_size)
        p_pet = None
        if self.pet is not None:
            p_pet = _probabilities(self.pet_logits(pet, coords, labels), self.pet.spec.cube_size)
        return p_ct, p_pet

    def ct_logits(self, ct_cubes: Tensor, masks: Tensor, *, valid: Tensor | None = None) -> Tensor:
        """Ask the CT teacher with masks.

        Args:
            ct_cubes: [B, 1, S, S, S] in the teacher's view.
            masks: [B, K, M, M, M], or [B, K, S, S, S] to be averaged to the M-cube; probabilities in [0, 1].
            valid: [B, K] bool, the organs to ask for; None asks for all.

        Returns:
            logits [B, K, M, M, M], float32.

        Raises:
            ValueError: if the CT teacher is switched off.
        """
        return self.ct_logits_of(self.encode_ct(ct_cubes, None if valid is None else valid.any(1)), masks, valid=valid)

    def encode_ct(self, ct_cubes: Tensor, wanted: Tensor | None = None) -> Encoded:
        """The part of `ct_logits` that needs no prompts.

        Args:
            ct_cubes: [B, 1, S, S, S] in the teacher's view.
            wanted: [B] bool, the images to encode; None encodes all.

        Raises:
            ValueError: if the CT teacher is switched off.
        """
        return self._encode(_switched_on(self.ct, "CT"), ct_cubes, wanted)

    def ct_logits_of(self, encoded: Encoded, masks: Tensor, *, valid: Tensor | None = None) -> Tensor:
        """The rest of `ct_logits`: ask with masks about images that were encoded before.

        Args:
            encoded: what `encode_ct` returned, of every image that anything is asked of.
            masks: as in `ct_logits`; the device of the result is theirs.
            valid: likewise.

        Returns:
            logits [B, K, M, M, M], float32.
        """
        teacher = _switched_on(self.ct, "CT")
        prompts = self._mask_prompts(masks, teacher.spec.mask_size)

        def decode(embedding: Tensor, images: Tensor, organs: Tensor) -> Tensor:
            return teacher.decode(embedding, masks=prompts[images, organs])[0]

        if valid is None:
            valid = torch.ones(masks.shape[:2], dtype=torch.bool)  # on the CPU: a GPU need not be waited for
        return self._ask(teacher, encoded, valid, decode, device=masks.device)

    def pet_logits(self, pet_cubes: Tensor, coords: Tensor, labels: Tensor) -> Tensor:
        """Ask the PET teacher with points.

        Args:
            pet_cubes: [B, 1, S, S, S] in the teacher's view.
            coords: [B, K, N, 3] voxels of the S-cube (x, y, z).
            labels: [B, K, N] 1 foreground, 0 background, -1 unused slot; an organ with no other is not asked for.

        Returns:
            logits [B, K, M, M, M], float32; -10 for an organ without points.

        Raises:
            ValueError: if the PET teacher is switched off.
        """
        teacher = _switched_on(self.pet, "PET")
        size = teacher.spec.mask_size

        def decode(embedding: Tensor, images: Tensor, organs: Tensor) -> Tensor:
            masks = None
            if self.point_mask == "zeros":  # one zero behind all strides: a teacher may embed a shared mask once
                masks = embedding.new_zeros(1).expand(*organs.shape, size, size, size)
            return teacher.decode(embedding, coords[images, organs], labels[images, organs], masks)[0]

        wanted = (labels >= 0).any(2)
        encoded = self._encode(teacher, pet_cubes, wanted.any(1))
        return self._ask(teacher, encoded, wanted, decode, device=pet_cubes.device)

    @torch.no_grad()
    def _encode(self, teacher: PromptableTeacher, cubes: Tensor, wanted: Tensor | None) -> Encoded:
        """Encode the wanted images; nothing at all where none is wanted."""
        if wanted is None:
            wanted = torch.ones(len(cubes), dtype=torch.bool)
        images = wanted.nonzero()[:, 0].to(cubes.device, non_blocking=True)
        if images.numel() == 0:
            return Encoded(cubes.new_zeros(0), images)
        with torch.inference_mode(), self._precision(cubes.device):
            return Encoded(teacher.encode(cubes[images]), images)

    @torch.no_grad()
    def _ask(
        self, teacher: PromptableTeacher, encoded: Encoded, wanted: Tensor, decode: Decode, *, device: torch.device
    ) -> Tensor:
        """Decode what is asked for, and put the answers in their places.

        The result is made outside of inference mode, so that a loss may use it.
        """
        size = teacher.spec.mask_size
        logits = torch.full((*wanted.shape, size, size, size), ABSENT_LOGIT, device=device)
        images, organs = _pack(wanted)
        if images.numel() == 0:
            return logits
        asked = wanted[images, organs].to(device, non_blocking=True)
        images, organs = (index.to(device, non_blocking=True) for index in (images, organs))
        with torch.inference_mode(), self._precision(device):
            answers = decode(encoded.of(images[:, 0]), images, organs).float()
            logits[images, organs] = answers.where(asked[:, :, None, None, None], ABSENT_LOGIT)
        return logits

    def computes_in_bfloat16(self, device: torch.device) -> bool:
        """Whether teachers on this device compute in bfloat16."""
        return computes_in_bfloat16(device) if self.in_bfloat16 is None else self.in_bfloat16

    def _precision(self, device: torch.device) -> torch.autocast:
        return torch.autocast(device.type, torch.bfloat16, enabled=self.computes_in_bfloat16(device))

    def _mask_prompts(self, masks: Tensor, size: int) -> Tensor:
        """Probabilities [B, K, s, s, s] -> mask prompts [B, K, M, M, M], float32."""
        masks = masks.detach().float()
        if masks.shape[-1] != size:
            masks = adaptive_avg_pool3d(masks, size)
        return masks.logit(eps=_LEAST_PROBABILITY) if self.mask_prompt == "logits" else masks


def _pack(wanted: Tensor) -> tuple[Tensor, Tensor]:
    """Which images and organs to send: images [b, 1] with anything wanted, and their organs [b, P], wanted ones first.

    P is the largest number of organs wanted of one image; images that want fewer are filled up with others.
    """
    images = wanted.any(1).nonzero()
    wanted = wanted[images[:, 0]]
    most = int(wanted.sum(1).max()) if len(images) else 0
    organs = wanted.to(torch.uint8).argsort(dim=1, descending=True, stable=True)
    return images, organs[:, :most]


def _probabilities(logits: Tensor, size: int) -> Tensor:
    """Logits [B, K, M, M, M] -> probabilities [B, K, size, size, size], interpolated as logits (as published)."""
    with torch.no_grad():
        return interpolate(logits, size=(size,) * 3, mode="trilinear", align_corners=False).sigmoid_()


def _switched_on(teacher: PromptableTeacher | None, name: str) -> PromptableTeacher:
    if teacher is None:
        raise ValueError(f"the {name} teacher is switched off")
    return teacher
