"""What the stand-in for a GPU computes and refuses."""

import copy
from pathlib import Path

import numpy as np
import pytest
import torch
from second_device import CUDA, OnGpu, second_device
from torch import nn


@pytest.fixture(autouse=True)
def _on_second_device():
    with second_device():
        yield


def network() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv3d(1, 4, 3), nn.InstanceNorm3d(4, affine=True), nn.LeakyReLU(), nn.Conv3d(4, 2, 1))


@pytest.mark.parametrize(
    "operation",
    [
        lambda there, here: there + here,
        lambda there, here: here + there,
        lambda there, here: torch.cat([there, here]),
        lambda there, here: torch.where(there > 0, there, here),
        lambda there, here: here[there > 0],
        lambda there, here: there.numpy(),
        lambda there, here: np.asarray(there),
        lambda there, here: torch.rand(3, device="cuda", generator=torch.Generator()),
        lambda there, here: torch.rand(3, generator=torch.Generator("cuda")),
        lambda there, here: there.uniform_(generator=torch.Generator()),
        lambda there, here: nn.Linear(3, 3)(there),
        lambda there, here: nn.Linear(3, 3).cuda()(here),
    ],
)
def test_what_a_gpu_refuses_is_refused(operation):
    with pytest.raises((RuntimeError, TypeError)):
        operation(torch.randn(3, 3, device="cuda"), torch.randn(3, 3))


def test_what_a_gpu_takes_is_taken():
    there, here = torch.arange(9.0, device=CUDA).reshape(3, 3), torch.arange(9.0).reshape(3, 3)
    assert torch.equal(there.cpu(), here)
    assert (there + torch.tensor(1.0)).device == CUDA  # numbers may lie anywhere
    assert there[here > 4].tolist() == [5, 6, 7, 8]
    here.copy_(there + 1)
    assert here[0].tolist() == [1, 2, 3]
    there[0].zero_()  # a view
    assert float(there.sum()) == 3 + 4 + 5 + 6 + 7 + 8
    assert torch.rand(3, device="cuda", generator=torch.Generator("cuda").manual_seed(0)).device.type == "cuda"
    assert there.to(torch.float64).to("cpu").dtype == torch.float64
    assert here.to(there).device == CUDA


def test_a_network_learns_as_on_the_cpu(tmp_path: Path):
    images, losses, weights = torch.randn(2, 1, 5, 5, 5), {}, {}
    for device in ("cpu", "cuda"):
        student = network().to(device)
        optimiser = torch.optim.SGD(student.parameters(), 0.1, momentum=0.9)
        for _ in range(3):
            optimiser.zero_grad(set_to_none=True)
            loss = student(images.to(device, non_blocking=True)).square().mean()
            loss.backward()
            nn.utils.clip_grad_norm_(student.parameters(), 12)
            optimiser.step()
        losses[device], weights[device] = loss.item(), student.state_dict()
    assert losses["cuda"] == pytest.approx(losses["cpu"])
    assert all(torch.equal(weights["cpu"][key], value.cpu()) for key, value in weights["cuda"].items())
    assert all(isinstance(value, OnGpu) for value in copy.deepcopy(student).parameters())
    torch.save(weights["cuda"], tmp_path / "weights.pth")
    assert not isinstance(torch.load(tmp_path / "weights.pth")["0.weight"], OnGpu)
    assert isinstance(torch.load(tmp_path / "weights.pth", map_location=CUDA)["0.weight"], OnGpu)


def test_autocast_computes_in_half_precision():
    student = network().cuda()
    with torch.autocast("cuda"):
        assert student(torch.randn(1, 1, 5, 5, 5, device="cuda")).dtype == torch.float16
