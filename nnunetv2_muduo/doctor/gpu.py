"""Is there a GPU, and does its memory suffice?"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from nnunetv2_muduo.doctor.check import Check, ok, warn
from nnunetv2_muduo.settings import Settings

if TYPE_CHECKING:
    from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer

    from nnunetv2_muduo.semisupervised.trainer import SemiSupervisedTrainer

# nnU-Net's own rule of thumb: a network with 560 million feature-map voxels at batch size 2 takes 8 GB.
REFERENCE_FEATURE_MAP = 560_000_000
REFERENCE_GIB_PER_PATCH = 4.0
PARAMETERS_OF_A_RELEASED_TEACHER = 100_500_000
ACTIVATIONS_OF_TEACHERS_IN_GIB = 1.5  # 12 organs decoded at once on a 128-cube, without gradients; rounded up
CUDA_CONTEXT_IN_GIB = 0.5  # an assumption: it differs with the card and its driver, and no tensor is in it
HEADROOM = 1.25  # an assumption: gaps between the allocator's blocks and what cuDNN tries out were never measured
GIB = 1024**3
REMEDY = "if memory runs out: muduo plan --set unlabelled_batch_size=2, or plan again with -gpu_memory_target"


@dataclass(frozen=True)
class GpuNeed:
    """An estimate, in GiB, of what training takes.

    Attributes:
        student: activations and gradients of the labelled and the unlabelled patches of a step.
        teachers: weights of the teachers in use (by the rule of thumb: their activations as well).
        source: where the numbers come from, in words.
        what: is trained, in words.
    """

    student: float
    teachers: float
    source: str
    what: str = "training"

    @property
    def total(self) -> float:
        """Everything together."""
        return self.student + self.teachers


def check_gpu(need: GpuNeed | None, *, remedy: str = REMEDY) -> Check:
    """The first CUDA device against an estimated need (None: not known yet); `remedy` is for too little memory."""
    import torch

    if not torch.cuda.is_available():
        elsewhere = (
            "use a machine with an NVIDIA GPU; -device cpu is practical for small experiments such as the demo only"
        )
        return warn("GPU", "no CUDA device found" + _described(need), elsewhere)
    properties = torch.cuda.get_device_properties(0)
    return judge_memory(properties.name, properties.total_memory / GIB, need, remedy=remedy)


def judge_memory(device: str, available: float, need: GpuNeed | None, *, remedy: str = REMEDY) -> Check:
    """Memory of a device, in GiB, against the need."""
    found = f"{device}, {available:.1f} GiB" + _described(need)
    if need is not None and available < HEADROOM * need.total:  # an estimate is no reason to fail
        return warn("GPU", found, remedy)
    return ok("GPU", found)


def _described(need: GpuNeed | None) -> str:
    if need is None:
        return ""
    parts = f"student {need.student:.1f}, teachers {need.teachers:.1f}; " if need.teachers else ""
    return f"; {need.what} on one takes about {need.total:.1f} GiB ({parts}{need.source})"


def estimate_need(
    plans: dict, *, configuration: str, dataset_json: dict, trainer_class: "type[SemiSupervisedTrainer]"
) -> GpuNeed:
    """What a training takes: simulated, or by a rule of thumb where that fails.

    Args:
        plans: nnU-Net's plans, with their settings.
        configuration: name of one of their configurations.
        dataset_json: nnU-Net's dataset.json.
        trainer_class: of the training.
    """
    try:
        return simulated_need(
            plans, configuration=configuration, dataset_json=dataset_json, trainer_class=trainer_class
        )
    except Exception as error:  # anything may need a tensor's value; a doctor goes on
        settings = Settings.from_plans(plans)
        return rule_of_thumb(
            plans,
            configuration=configuration,
            dataset_json=dataset_json,
            unlabelled_batch_size=settings.unlabelled_batch_size,
            teachers=[name for name in trainer_class.named_teachers(settings).values() if name is not None],
            why=f"{type(error).__name__} in the simulation",
        )


def need_of_pretraining(plans: dict, *, configuration: str, dataset_json: dict) -> GpuNeed | None:
    """What pretraining with nnUNetTrainerPETCTMAE takes; None where it cannot be simulated."""
    from nnunetv2_muduo.trainers.nnUNetTrainerPETCTMAE import nnUNetTrainerPETCTMAE

    try:
        found = simulated_need(
            plans, configuration=configuration, dataset_json=dataset_json, trainer_class=nnUNetTrainerPETCTMAE
        )
    except Exception:  # anything may need a tensor's value; a doctor goes on
        return None
    return replace(found, what="pretraining")


def simulated_need(
    plans: dict, *, configuration: str, dataset_json: dict, trainer_class: "type[nnUNetTrainer]"
) -> GpuNeed:
    """Do a step of a trainer on tensors without values and count what a GPU would hold."""
    from nnunetv2_muduo.memory.training_step import simulate_step

    step = simulate_step(trainer_class, plans, configuration=configuration, dataset_json=dataset_json, on_cuda=True)
    student = (step.peak - step.batch - step.teachers) / GIB + CUDA_CONTEXT_IN_GIB
    return GpuNeed(student, step.teachers / GIB, "a simulated step without torch.compile, not compared with a GPU yet")


def rule_of_thumb(
    plans: dict,
    *,
    configuration: str,
    dataset_json: dict,
    unlabelled_batch_size: int | None,
    teachers: Sequence[str],
    why: str,
) -> GpuNeed:
    """The need by nnU-Net's own rule of thumb.

    Args:
        plans: nnU-Net's plans.
        configuration: name of one of their configurations.
        dataset_json: nnU-Net's dataset.json.
        unlabelled_batch_size: unlabelled patches a step; None: the plan's batch size, at least 2.
        teachers: in use, by name; all but stand-ins are taken to be as large as the released ones.
        why: nothing better is known.
    """
    from nnunetv2.utilities.get_network_from_plans import get_network_from_plans
    from nnunetv2.utilities.label_handling.label_handling import determine_num_input_channels
    from nnunetv2.utilities.plans_handling.plans_handler import PlansManager

    manager = PlansManager(plans)
    settings = manager.get_configuration(configuration)
    network = get_network_from_plans(
        settings.network_arch_class_name,
        settings.network_arch_init_kwargs,
        settings.network_arch_init_kwargs_req_import,
        determine_num_input_channels(manager, settings, dataset_json),
        manager.get_label_manager(dataset_json).num_segmentation_heads,
        allow_init=False,
    )
    feature_map = network.compute_conv_feature_map_size(settings.patch_size)
    patches = settings.batch_size + (unlabelled_batch_size or max(2, settings.batch_size))
    student = patches * REFERENCE_GIB_PER_PATCH * feature_map / REFERENCE_FEATURE_MAP
    released = sum(not name.startswith("standin") for name in teachers)  # a stand-in hardly counts
    weights = released * PARAMETERS_OF_A_RELEASED_TEACHER * 4 / GIB
    activations = ACTIVATIONS_OF_TEACHERS_IN_GIB if teachers else 0.0
    return GpuNeed(student, weights + activations, f"nnU-Net's rule of thumb; {why}")
