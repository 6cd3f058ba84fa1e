"""Pretraining on several GPUs, as far as it can be told without one."""

import pytest
import torch
import torch.distributed as dist

from nnunetv2_muduo.errors import UserError


def test_the_batch_is_shared_out_and_every_rank_has_patches_and_masks_of_its_own(dataset, monkeypatch):
    monkeypatch.setattr(dist, "get_world_size", lambda: 2)
    batches, masks = [], []
    for rank in (0, 1):
        trainer = dataset.trainer(batch_size=3)
        trainer.initialize()
        trainer.is_ddp, trainer.local_rank = True, rank
        trainer._set_batch_size_and_oversample()
        assert trainer.batch_size == (2, 1)[rank]
        trainer.batch_size = 1
        batches.append([next(loader)["data"] for loader in trainer.get_dataloaders()])
        trainer.is_ddp = False  # only the logging of an epoch differs from here on
        trainer.on_train_epoch_start()
        masks.append(torch.rand(8, generator=trainer.masks))
    assert not torch.equal(masks[0], masks[1])
    for first, second in zip(*batches, strict=True):
        assert not torch.equal(first, second)


def test_a_seed_that_was_drawn_is_the_same_on_every_gpu(dataset, monkeypatch):
    """Only the first one's is kept in checkpoints, and a resumed training goes on with it."""
    trainer = dataset.trainer(seed=None)
    trainer.is_ddp, trainer.local_rank = True, 1

    def broadcast(objects: list, src: int) -> None:
        assert src == 0
        objects[:] = [42]

    monkeypatch.setattr(dist, "broadcast_object_list", broadcast)
    trainer.agree_on_seed()
    assert trainer.seed == 42


def test_fewer_patches_than_gpus_are_refused(dataset, monkeypatch):
    trainer = dataset.trainer(batch_size=1)
    monkeypatch.setattr(dist, "get_world_size", lambda: 2)
    trainer.is_ddp = True
    with pytest.raises(UserError, match=r"raise mae\.batch_size"):
        trainer._set_batch_size_and_oversample()


def test_losses_are_averaged_over_all_ranks(dataset, monkeypatch):
    trainer = dataset.trainer()
    trainer.is_ddp = True
    monkeypatch.setattr(dist, "get_world_size", lambda: 2)

    def gather(everyone: list, mine: list) -> None:
        everyone[:] = [mine, [3.0, 5.0]]

    monkeypatch.setattr(dist, "all_gather_object", gather)
    trainer.on_validation_epoch_end([{"loss": 1.0}, {"loss": 3.0}])
    assert trainer.logger.get_checkpoint()["val_losses"] == [3.0]


def test_every_parameter_that_learns_is_used_in_a_step(started):
    started.train_step({"data": torch.randn(2, 2, 16, 16, 16), "keys": []})  # DDP refuses the others
    learning = [parameter for parameter in started.network.parameters() if parameter.requires_grad]
    assert all(parameter.grad is not None for parameter in learning)


def test_two_steps_within_ddp_leave_no_gradient_waited_for(started, tmp_path):
    dist.init_process_group("gloo", init_method=f"file://{tmp_path / 'store'}", rank=0, world_size=1)
    try:
        started.network = torch.nn.parallel.DistributedDataParallel(started.network)
        for _ in range(2):  # the second one complains of what the first did not use
            started.train_step({"data": torch.randn(2, 2, 16, 16, 16), "keys": []})
    finally:
        dist.destroy_process_group()
