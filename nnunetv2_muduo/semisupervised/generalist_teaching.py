"""One promptable generalist that nobody but the student prompts."""

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from nnunetv2_muduo.semisupervised.answers import Evidence, OwnAnswer, Patches, TeacherAnswers
from nnunetv2_muduo.semisupervised.teaching import Teaching
from nnunetv2_muduo.settings import Settings
from nnunetv2_muduo.teachers import PromptableTeacher


class GeneralistTeaching(Teaching):
    """`Teaching` with one teacher, in the stream whose kind of prompt it gets, and without a prompt generator.

    Args:
        teacher: the generalist.
        settings: `generalist` says whether it sees the CT or the PET, `generalist_prompt` how it is asked.
        patch_size: (Z, Y, X) in voxels.
        spacing_in_mm: (z, y, x).
        channels: input channels of CT and PET.
        device: of the teacher and the patches.
        seed: of points drawn at random.
        axes: of the patches, as `Teaching` takes them.
    """

    def __init__(
        self,
        teacher: PromptableTeacher,
        *,
        settings: Settings,
        patch_size: Sequence[int],
        spacing_in_mm: Sequence[float],
        channels: tuple[int, int],
        device: torch.device,
        seed: int | None = None,
        axes: Sequence[int] = (0, 1, 2),
    ) -> None:
        self.sees_ct, self.by_mask = settings.generalist == "ct", settings.generalist_prompt == "mask"
        modality = "CT" if self.sees_ct else "PET"
        channel = channels[0 if self.sees_ct else 1]
        super().__init__(
            teacher if self.by_mask else None,
            None if self.by_mask else teacher,
            prompt_generator=None,
            settings=settings,
            patch_size=patch_size,
            spacing_in_mm=spacing_in_mm,
            channels=(channel, channel),
            device=device,
            seed=seed,
            modalities=(modality, modality),
            axes=axes,
        )

    @torch.inference_mode()
    def ask(self, patches: Patches, student: Tensor, own: OwnAnswer | None = None) -> TeacherAnswers:
        """Ask for every organ that the student sees (a voxel with a probability above one half).

        Args:
            patches: B patches.
            student: [B, K, Z, Y, X] the student's current probabilities of the organs.
            own: takes no part here.

        Returns:
            The answer as that of the teacher whose modality it saw; the other is off.
        """
        if self.by_mask:
            answers = super().ask(patches, student)
            probabilities = answers.p_ct
        else:
            logits, asked = self._ask_pet(patches, student > 0.5)
            evidence = Evidence(pet_logits=logits, pet_asked=asked, orientations=patches.orientations)
            answers = self.answer(evidence, student)
            probabilities = answers.p_pet
        p_ct, p_pet = (probabilities, None) if self.sees_ct else (None, probabilities)
        return replace(answers, p_ct=p_ct, p_pet=p_pet, generator=None)
