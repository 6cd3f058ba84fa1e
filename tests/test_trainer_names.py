"""The names are those of the trainers that there are."""

from importlib import import_module

from nnunetv2_muduo.mae_training.trainer import MAETrainer
from nnunetv2_muduo.semisupervised.trainer import SemiSupervisedTrainer
from nnunetv2_muduo.trainer_folder import trainer_folder
from nnunetv2_muduo.trainer_names import PRETRAINING, SEMI_SUPERVISED


def test_every_semi_supervised_trainer_is_named():
    files = {file.stem for file in trainer_folder().glob("nnUNetTrainer*.py")}
    classes = {name: getattr(import_module(f"nnunetv2_muduo.trainers.{name}"), name) for name in files}
    assert {name for name, found in classes.items() if issubclass(found, SemiSupervisedTrainer)} == set(SEMI_SUPERVISED)
    assert issubclass(classes[PRETRAINING], MAETrainer)
