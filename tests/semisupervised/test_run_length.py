from types import SimpleNamespace

import pytest
import torch

from nnunetv2_muduo.errors import UserError
from nnunetv2_muduo.semisupervised.run_length import refuse_changed_schedule, set_run_length
from nnunetv2_muduo.settings import Settings


def trainer(**settings) -> SimpleNamespace:
    return SimpleNamespace(
        num_epochs=1000,
        num_iterations_per_epoch=250,
        num_val_iterations_per_epoch=50,
        save_every=50,
        local_rank=0,
        plans_manager=SimpleNamespace(plans={"muduo": settings}),
    )


def test_without_settings_nnunets_own_length_stays():
    stock = trainer()
    set_run_length(stock, Settings(), epochs=None)
    assert (stock.num_epochs, stock.num_iterations_per_epoch, stock.save_every) == (1000, 250, 50)


def test_short_runs_are_shorter_and_saved_more_often():
    short = trainer()
    set_run_length(short, Settings(iterations_per_epoch=7, val_iterations_per_epoch=3), epochs=20)
    assert (short.num_epochs, short.num_iterations_per_epoch, short.num_val_iterations_per_epoch) == (20, 7, 3)
    assert short.save_every == 2


def test_same_seed_gives_the_same_first_numbers():
    set_run_length(trainer(), Settings(seed=3), epochs=None)
    first = torch.rand(3)
    set_run_length(trainer(), Settings(seed=3), epochs=None)
    assert torch.equal(first, torch.rand(3))


def test_resuming_with_another_epoch_count_is_refused_by_name():
    with pytest.raises(UserError, match="'num_epochs' was 100 when this training began and is now 50"):
        refuse_changed_schedule({"muduo": {"num_epochs": 100}}, trainer(num_epochs=50))


def test_resuming_with_other_teachers_is_allowed():
    refuse_changed_schedule({"muduo": {"ct_teacher": "a.pth"}}, trainer(ct_teacher="b.pth"))
