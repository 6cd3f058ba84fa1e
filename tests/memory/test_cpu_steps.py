"""Steps on the CPU, and what is trained before workers are forked."""

import pytest
from planned_dataset import DATASET_JSON, unet_plans

from nnunetv2_muduo.memory.cpu_steps import steps_on_cpu
from nnunetv2_muduo.memory.training_host import CpuSteps
from nnunetv2_muduo.memory.training_step import simulate_step
from nnunetv2_muduo.trainers.nnUNetTrainerMeanTeacher import nnUNetTrainerMeanTeacher
from nnunetv2_muduo.trainers.nnUNetTrainerMuDuo import nnUNetTrainerMuDuo
from nnunetv2_muduo.trainers.nnUNetTrainerMuDuoPrompt import nnUNetTrainerMuDuoPrompt

PLANS = unet_plans(patch_size=(16, 16, 16), features=4) | {
    "muduo": {"ct_teacher": "standin_ct", "pet_teacher": "standin_pet"}
}
DESCRIBED = {"plans": PLANS, "configuration": "3d_fullres", "dataset_json": DATASET_JSON}


def test_heap_of_the_prompt_generators_training_is_there_when_muduo_forks_workers():
    prompt, step = (
        simulate_step(trainer, on_cuda=False, **DESCRIBED) for trainer in (nnUNetTrainerMuDuoPrompt, nnUNetTrainerMuDuo)
    )
    found = steps_on_cpu(nnUNetTrainerMuDuo, gives_back=False, **DESCRIBED)
    assert found == CpuSteps(step.kept - step.batch, prompt.kept - prompt.batch)
    assert steps_on_cpu(nnUNetTrainerMuDuo, gives_back=True, **DESCRIBED) == CpuSteps(step.peak - step.batch, 0)


@pytest.mark.parametrize("gives_back", [True, False])
def test_others_train_nothing_before(gives_back: bool):
    assert steps_on_cpu(nnUNetTrainerMeanTeacher, gives_back=gives_back, **DESCRIBED).kept_when_forked == 0
