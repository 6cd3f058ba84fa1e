"""Seconds of a pretraining step of SwinUNETR-v2 against the network of the preset petct_mae, same patch and batch.

    OMP_NUM_THREADS=1 python benchmarks/swin_step.py                                  # a CPU: about 5 minutes
    python benchmarks/swin_step.py --device cuda --patch 96 128 128 --sizes small base large --repeats 50

A step is masking, forward, loss, backward, clipping and AdamW, as in nnUNetTrainerPETCTMAE, on noise: what is in the
patch does not matter to the time. On CUDA the forward is in bfloat16. In every round each network does one step;
medians are compared. The preset's network has six stages of 32 to 320 features whatever the patch, as published.
"""

import argparse
import json
from pathlib import Path
from statistics import median
from time import perf_counter

import torch
from machine import describe_machine, write_results
from nnunetv2.utilities.get_network_from_plans import get_network_from_plans
from torch import Tensor, nn

from nnunetv2_muduo.mae_settings import MAESettings
from nnunetv2_muduo.mae_training.step import shown_to_network
from nnunetv2_muduo.presets import preset_paths
from nnunetv2_muduo.pretraining import block_mask, reconstruction_loss
from nnunetv2_muduo.swin.building import build_swin
from nnunetv2_muduo.swin_sizes import SIZES

CHANNELS = 2
PLANNED = "planned U-Net"


class Pretraining:
    """A network and its optimiser, and a step of them."""

    def __init__(self, network: nn.Module, device: torch.device) -> None:
        self.network, self.device, self.settings = network.to(device), device, MAESettings()
        self.optimizer = torch.optim.AdamW(
            network.parameters(), self.settings.initial_lr, weight_decay=self.settings.weight_decay
        )
        self.masks = torch.Generator().manual_seed(0)

    def step(self, image: Tensor) -> None:
        """On image [B, C, Z, Y, X]."""
        settings = self.settings
        self.optimizer.zero_grad(set_to_none=True)
        mask = block_mask(image.shape, settings.block, settings.ratio, generator=self.masks, device=self.device)
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.device.type == "cuda"):
            reconstruction = self.network(shown_to_network(image, mask, None))
        reconstruction_loss(reconstruction, image, mask, visible_weight=settings.visible_weight).backward()
        nn.utils.clip_grad_norm_(self.network.parameters(), settings.clip_norm)
        self.optimizer.step()

    def seconds(self, image: Tensor) -> float:
        """Wall time of a step, with what it left to do on the GPU."""
        start = perf_counter()
        self.step(image)
        if self.device.type == "cuda":
            torch.cuda.synchronize()
        return perf_counter() - start


def planned_network() -> nn.Module:
    """The preset's, as nnU-Net builds it."""
    preset = json.loads(preset_paths()["petct_mae"].read_text())
    architecture = preset["configurations"]["3d_fullres"]["architecture"]
    return get_network_from_plans(
        architecture["network_class_name"],
        architecture["arch_kwargs"],
        architecture["_kw_requires_import"],
        CHANNELS,
        CHANNELS,
        deep_supervision=False,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--patch", type=int, nargs=3, default=[64, 64, 64], help="voxels, multiples of 32")
    parser.add_argument("--batch", type=int, default=1)
    parser.add_argument("--sizes", nargs="+", choices=SIZES, default=["small", "base"])
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--note", default="", help="what else to say of the machine")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results")
    arguments = parser.parse_args()
    device = torch.device(arguments.device)
    torch.manual_seed(0)
    networks = {PLANNED: planned_network()}
    for size in arguments.sizes:
        networks[f"Swin {size}"] = build_swin(size, input_channels=CHANNELS, output_channels=CHANNELS)
    trainings = {name: Pretraining(network, device) for name, network in networks.items()}
    image = torch.randn(arguments.batch, CHANNELS, *arguments.patch, device=device)
    times: dict[str, list[float]] = {name: [] for name in trainings}
    for repeat in range(arguments.repeats + 1):
        for name, training in list(trainings.items())[:: 1 if repeat % 2 else -1]:  # none always goes first
            taken = training.seconds(image)
            if repeat:  # the first round warms up
                times[name].append(taken)
        print(f"round {repeat} of {arguments.repeats}", flush=True)
    report(times, networks, arguments)


def report(times: dict[str, list[float]], networks: dict[str, nn.Module], arguments: argparse.Namespace) -> None:
    planned = times[PLANNED]
    rows = []
    for name, seconds in times.items():
        parameters = sum(parameter.numel() for parameter in networks[name].parameters()) / 1e6
        paired = median(ours / theirs for ours, theirs in zip(seconds, planned, strict=True))
        rows.append((name, f"{parameters:.1f}", f"{median(seconds):.2f}", f"{paired:.2f}"))
    write_results(
        arguments.out / f"swin_step_{arguments.device}",
        title=f"A pretraining step on a patch of {' x '.join(map(str, arguments.patch))}, batch {arguments.batch}, "
        f"{arguments.repeats} rounds",
        header=("network", "million parameters", "seconds", "times the planned one"),
        rows=rows,
        record={"arguments": {k: str(v) for k, v in vars(arguments).items() if k != "out"}, "seconds": times},
        machine=describe_machine(torch.device(arguments.device)) | ({"note": arguments.note} if arguments.note else {}),
    )


if __name__ == "__main__":
    main()
