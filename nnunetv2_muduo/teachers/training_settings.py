"""The numbers of a teacher's training, and the learning rate they give at each step."""

import math
from collections.abc import Mapping
from dataclasses import MISSING, asdict, dataclass, field, fields
from typing import Any

from nnunetv2_muduo.teachers.cpcl import PUBLISHED_RECTIFIED_SHARE, READINGS
from nnunetv2_muduo.teachers.prompt_rounds import PromptMix

SCHEMES, SCHEDULES, CPCL = ("mixed", "published"), ("cosine", "steps"), ("off", *READINGS)
MAY_CHANGE_ON_RESUME = frozenset(
    {"steps", "decay_share", "num_threads", "bfloat16", "validate_every", "save_every", "progress"}
)  # bfloat16: what a GPU has begun, a CPU may end


@dataclass(frozen=True)
class TrainingSettings:
    """How long, how fast and on what a teacher is trained.

    Attributes:
        steps: draws of new cubes; each is followed by one optimiser step ("published") or 1 to `max_rounds` ("mixed").
        crops_per_step, targets_per_crop: B and K of a batch.
        scheme: "mixed" draws the kind of the first prompt from `prompts` and steps the optimiser each round, of which
            there are 1 to `max_rounds`; "published" sends `clicks_per_round` prompts and steps once
            (`training_steps.published_step`).
        max_rounds: the number of rounds is drawn uniformly from 1 to this.
        clicks_per_round: prompts of a published round, two of which are the previous mask alone.
        accumulate: batches whose gradients are added up before a published step, as if they were one.
        cpcl: reading of cross prompting confident learning on cubes of low quality: "complement", "ensemble",
            "confident" (`cpcl.rectified_labels`) or "off".
        cpcl_after: steps before it starts; a teacher that knows nothing yet doubts good labels, too.
        rectified_share: weight of the loss on the rectified label, that on the given one has the rest; published: 1/3.
        learning_rate, weight_decay, warmup_steps: AdamW; the rate rises linearly over the warm-up.
        decoder_rate_share: the decoder's learning rate as a share of the encoder's; published: 0.1.
        schedule: "cosine", or "steps": times 0.1 at 60 % and once more at 90 % of the steps, as published.
        decay_share: share of the steps, at the end, over which the rate falls to 0 along a cosine (1: plain cosine).
            With less than 1 a run can be stopped and lengthened without having decayed too early.
        largest_gradient: gradients are clipped to this norm.
        seed: of the drawing of cubes and prompts; the caller seeds the teacher's weights.
        num_threads: torch threads; None leaves them as they are.
        bfloat16: autocast the teacher; several times faster on a CPU that has the instructions, and on CUDA.
        validate_every, save_every: in steps.
        prompts: the mix of first prompts.
        progress: show a progress bar.

    Raises:
        ValueError: naming a setting that is out of range, or that its scheme does not know.
    """

    steps: int
    crops_per_step: int = 2
    targets_per_crop: int = 4
    scheme: str = "mixed"
    max_rounds: int = 3
    clicks_per_round: int = 11
    accumulate: int = 1
    cpcl: str = "off"
    cpcl_after: int = 0
    rectified_share: float = PUBLISHED_RECTIFIED_SHARE
    learning_rate: float = 2e-3
    decoder_rate_share: float = 1.0
    weight_decay: float = 1e-3
    warmup_steps: int = 50
    schedule: str = "cosine"
    decay_share: float = 1.0
    largest_gradient: float = 1.0
    seed: int = 0
    num_threads: int | None = None
    bfloat16: bool = False
    validate_every: int = 500
    save_every: int = 500
    prompts: PromptMix = field(default_factory=PromptMix)
    progress: bool = True

    def __post_init__(self) -> None:
        for name, known in (("scheme", SCHEMES), ("schedule", SCHEDULES), ("cpcl", CPCL)):
            if getattr(self, name) not in known:
                raise ValueError(f"{name} is {getattr(self, name)!r}; it must be one of {', '.join(known)}")
        counts = ("steps", "crops_per_step", "targets_per_crop", "max_rounds", "accumulate")
        for name in (*counts, "validate_every", "save_every"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)}; it must be at least 1")
        for name in ("learning_rate", "decoder_rate_share", "largest_gradient"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} is {getattr(self, name)}; it must be greater than 0")
        if self.cpcl_after < 0:
            raise ValueError(f"cpcl_after is {self.cpcl_after}; it must be at least 0")
        if not 0 <= self.rectified_share <= 1:
            raise ValueError(f"rectified_share is {self.rectified_share}; it must lie between 0 and 1")
        if self.clicks_per_round < 2:
            raise ValueError(f"clicks_per_round is {self.clicks_per_round}; it must be at least 2")
        if self.scheme == "mixed" and (self.accumulate > 1 or self.cpcl != "off"):
            raise ValueError("accumulate and cpcl belong to the scheme 'published'; 'mixed' steps after every prompt")


def learning_rate_at(step: int, settings: TrainingSettings) -> float:
    """The encoder's rate: linear warm-up and a plateau, then a cosine to 0 over the last `decay_share` of the steps,
    or the published two steps of a tenth.
    """
    warmup = min(1.0, (step + 1) / max(settings.warmup_steps, 1))
    if settings.schedule == "steps":
        passed = sum(10 * step >= tenths * settings.steps for tenths in (6, 9))
        return settings.learning_rate * warmup * 0.1**passed
    decay_steps = max(settings.decay_share * settings.steps, 1)
    decayed = max(0.0, step - (settings.steps - decay_steps)) / decay_steps
    return settings.learning_rate * warmup * 0.5 * (1 + math.cos(math.pi * decayed))


def differing_settings(settings: TrainingSettings, stored: Mapping[str, Any]) -> list[str]:
    """Names of the settings that a resumed training may not change but would; what `stored` lacks had its default."""
    defaults = {one.name: one.default for one in fields(TrainingSettings) if one.default is not MISSING}
    now = asdict(settings)
    return sorted(
        name
        for name, value in now.items()
        if name not in MAY_CHANGE_ON_RESUME and value != stored.get(name, defaults.get(name))
    )
