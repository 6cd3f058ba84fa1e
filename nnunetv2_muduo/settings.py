"""Everything a user can set: one frozen dataclass, read once from `plans["muduo"]`."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from nnunetv2_muduo.errors import UserError
from nnunetv2_muduo.json_files import parse_json
from nnunetv2_muduo.setting_rules import (
    Choice,
    Name,
    Real,
    Switch,
    Whole,
    check_settings,
    setting,
    settings_from,
    shown,
)


@dataclass(frozen=True)
class Settings:
    """The settings of a MuDuo training run; None means "derived", except for a teacher, where it means "switched off".

    Numbers and choices marked (published) reproduce the published code; METHODS names are those of arXiv 2606.15611.

    Attributes:
        ct_teacher: the CT teacher, by a name that `muduo weights` lists or a file in the weights folder; None switches
            that teacher off.
        pet_teacher: the PET teacher, likewise.
        grid: "patch" resizes a patch to the teacher's cube; "1.5mm" tiles it at the teacher's own spacing.
        ct_prompt: where the CT teacher's mask prompt comes from: the "student" (published) or the prompt "generator".
        mask_prompt: mask prompts as "logits" (what the teachers were trained with) or "probabilities" (published).
        point_mask: mask sent along with points: "zeros" (what the teachers were trained with) or "none" (published).
        points: points per organ for the PET teacher (3 published).
        point_strategy: where in the prompt generator's mask points lie: "spread" far apart, "random", "uptake" (spread
            over its hottest tenth), "centroid" (one, whatever `points` says), "components" (one in each connected
            component, the largest first, for lesions), or "first" in raster order of z, y, x as the teacher sees the
            scan (published).
        keep_fraction: share of the unlabelled batch that the consensus filter keeps per organ; 1.0 switches it off.
        min_iou: least teacher agreement (soft IoU) of a patch that is kept; 0 switches this threshold off.
        min_prompt_iou: least overlap (soft IoU) of the teachers' mean with the prompt generator's mask; 0 (published)
            switches it off. Stray voxels of the generator prompt the teachers for another organ: 0.2 rejects those.
        fusion: "random" mixes the teachers with a weight drawn per patch and organ (published); "mean" averages them;
            "report" lets an organ be labelled by the CT teacher alone, by the PET teacher alone or by their mean,
            whichever is best on labelled patches of the validation cases (or, where these do not tell, of the training
            cases), and leaves a teacher out of the mean where its
            own answer is below `min_prompt_iou`.
        prompts_label: an organ that the prompt generator outlines better than the teachers do, on labelled patches of
            the validation cases, is labelled by the masks that prompt them; false (published): by teachers alone.
        student_share: weight of the averaged student's own answer in a pseudo-label, the teachers having the rest; it
            grows with the ramp of the consistency weight. 0 (published): the teachers decide alone.
        student_prompt_share: weight of the averaged student's own answer in what prompts the teachers, the prompt
            generator having the rest; grows likewise. 0 (published): the generator prompts alone.
        reliability: "none" (published), or "report": an organ's consistency loss is weighted by how much better the
            fused teachers are than the student on labelled patches, or "gate": it counts in full where the
            pseudo-labels are at least as good as the student there, and elsewhere not at all. These patches are the
            validation cases', so that both need a fold that holds cases out: not "all".
        spatial_augmentation: unlabelled patches are turned and scaled before the student as nnU-Net turns and scales
            labelled ones, and pseudo-labels with them; false (published): their intensities alone are augmented.
        consistency_weight: lambda_max, the weight of the consistency loss at the end of its ramp.
        ramp_fraction: share of the training over which the weight ramps up; 0 means full weight at once.
        warmup_epochs: epochs on labelled patches alone before the teachers come in.
        predict_with: what is validated and predicts: the "student", or "ema", an average of its weights over the steps;
            trainers that keep none (SwinUNETR-v2, linear probes) say so in their log.
        ema_decay: memory of that average, also where it is Mean Teacher's, UA-MT's or SemiSAM's teacher (published).
        uncertainty_passes: disturbed inputs over which UA-MT takes the mean prediction (8 published).
        generalist: which teacher SemiSAM asks: "ct" is the one that `ct_teacher` names, "pet" that of `pet_teacher`.
        generalist_prompt: SemiSAM's prompt, the student's probabilities as a "mask" or "points" inside its mask.
        unlabelled_batch_size: unlabelled patches per step; None: the plan's batch size, at least 2.
        num_epochs: training epochs; None: the trainer's own (nnU-Net: 1000).
        iterations_per_epoch: training steps per epoch; None: the trainer's own (nnU-Net: 250).
        val_iterations_per_epoch: validation steps per epoch; None: the trainer's own (nnU-Net: 50).
        optimizer: "sgd", nnU-Net's own with momentum 0.99, or "adamw" (nnU-Net's nnUNetTrainerAdam), which learns small
            organs several times sooner and suits trainings of a few hundred steps; also of the prompt generator.
        initial_lr: learning rate at the start of the poly schedule; None: nnU-Net's 0.01 for SGD, 0.001 for AdamW.
        mirroring: labelled patches are mirrored at random and predictions averaged over mirrored inputs, as in nnU-Net;
            false where left and right organs are labels of their own.
        prompt_epochs: epochs of the prompt generator; None: a tenth of the training's epochs.
        ct_channel: input channel that holds CT; None: found from the dataset's channel names.
        pet_channel: input channel that holds PET; None: found from the dataset's channel names.
        teacher_cache: whatever does not depend on the student (the encoded CT, the PET teacher's answers, the prompt
            generator's; with ct_prompt "generator" all answers) is computed once, before the training, on tiles of each
            unlabelled scan and read from the disk; unlabelled patches are then those tiles, and points drawn at
            "random" are drawn once.
        cache_tiles: at most so many tiles of a scan in the cache, spread evenly over the body.
        report_every: epochs between two teacher reports.
        report_patches: labelled patches in a teacher report.
        seed: of the initial weights and of everything that is drawn in a training, in every process and worker; None:
            different every run.

    Raises:
        UserError: for a mistyped or out-of-range value, naming the key, the value and what is allowed.
    """

    ct_teacher: str | None = setting("sam_med3d_turbo", Name(), optional=True)
    pet_teacher: str | None = setting("seganypet_v1", Name(), optional=True)
    grid: str = setting("patch", Choice(("patch", "1.5mm")))
    ct_prompt: str = setting("student", Choice(("student", "generator")))
    mask_prompt: str = setting("logits", Choice(("logits", "probabilities")))
    point_mask: str = setting("zeros", Choice(("zeros", "none")))
    points: int = setting(3, Whole(1))
    point_strategy: str = setting("spread", Choice(("spread", "random", "uptake", "centroid", "components", "first")))
    keep_fraction: float = setting(0.5, Real(0.0, 1.0, open_below=True))
    min_iou: float = setting(0.0, Real(0.0, 1.0))
    min_prompt_iou: float = setting(0.0, Real(0.0, 1.0))
    fusion: str = setting("random", Choice(("random", "mean", "report")))
    prompts_label: bool = setting(False, Switch())
    student_share: float = setting(0.0, Real(0.0, 1.0))
    student_prompt_share: float = setting(0.0, Real(0.0, 1.0))
    reliability: str = setting("none", Choice(("none", "report", "gate")))
    spatial_augmentation: bool = setting(False, Switch())
    consistency_weight: float = setting(0.1, Real(0.0, 100.0))
    ramp_fraction: float = setting(1.0, Real(0.0, 1.0))
    warmup_epochs: int = setting(0, Whole(0))
    predict_with: str = setting("student", Choice(("student", "ema")))
    ema_decay: float = setting(0.99, Real(0.0, 1.0))
    uncertainty_passes: int = setting(8, Whole(1))
    generalist: str = setting("ct", Choice(("ct", "pet")))
    generalist_prompt: str = setting("mask", Choice(("mask", "points")))
    unlabelled_batch_size: int | None = setting(None, Whole(2), optional=True)
    num_epochs: int | None = setting(None, Whole(1), optional=True)
    iterations_per_epoch: int | None = setting(None, Whole(1), optional=True)
    val_iterations_per_epoch: int | None = setting(None, Whole(1), optional=True)
    optimizer: str = setting("sgd", Choice(("sgd", "adamw")))
    initial_lr: float | None = setting(None, Real(0.0, 1.0, open_below=True), optional=True)
    mirroring: bool = setting(True, Switch())
    prompt_epochs: int | None = setting(None, Whole(1), optional=True)
    ct_channel: int | None = setting(None, Whole(0), optional=True)
    pet_channel: int | None = setting(None, Whole(0), optional=True)
    teacher_cache: bool = setting(False, Switch())
    cache_tiles: int = setting(64, Whole(1))
    report_every: int = setting(10, Whole(1))
    report_patches: int = setting(8, Whole(1))
    seed: int | None = setting(None, Whole(0), optional=True)

    def __post_init__(self) -> None:
        check_settings(self)
        _check_together(self)

    @classmethod
    def from_plans(cls, plans: Mapping[str, Any]) -> "Settings":
        """Read `plans["muduo"]`, which may be missing; `plans` itself is left alone."""
        given = plans.get("muduo", {})
        if not isinstance(given, Mapping):
            raise UserError(f'plans["muduo"] must be a table of settings, not {shown(given)}.')
        return cls.from_dict(given)

    @classmethod
    def from_dict(cls, given: Mapping[str, Any]) -> "Settings":
        """Build settings from a table whose keys are all optional; unknown keys raise UserError by name."""
        return settings_from(cls, given)

    def to_dict(self) -> dict[str, Any]:
        """All settings as a table that JSON can hold and `from_dict` reads back."""
        return asdict(self)


def parse_assignment(text: str) -> tuple[str, Any]:
    """Split "KEY=VALUE" as given to `muduo plan --set`.

    VALUE is read as JSON (null, true, 0.5, "text") and, where it is not JSON, as a plain string, so that quotes are
    not needed: `reliability=none` is the word, `ct_teacher=null` switches the teacher off.

    Raises:
        UserError: when there is no "=", no key or no value.
    """
    key, separator, value = (part.strip() for part in text.partition("="))
    if not (key and separator and value):
        raise UserError(f"'{text}' is not an assignment; write KEY=VALUE, for example --set keep_fraction=0.5.")
    try:
        return key, parse_json(value)
    except ValueError:
        return key, value


def _check_together(settings: Settings) -> None:
    """Refuse values that are fine alone and make no sense together."""
    if settings.ct_teacher is None and settings.pet_teacher is None:
        raise UserError(
            "Settings 'ct_teacher' and 'pet_teacher' are both null, so nothing would teach: name at least one of them, "
            "or train with -tr nnUNetTrainer."
        )
    if settings.ct_channel is not None and settings.ct_channel == settings.pet_channel:
        raise UserError(
            f"Settings 'ct_channel' and 'pet_channel' are both {settings.ct_channel}, but must name different channels."
        )
    if settings.teacher_cache and settings.student_prompt_share > 0:
        raise UserError(
            "Settings 'teacher_cache' and 'student_prompt_share' do not go together: what the student prompts changes "
            "with it and cannot be computed beforehand. Set teacher_cache=false or student_prompt_share=0."
        )
    if settings.student_prompt_share > 0 and settings.pet_teacher is None and settings.ct_prompt == "student":
        raise UserError(
            "Setting 'student_prompt_share' does nothing here: it is the averaged student's share in what the prompt "
            'generator prompts, which prompts nobody where pet_teacher is null and ct_prompt is "student". Set '
            "ct_prompt=generator or student_prompt_share=0."
        )
    if settings.prompts_label and settings.pet_teacher is None and settings.ct_prompt == "student":
        raise UserError(
            "Setting 'prompts_label' does nothing here: the prompt generator prompts nobody where pet_teacher is null "
            'and ct_prompt is "student". Set ct_prompt=generator or prompts_label=false.'
        )
    if settings.num_epochs is not None and settings.warmup_epochs >= settings.num_epochs:
        raise UserError(
            f"Setting 'warmup_epochs' is {settings.warmup_epochs}, but must be below 'num_epochs' "
            f"({settings.num_epochs}), or the teachers would never come in."
        )
