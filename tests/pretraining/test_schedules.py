import pytest
import torch
from torch.optim.lr_scheduler import CosineAnnealingLR

from nnunetv2_muduo.pretraining import cosine_rate


def test_the_rate_is_that_of_torchs_cosine_in_every_epoch():
    optimizer = torch.optim.AdamW([torch.zeros(1)], lr=5e-4)
    scheduler = CosineAnnealingLR(optimizer, T_max=20, eta_min=1e-6)
    for epoch in range(20):
        assert cosine_rate(epoch, 20) == pytest.approx(optimizer.param_groups[0]["lr"], rel=1e-9)
        optimizer.step()
        scheduler.step()


def test_it_begins_and_ends_where_published():
    assert cosine_rate(0, 200) == 5e-4
    assert cosine_rate(200, 200) == pytest.approx(1e-6)


@pytest.mark.parametrize(("epoch", "epochs"), [(-1, 10), (11, 10), (0, 0)])
def test_epochs_outside_the_schedule_are_refused(epoch, epochs):
    with pytest.raises(ValueError, match="must lie between"):
        cosine_rate(epoch, epochs)
