"""Is there a GPU, and does its memory suffice?"""

from dataclasses import dataclass

from nnunetv2_muduo.doctor.check import Check, ok, warn

# nnU-Net's own rule of thumb: a network with 560 million feature-map voxels at batch size 2 takes 8 GB.
REFERENCE_FEATURE_MAP = 560_000_000
REFERENCE_GIB_PER_PATCH = 4.0
PARAMETERS_OF_A_RELEASED_TEACHER = 100_500_000
ACTIVATIONS_OF_TEACHERS_IN_GIB = 1.5  # 12 organs decoded at once on a 128-cube, without gradients; rounded up
GIB = 1024**3


@dataclass(frozen=True)
class GpuNeed:
    """An estimate, in GiB, of what training takes.

    Attributes:
        student: activations and gradients of the labelled and the unlabelled patches of a step.
        teachers: weights and activations of the teachers in use.
    """

    student: float
    teachers: float

    @property
    def total(self) -> float:
        """Everything together."""
        return self.student + self.teachers


def check_gpu(need: GpuNeed | None) -> Check:
    """The first CUDA device against an estimated need (None: not known yet)."""
    import torch

    if not torch.cuda.is_available():
        remedy = (
            "use a machine with an NVIDIA GPU; -device cpu is practical for small experiments such as the demo only"
        )
        return warn("GPU", "no CUDA device found", remedy)
    properties = torch.cuda.get_device_properties(0)
    return judge_memory(properties.name, properties.total_memory / GIB, need)


def judge_memory(device: str, available: float, need: GpuNeed | None) -> Check:
    """Memory of a device, in GiB, against the need."""
    found = f"{device}, {available:.1f} GiB"
    if need is None:
        return ok("GPU", found)
    found += f"; training takes about {need.total:.1f} GiB (student {need.student:.1f}, teachers {need.teachers:.1f})"
    if available < need.total:  # an estimate is no reason to fail
        remedy = "if memory runs out: muduo plan --set unlabelled_batch_size=2, or plan again with -gpu_memory_target"
        return warn("GPU", found, remedy)
    return ok("GPU", found)


def estimate_need(
    plans: dict, *, configuration: str, dataset_json: dict, unlabelled_batch_size: int | None, released_teachers: int
) -> GpuNeed:
    """Estimate what a training of these plans takes, by nnU-Net's own rule of thumb.

    Args:
        plans: nnU-Net's plans.
        configuration: name of one of their configurations.
        dataset_json: nnU-Net's dataset.json.
        unlabelled_batch_size: unlabelled patches a step; None: the plan's batch size, at least 2.
        released_teachers: how many ViT-B teachers are in use (a stand-in hardly counts).
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
    weights = released_teachers * PARAMETERS_OF_A_RELEASED_TEACHER * 4 / GIB
    return GpuNeed(student=student, teachers=weights + ACTIVATIONS_OF_TEACHERS_IN_GIB)
