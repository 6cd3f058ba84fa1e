"""What the semi-supervised trainers do not support is refused before anything is written, in one sentence each."""

from nnunetv2.utilities.plans_handling.plans_handler import PlansManager

from nnunetv2_muduo.errors import UnsupportedError, UserError
from nnunetv2_muduo.plain_configuration import plain_3d_configuration


def refuse_unsupported(trainer_name: str, plans: dict, configuration: str, dataset_json: dict) -> None:
    """Check a configuration before training.

    Raises:
        UnsupportedError: for 2d configurations, cascades, region-based datasets.
        UserError: if the plans have no such configuration, or the labels no background.
    """
    plain_3d_configuration(trainer_name, plans, configuration, because="its teachers are 3d")
    if "background" not in dataset_json["labels"]:
        raise UserError('The labels of dataset.json have no background; nnU-Net wants an entry "background": 0.')
    if PlansManager(plans).get_label_manager(dataset_json).has_regions:
        raise UnsupportedError(
            f"{trainer_name} does not support region-based labels because pseudo-labels come organ by organ; "
            "give every label of dataset.json one integer."
        )


def unlabelled_batch_size_per_process(total: int, world_size: int, rank: int = 0) -> int:
    """Unlabelled patches a step for one process of `world_size`; the first ones get one more where it does not divide.

    Raises:
        UserError: if a process would get fewer than two, because the consensus filter ranks patches against each other.
    """
    per_process = total // world_size
    if per_process < 2:
        raise UserError(
            f"unlabelled_batch_size is {total} for {world_size} process(es), but each needs at least 2 unlabelled "
            f"patches a step to rank them; set it with: muduo plan -d ID --set unlabelled_batch_size={2 * world_size}"
        )
    return per_process + (rank < total % world_size)
