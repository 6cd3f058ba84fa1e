"""From one batch of unlabelled patches to what the two teachers say about it."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn

from nnunetv2_muduo.distillation import both_streams, soft_iou
from nnunetv2_muduo.prompting import points_from_masks
from nnunetv2_muduo.settings import Settings
from nnunetv2_muduo.teachers import DualTeacher, PromptableTeacher, TeacherView

CT_CLAMP_IN_HU = (-1000.0, 1000.0)


@dataclass(frozen=True)
class Patches:
    """A batch of patches in both the forms that are needed.

    Attributes:
        clean: [B, C, Z, Y, X] as nnU-Net normalises them, not augmented.
        raw: [B, C, Z, Y, X] the same patches in HU and SUV.
    """

    clean: Tensor
    raw: Tensor


@dataclass(frozen=True)
class TeacherLabels:
    """What the teachers say about a batch of patches.

    Attributes:
        p_ct: [B, K, Z, Y, X] probabilities of the CT teacher; None where it is switched off.
        p_pet: [B, K, Z, Y, X] probabilities of the PET teacher; None where it is switched off.
        generator: [B, K, Z, Y, X] bool, the prompt generator's organs; None where nothing needs it.
        valid: [B, K] bool, the organ was found in the patch, and the teachers' answer is about what was found.
    """

    p_ct: Tensor | None
    p_pet: Tensor | None
    generator: Tensor | None
    valid: Tensor

    @property
    def streams(self) -> tuple[Tensor, Tensor]:
        """Both streams; with one teacher switched off the other stands in for it."""
        return both_streams(self.p_ct, self.p_pet)


def prompt_agreement(p_ct: Tensor | None, p_pet: Tensor | None, prompted: Tensor) -> Tensor:
    """[B, K] soft IoU of the teachers' mean with the masks [B, K, Z, Y, X] (bool) that prompted them.

    A few stray voxels of the prompt generator make a teacher outline whatever organ they lie in, and both teachers may
    well agree on it: this tells such answers from those about the organ that was meant.
    """
    first, second = both_streams(p_ct, p_pet)
    return soft_iou((first + second) / 2, prompted.to(first.dtype))


class Teaching:
    """Two frozen teachers, their views of the patch, and the prompt generator, on one device."""

    def __init__(
        self,
        ct: PromptableTeacher | None,
        pet: PromptableTeacher | None,
        *,
        prompt_generator: nn.Module | None,
        settings: Settings,
        patch_size: Sequence[int],
        spacing_in_mm: Sequence[float],
        channels: tuple[int, int],
        device: torch.device,
        seed: int | None = None,
    ) -> None:
        self.dual = DualTeacher(ct, pet, mask_prompt=settings.mask_prompt, point_mask=settings.point_mask).to(device)
        self.prompt_generator = prompt_generator
        self.settings = settings
        self.ct_channel, self.pet_channel = channels

        def view(teacher: PromptableTeacher | None, clamp: tuple[float, float] | None) -> TeacherView | None:
            if teacher is None:
                return None
            return TeacherView(
                teacher.spec, patch_size=patch_size, spacing_in_mm=spacing_in_mm, grid=settings.grid, clamp=clamp
            )

        self.ct_view, self.pet_view = view(ct, CT_CLAMP_IN_HU), view(pet, None)
        self.randomness = torch.Generator(device=device)
        if seed is not None:
            self.randomness.manual_seed(seed)
        else:
            self.randomness.seed()

    @torch.inference_mode()
    def label(self, patches: Patches, student: Tensor) -> TeacherLabels:
        """Ask both teachers for every organ of every patch.

        Args:
            patches: B patches.
            student: [B, K, Z, Y, X] the student's current probabilities of the organs.
        """
        generator_probabilities, generator_masks = self._generate_prompts(patches.clean)
        ct_masks = student
        if self.settings.ct_prompt == "generator" and generator_probabilities is not None:
            ct_masks = generator_probabilities
        found = generator_masks if generator_masks is not None else student > 0.5
        valid = found.flatten(2).any(2)
        p_ct = self._ask_ct(patches.raw, ct_masks, valid)
        p_pet = self._ask_pet(patches.raw, generator_masks)
        if self.settings.min_prompt_iou > 0:
            valid = valid & (prompt_agreement(p_ct, p_pet, found) >= self.settings.min_prompt_iou)
        return TeacherLabels(p_ct, p_pet, generator_masks, valid)

    def _generate_prompts(self, clean: Tensor) -> tuple[Tensor | None, Tensor | None]:
        if self.prompt_generator is None:
            return None, None
        with torch.autocast(clean.device.type, enabled=clean.device.type == "cuda"):
            logits = self.prompt_generator(clean)
        labels = logits.argmax(1, keepdim=True)
        organs = torch.arange(1, logits.shape[1], device=logits.device).view(1, -1, 1, 1, 1)
        return logits.float().softmax(1)[:, 1:], labels == organs

    def _ask_ct(self, raw: Tensor, masks: Tensor, valid: Tensor) -> Tensor | None:
        if self.ct_view is None:
            return None
        cubes = self.ct_view.images(raw[:, [self.ct_channel]])
        valid = valid.repeat_interleave(self.ct_view.n_cubes, dim=0)
        logits = self.dual.ct_logits(cubes, self.ct_view.low_resolution_masks(masks), valid=valid)
        return self.ct_view.back(logits, valid).sigmoid()

    def _ask_pet(self, raw: Tensor, masks: Tensor | None) -> Tensor | None:
        if self.pet_view is None or masks is None:
            return None
        pet = raw[:, [self.pet_channel]]
        cubes = self.pet_view.images(pet)
        coords, labels = self._place_points(self.pet_view, pet, cubes, masks)
        logits = self.dual.pet_logits(cubes, coords, labels)
        return self.pet_view.back(logits, (labels == 1).any(2)).sigmoid()

    def _place_points(self, view: TeacherView, pet: Tensor, cubes: Tensor, masks: Tensor) -> tuple[Tensor, Tensor]:
        """Points for the cubes, coords [B*n, K, N, 3] (x, y, z) and labels [B*n, K, N]."""
        place = partial(
            points_from_masks,
            points=self.settings.points,
            strategy=self.settings.point_strategy,
            generator=self.randomness,
        )
        if view.n_cubes == 1:  # on the patch, whose raster order is the one "first" means
            return view.points(*place(masks, uptake=pet))
        return place(
            view.masks(masks.float()) > 0.5, uptake=cubes
        )  # every tile an organ reaches needs points of its own
