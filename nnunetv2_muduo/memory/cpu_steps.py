"""What the steps of a training with `-device cpu` add to what its loaders take of the host."""

from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer

from nnunetv2_muduo.memory.training_host import CpuSteps
from nnunetv2_muduo.memory.training_step import simulate_step
from nnunetv2_muduo.trainers.nnUNetTrainerMuDuo import nnUNetTrainerMuDuo
from nnunetv2_muduo.trainers.nnUNetTrainerMuDuoPrompt import nnUNetTrainerMuDuoPrompt


def steps_on_cpu(
    trainer_class: type[nnUNetTrainer], plans: dict, *, configuration: str, dataset_json: dict, gives_back: bool
) -> CpuSteps:
    """A simulated step, and for MuDuo one of its prompt generator, which is trained first in the same process.

    Args:
        trainer_class: a supervised or semi-supervised trainer.
        plans: nnU-Net's plans, with their settings.
        configuration: name of one of their configurations.
        dataset_json: nnU-Net's dataset.json.
        gives_back: see `training_bytes`.

    Raises:
        Exception: of any kind, where the step cannot be simulated.
    """

    def of(trainer: type[nnUNetTrainer]) -> int:
        step = simulate_step(trainer, plans, configuration=configuration, dataset_json=dataset_json, on_cuda=False)
        return step.on_host(gives_back=gives_back)

    prompts = issubclass(trainer_class, nnUNetTrainerMuDuo) and not gives_back
    return CpuSteps(of(trainer_class), kept_when_forked=of(nnUNetTrainerMuDuoPrompt) if prompts else 0)
