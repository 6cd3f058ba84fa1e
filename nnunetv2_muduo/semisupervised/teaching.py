"""From one batch of unlabelled patches to what the two teachers say about it."""

from collections.abc import Sequence
from functools import partial

import torch
from torch import Tensor, nn

from nnunetv2_muduo.distillation import prompt_agreement, without_the_unfit
from nnunetv2_muduo.prompting import points_from_masks
from nnunetv2_muduo.semisupervised.answers import (
    Evidence,
    Orientations,
    OwnAnswer,
    Patches,
    TeacherAnswers,
    TeacherLabels,
    organ_masks,
)
from nnunetv2_muduo.settings import Settings
from nnunetv2_muduo.teachers import DualTeacher, PromptableTeacher, TeacherView
from nnunetv2_muduo.teachers.dual import Encoded
from nnunetv2_muduo.teachers.intensity import CLAMP
from nnunetv2_muduo.teachers.mixed_views import MixedViews
from nnunetv2_muduo.teachers.orientation import mirrored_axes


class Teaching:
    """Two frozen teachers, their views of the patch, and the prompt generator, on one device.

    `channels` and `modalities` say what the one that masks prompt sees (CT in MuDuo), then the one that points prompt.
    `axes` are those of the patches, `transpose_forward` of the plans: teachers see them in the scan's own order.
    """

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
        modalities: tuple[str, str] = ("CT", "PET"),
        axes: Sequence[int] = (0, 1, 2),
    ) -> None:
        self.dual = DualTeacher(ct, pet, mask_prompt=settings.mask_prompt, point_mask=settings.point_mask).to(device)
        self.prompt_generator = prompt_generator
        self.settings = settings
        self.ct_channel, self.pet_channel = channels
        self.device = device
        self.spacing_in_mm = tuple(float(step) for step in spacing_in_mm)
        self.axes = tuple(int(axis) for axis in axes)

        def view(teacher: PromptableTeacher | None, clamp: tuple[float, float] | None) -> TeacherView | None:
            if teacher is None:
                return None
            return TeacherView(
                teacher.spec,
                patch_size=patch_size,
                spacing_in_mm=spacing_in_mm,
                grid=settings.grid,
                clamp=clamp,
                axes=axes,
            )

        self.ct_view, self.pet_view = view(ct, CLAMP[modalities[0]]), view(pet, CLAMP[modalities[1]])
        self.randomness = torch.Generator(device=device)
        if seed is not None:
            self.randomness.manual_seed(seed)
        else:
            self.randomness.seed()

    def mirrors(self, orientation: str | None) -> bool:
        """Whether a teacher sees patches of a scan stored so mirrored."""
        return any(self._mirrored_axes(orientation))

    def in_other_order(self, orientation: str | None) -> bool:
        """Whether a scan stored so has its axes in another order than a teacher knows, which no mirror puts right."""
        return None in self._mirrored_axes(orientation)

    def _mirrored_axes(self, orientation: str | None) -> list[tuple[int, ...] | None]:
        """Of each teacher's view, see `mirrored_axes`; nothing where nobody knows how the scan is stored."""
        views = [view for view in (self.ct_view, self.pet_view) if view is not None and orientation is not None]
        return [mirrored_axes(str(orientation), view.spec.orientation) for view in views]

    @torch.inference_mode()
    def label(
        self,
        patches: Patches,
        student: Tensor,
        own: OwnAnswer | None = None,
        *,
        ct_share: Tensor | None = None,
        by_prompts: Tensor | None = None,
    ) -> TeacherLabels:
        """Ask both teachers for every organ of every patch, and judge what they say.

        Args:
            patches: B patches.
            student: [B, K, Z, Y, X] the student's current probabilities of the organs.
            own: the averaged student's answer, where it takes part.
            ct_share: as `judge` takes it.
            by_prompts: likewise.
        """
        return self.judge(self.ask(patches, student, own), own, ct_share=ct_share, by_prompts=by_prompts)

    @torch.inference_mode()
    def ask(self, patches: Patches, student: Tensor, own: OwnAnswer | None = None) -> TeacherAnswers:
        """Ask both teachers for every organ of every patch; arguments as for `label`."""
        if self.prompt_generator is not None:
            return self.answer(self.gather(patches, own=own), student)
        found = (student > 0.5).flatten(1).any(1)  # spares encoding patches that nothing will be asked about
        return self.answer(self.gather(patches, worth_encoding=found), student)

    @torch.inference_mode()
    def judge(
        self,
        answers: TeacherAnswers,
        own: OwnAnswer | None = None,
        *,
        ct_share: Tensor | None = None,
        by_prompts: Tensor | None = None,
    ) -> TeacherLabels:
        """Which answers are pseudo-labels, and how much of them is the CT teacher's.

        Args:
            answers: about B patches.
            own: the averaged student's answer, where it takes part.
            ct_share: [K] weight of the CT teacher in [0, 1], organ by organ; None: one half. With the setting `fusion`
                "report" a teacher whose answer does not overlap with its prompt has no part in a mixture.
            by_prompts: [K] bool, organs that the prompts label in the place of both teachers; None: none.
        """
        if by_prompts is not None:
            answers = answers.replaced_by_prompts(by_prompts)
        p_ct, p_pet, valid, least = answers.p_ct, answers.p_pet, answers.asked, self.settings.min_prompt_iou
        mix = None if ct_share is None else ct_share.expand(valid.shape)
        if least > 0:
            if self.chooses:
                fit = [prompt_agreement(alone, alone, answers.prompted) >= least for alone in (p_ct, p_pet)]
                half = torch.full_like(valid, 0.5, dtype=torch.float32)
                mix = without_the_unfit(half if mix is None else mix, *fit)
            valid = valid & (prompt_agreement(p_ct, p_pet, answers.prompted, mix) >= least)
        vote = None if own is None else own.vote
        return TeacherLabels(p_ct, p_pet, answers.generator, valid, vote, mix)

    def conclude(
        self,
        evidence: Evidence,
        student: Tensor,
        own: OwnAnswer | None = None,
        *,
        ct_share: Tensor | None = None,
        by_prompts: Tensor | None = None,
    ) -> TeacherLabels:
        """`label`, of what was gathered before."""
        return self.judge(self.answer(evidence, student), own, ct_share=ct_share, by_prompts=by_prompts)

    @property
    def chooses(self) -> bool:
        """Whether either teacher may label an organ alone."""
        return self.settings.fusion == "report" and self.ct_view is not None and self.pet_view is not None

    @torch.inference_mode()
    def gather(
        self, patches: Patches, *, worth_encoding: Tensor | None = None, own: OwnAnswer | None = None
    ) -> Evidence:
        """Whatever does not depend on the student, unless its own answer has a share in the prompts.

        Args:
            patches: B patches.
            worth_encoding: [B] bool, patches whose CT will be asked about; None: those in which the prompt generator
                found something, or all where there is no generator.
            own: the averaged student's answer, where it takes part.
        """
        probabilities, labels = self._generate_prompts(patches.clean, own)
        masks = None
        if probabilities is not None and labels is not None:
            masks = organ_masks(labels, probabilities.shape[1])
            if worth_encoding is None:
                worth_encoding = (labels > 0).flatten(1).any(1)
        encoded, ct_logits = self._encode_ct(patches, worth_encoding), None
        by_generator = self.settings.ct_prompt == "generator"
        if by_generator and encoded is not None and probabilities is not None and masks is not None:
            ct_logits = self._ask_ct(encoded, probabilities, _found_in(masks), patches.orientations)
            encoded = None
        pet_logits, pet_asked = self._ask_pet(patches, masks)
        return Evidence(labels, encoded, ct_logits, pet_logits, pet_asked, patches.orientations)

    @torch.inference_mode()
    def answer(self, evidence: Evidence, student: Tensor) -> TeacherAnswers:
        """Let the student prompt the CT teacher, where it has not answered yet, and bring everything to the patch.

        Args:
            evidence: of `gather`, about B patches.
            student: [B, K, Z, Y, X] the student's current probabilities of the organs.
        """
        generator = None if evidence.generator is None else organ_masks(evidence.generator, student.shape[1])
        found = student > 0.5 if generator is None else generator
        valid = _found_in(found)
        if self.pet_view is not None and evidence.pet_asked is not None:
            # a few voxels may cover no more than half of any voxel of a tile, and have no point there
            valid = valid & evidence.pet_asked.unflatten(0, (-1, self.pet_view.n_cubes)).any(1)
        p_ct = p_pet = None
        seen = evidence.orientations
        if self.ct_view is not None:
            ct_logits = evidence.ct_logits
            if ct_logits is None and evidence.ct is not None:
                ct_logits = self._ask_ct(evidence.ct, student, valid, seen)
            if ct_logits is not None:
                p_ct = self.ct_view.of_scans(seen).back(ct_logits, self._on_cubes(valid)).sigmoid()
        if self.pet_view is not None and evidence.pet_logits is not None:
            p_pet = self.pet_view.of_scans(seen).back(evidence.pet_logits, evidence.pet_asked).sigmoid()
        return TeacherAnswers(p_ct, p_pet, generator, found, valid)

    def _generate_prompts(self, clean: Tensor, own: OwnAnswer | None) -> tuple[Tensor | None, Tensor | None]:
        """Probabilities [B, K, Z, Y, X] and label map [B, Z, Y, X] of the generator and the student's share in them."""
        if self.prompt_generator is None:
            return None, None
        with torch.autocast(clean.device.type, enabled=clean.device.type == "cuda"):
            logits = self.prompt_generator(clean)
        probabilities = logits.float().softmax(1)
        if own is not None and own.prompt_share > 0:
            background = 1 - own.probabilities.sum(1, keepdim=True)
            probabilities = probabilities.lerp(torch.cat([background, own.probabilities], 1), own.prompt_share)
        return probabilities[:, 1:], probabilities.argmax(1)

    def _on_cubes(self, valid: Tensor) -> Tensor:
        """[B, K] of patches -> [B*n, K] of the CT teacher's cubes."""
        assert self.ct_view is not None
        return valid.repeat_interleave(self.ct_view.n_cubes, dim=0)

    def _encode_ct(self, patches: Patches, wanted: Tensor | None) -> Encoded | None:
        if self.ct_view is None:
            return None
        cubes = self.ct_view.of_scans(patches.orientations).images(patches.raw[:, [self.ct_channel]])
        return self.dual.encode_ct(cubes, None if wanted is None else self._on_cubes(wanted))

    def _ask_ct(self, encoded: Encoded, masks: Tensor, valid: Tensor, orientations: Orientations | None) -> Tensor:
        assert self.ct_view is not None
        prompts = self.ct_view.of_scans(orientations).low_resolution_masks(masks)
        return self.dual.ct_logits_of(encoded, prompts, valid=self._on_cubes(valid))

    def _ask_pet(self, patches: Patches, masks: Tensor | None) -> tuple[Tensor | None, Tensor | None]:
        if self.pet_view is None or masks is None:
            return None, None
        view, pet = self.pet_view.of_scans(patches.orientations), patches.raw[:, [self.pet_channel]]
        cubes = view.images(pet)
        coords, labels = self._place_points(view, pet, cubes, masks)
        return self.dual.pet_logits(cubes, coords, labels), (labels == 1).any(2)

    def _place_points(
        self, view: TeacherView | MixedViews, pet: Tensor, cubes: Tensor, masks: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Points for the cubes, coords [B*n, K, N, 3] (x, y, z) and labels [B*n, K, N]."""
        place = partial(
            points_from_masks,
            points=self.settings.points,
            strategy=self.settings.point_strategy,
            generator=self.randomness,
        )
        in_raster_order = self.settings.point_strategy == "first"  # of z, y and x, whichever way the scan is stored
        if view.n_cubes == 1:
            if in_raster_order:
                return view.points(*place(view.as_seen(masks)), as_seen=True)
            return view.points(*place(masks, uptake=pet))
        tiles = view.masks(masks.float()) > 0.5  # every tile an organ reaches needs points of its own
        if in_raster_order:
            coords, labels = place(tiles.transpose(-1, -3))
            return coords.flip(-1), labels
        return place(tiles, uptake=cubes)


def _found_in(masks: Tensor) -> Tensor:
    """[B, K] bool, which of the masks [B, K, Z, Y, X] hold anything."""
    return masks.flatten(2).any(2)
