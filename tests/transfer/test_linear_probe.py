"""The linear probe on fabricated batches: what is trained, what is frozen, what it refuses."""

import copy
from pathlib import Path

import pytest
import torch
from nnunetv2.run.load_pretrained_weights import load_pretrained_weights
from planned_dataset import DATASET_JSON, write_planned_dataset
from pretrained_files import pretrained_network, transfer_plans
from torch import Tensor, nn

from nnunetv2_muduo.errors import UnsupportedError, UserError
from nnunetv2_muduo.trainers.nnUNetTrainerLinearProbe import nnUNetTrainerLinearProbe

PATCH = (16, 16, 16)
LAYER = "decoder.seg_layers.4"


@pytest.fixture
def make(nnunet_folders: Path):
    folder = write_planned_dataset(nnunet_folders / "nnUNet_preprocessed")
    (folder / "nnUNetPlans_3d_fullres").mkdir()
    (folder / "nnUNetPlans_3d_fullres" / "case.b2nd").touch()  # tells nnU-Net which class of data set it is

    def make_trainer(architecture: dict | None = None, **settings) -> nnUNetTrainerLinearProbe:
        plans = transfer_plans() | {"continue_training": False, "muduo": {"seed": 0, **settings}}
        plans["configurations"]["3d_fullres"]["architecture"]["arch_kwargs"] |= architecture or {}
        dataset_json = copy.deepcopy(DATASET_JSON)
        trainer = nnUNetTrainerLinearProbe(plans, "3d_fullres", 0, dataset_json, torch.device("cpu"))
        trainer.initialize()
        trainer.lr_scheduler.step(0)
        return trainer

    return make_trainer


def batch(seed: int = 0) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    target = torch.randint(0, 3, (2, 1, *PATCH), generator=generator)
    return {"data": torch.randn(2, 2, *PATCH, generator=generator), "target": target.float()}


def state(trainer: nnUNetTrainerLinearProbe) -> dict[str, Tensor]:
    return {name: tensor.clone() for name, tensor in trainer.network.state_dict().items()}


def changed(before: dict[str, Tensor], after: dict[str, Tensor]) -> set[str]:
    return {name for name in before if not torch.equal(before[name], after[name])}


def weights_file(path: Path) -> Path:
    torch.save({"network_weights": pretrained_network().state_dict()}, path)
    return path


@pytest.mark.parametrize("optimizer", ["adamw", "sgd"])
def test_steps_change_the_output_layer_alone(make, optimizer: str):
    trainer = make(optimizer=optimizer)
    before = state(trainer)
    trainer.on_train_epoch_start()
    losses = [float(trainer.train_step(batch())["loss"]) for _ in range(5)]
    assert changed(before, state(trainer)) == {f"{LAYER}.weight", f"{LAYER}.bias"}
    assert losses[-1] < losses[0]


def test_the_optimiser_knows_the_output_layer_alone(make):
    trainer = make()
    known = [parameter for group in trainer.optimizer.param_groups for parameter in group["params"]]
    layer = trainer.network.get_submodule(LAYER)
    assert {id(parameter) for parameter in known} == {id(layer.weight), id(layer.bias)}
    trainable = [name for name, parameter in trainer.network.named_parameters() if parameter.requires_grad]
    assert trainable == [f"{LAYER}.weight", f"{LAYER}.bias"]


def test_the_forward_of_the_frozen_part_builds_no_graph(make):
    trainer = make()
    trainer.on_train_epoch_start()
    (data_edge, *parameter_edges) = trainer.network(batch()["data"]).grad_fn.next_functions
    assert data_edge[0] is None  # no gradient goes further down than the layer's input
    assert [edge[0].variable.shape for edge in parameter_edges] == [(3, 4, 1, 1, 1), (3,)]


@pytest.mark.parametrize("norm", [nn.BatchNorm3d, nn.InstanceNorm3d])
def test_frozen_norms_and_dropout_rest_whatever_the_norm(make, norm: type[nn.Module]):
    kind = {"norm_op": f"{norm.__module__}.{norm.__name__}", "norm_op_kwargs": {"eps": 1e-5, "affine": True}}
    if norm is nn.InstanceNorm3d:
        kind["norm_op_kwargs"]["track_running_stats"] = True
    dropout = {"dropout_op": "torch.nn.modules.dropout.Dropout3d", "dropout_op_kwargs": {"p": 0.5}}
    trainer = make(kind | dropout)
    trainer.on_train_epoch_start()
    before = state(trainer)
    assert any("running_mean" in name for name in before)
    first, second = trainer.network(batch()["data"]), trainer.network(batch()["data"])
    trainer.train_step(batch())
    assert torch.equal(first, second)
    assert changed(before, state(trainer)) == {f"{LAYER}.weight", f"{LAYER}.bias"}


def test_published_optimiser_and_length_unless_set(make):
    stock = make()
    assert type(stock.optimizer) is torch.optim.AdamW
    assert stock.optimizer.param_groups[0]["lr"] == 5e-4
    assert stock.num_epochs == 100
    faster = make(initial_lr=0.01, num_epochs=3)
    assert (faster.optimizer.param_groups[0]["lr"], faster.num_epochs) == (0.01, 3)


def test_nnunets_own_optimiser_can_be_asked_for(make):
    for settings, rate in (({"optimizer": "sgd"}, 0.01), ({"optimizer": "adamw"}, 0.001)):
        optimizer = make(**settings).optimizer
        assert type(optimizer) is (torch.optim.SGD if settings["optimizer"] == "sgd" else torch.optim.AdamW)
        assert optimizer.param_groups[0]["lr"] == rate


def test_training_without_pretrained_weights_is_refused(make):
    with pytest.raises(UserError, match="add -pretrained_weights FILE"):
        make().on_train_start()


def test_weights_by_nnunets_loader_are_noticed(make, tmp_path: Path):
    trainer = make()
    load_pretrained_weights(trainer.network, weights_file(tmp_path / "weights.pth"))
    assert trainer.has_weights


def test_a_probe_is_continued_exactly(make, tmp_path: Path):
    unbroken = make(num_epochs=4)
    unbroken.on_train_epoch_start()
    for seed in range(3):
        unbroken.train_step(batch(seed))
    unbroken.save_checkpoint(str(tmp_path / "checkpoint.pth"))
    continued = make(num_epochs=4)
    continued.load_checkpoint(str(tmp_path / "checkpoint.pth"))
    assert continued.has_weights
    for trainer in (unbroken, continued):
        trainer.network.eval()
        trainer.train_step(batch(4))
    assert not changed(state(unbroken), state(continued))


def test_a_network_without_segmentation_layers_is_refused(make, monkeypatch: pytest.MonkeyPatch):
    trainer = make()
    trainer.network = nn.Conv3d(2, 3, 1)
    with pytest.raises(UnsupportedError, match=r"decoder.seg_layers"):
        trainer.configure_optimizers()
