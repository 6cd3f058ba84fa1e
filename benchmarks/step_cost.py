"""What a MuDuo step costs against a stock nnU-Net step on the same patches and network, and where the time goes.

    python benchmarks/step_cost.py --device cpu --patch 64 --batch 2 --repeats 3
    python benchmarks/step_cost.py --device cuda --patch 128 --batch 2 --repeats 10 --compile

Three steps are timed side by side in every round and their medians compared: *stock* (labelled patches alone), *two
streams* (labelled and unlabelled patches through the student, pseudo-labels for free) and *MuDuo* (pseudo-labels from
both teachers at their released size, with random weights: the time does not depend on them).
"""

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from time import perf_counter

import torch
from dynamic_network_architectures.architectures.unet import PlainConvUNet
from machine import describe_machine, write_results
from torch import Tensor, nn

from nnunetv2_muduo.distillation import distil
from nnunetv2_muduo.semisupervised.answers import Patches
from nnunetv2_muduo.semisupervised.teaching import Teaching
from nnunetv2_muduo.settings import Settings
from nnunetv2_muduo.teachers import Sam3D


def build_student(features: int, organs: int, channels: int, stages: int) -> nn.Module:
    """nnU-Net's 3d_fullres network for an isotropic patch."""
    return PlainConvUNet(
        input_channels=channels,
        n_stages=stages,
        features_per_stage=[min(features * 2**stage, 10 * features) for stage in range(stages)],
        conv_op=nn.Conv3d,
        kernel_sizes=3,
        strides=[1] + [2] * (stages - 1),
        n_conv_per_stage=2,
        num_classes=organs + 1,
        n_conv_per_stage_decoder=2,
        conv_bias=True,
        norm_op=nn.InstanceNorm3d,
        norm_op_kwargs={"eps": 1e-5, "affine": True},
        nonlin=nn.LeakyReLU,
        nonlin_kwargs={"inplace": True},
        deep_supervision=True,
    )


def supervised_loss(outputs: list[Tensor], target: Tensor) -> Tensor:
    """Cross-entropy and soft Dice over the deep supervision outputs, weighted as nnU-Net does."""
    weights = [1 / 2**i for i in range(len(outputs) - 1)] + [0.0]
    total = torch.zeros((), device=target.device)
    for weight, output in zip(weights, outputs, strict=True):
        if weight == 0:
            continue
        stride = target.shape[-1] // output.shape[-1]
        scaled = target[:, ::stride, ::stride, ::stride]
        one_hot = nn.functional.one_hot(scaled, output.shape[1]).permute(0, 4, 1, 2, 3)[:, 1:]
        probabilities = output.float().softmax(1)[:, 1:]
        overlap = (probabilities * one_hot).sum((0, 2, 3, 4))
        dice = 2 * overlap / (probabilities.sum((0, 2, 3, 4)) + one_hot.sum((0, 2, 3, 4)) + 1e-5)
        total = total + weight / sum(weights) * (nn.functional.cross_entropy(output.float(), scaled) - dice.mean())
    return total


@dataclass
class Bench:
    """Everything the three steps share."""

    arguments: argparse.Namespace

    def __post_init__(self) -> None:
        given = self.arguments
        self.device = torch.device(given.device)
        torch.manual_seed(0)
        shape = (given.batch, 2, *[given.patch] * 3)
        stages = 3
        while given.patch / 2 ** (stages - 1) > 4 and stages < 6:
            stages += 1
        self.student = build_student(given.features, given.organs, 2, stages).to(self.device)
        generator = build_student(given.features, given.organs, 2, stages).to(self.device).eval()
        generator.decoder.deep_supervision = False
        if given.compile:
            self.student = torch.compile(self.student)
        self.optimiser = torch.optim.SGD(self.student.parameters(), 0.01, momentum=0.99, nesterov=True)
        self.labelled, self.unlabelled = (torch.randn(shape, device=self.device) for _ in range(2))
        blocks = torch.randint(0, given.organs + 1, (given.batch, 1, 4, 4, 4), device=self.device)
        self.target = nn.functional.interpolate(blocks.float(), size=shape[2:]).long()[:, 0]
        labels = torch.arange(1, given.organs + 1, device=self.device).view(1, -1, 1, 1, 1)
        self.free_labels = (self.target[:, None] == labels).float()
        self.teaching = Teaching(
            Sam3D().eval(),
            Sam3D().eval(),
            prompt_generator=_EveryOrgan(generator, given.organs),
            settings=Settings(),
            patch_size=shape[2:],
            spacing_in_mm=(2.0, 2.0, 2.0),
            channels=(0, 1),
            device=self.device,
            seed=0,
        )
        self.patches = Patches(clean=self.unlabelled, raw=self.unlabelled * 100 + 20)

    def stock(self) -> None:
        self._step(self.labelled, None)

    def two_streams(self) -> None:
        self._step(torch.cat([self.labelled, self.unlabelled]), lambda _: (self.free_labels, self.free_labels))

    def muduo(self) -> None:
        self._step(torch.cat([self.labelled, self.unlabelled]), lambda p: self.teaching.label(self.patches, p).streams)

    def teachers_alone(self) -> None:
        self.teaching.label(self.patches, self.free_labels)

    def _step(self, images: Tensor, labeller: Callable[[Tensor], tuple[Tensor, Tensor]] | None) -> None:
        batch = self.arguments.batch
        self.optimiser.zero_grad(set_to_none=True)
        with torch.autocast(self.device.type, dtype=torch.bfloat16, enabled=self.device.type == "cuda"):
            outputs = self.student(images)
        loss = supervised_loss([output[:batch] for output in outputs], self.target)
        if labeller is not None:
            probabilities = outputs[0][batch:].float().softmax(1)[:, 1:]
            p_ct, p_pet = labeller(probabilities.detach())
            everything = torch.ones(p_ct.shape[:2], dtype=torch.bool, device=self.device)
            mix = torch.rand(p_ct.shape[:2], device=self.device)
            loss = loss + 0.1 * distil(probabilities, p_ct, p_pet, everything, mix).loss
        loss.backward()
        nn.utils.clip_grad_norm_(self.student.parameters(), 12)
        self.optimiser.step()

    def seconds(self, step: Callable[[], None]) -> float:
        self._synchronise()
        start = perf_counter()
        step()
        self._synchronise()
        return perf_counter() - start

    def _synchronise(self) -> None:
        if self.device.type == "cuda":
            torch.cuda.synchronize()


class _EveryOrgan(nn.Module):
    """Runs the real network for its time and answers that every organ is there: the dearest case for the teachers."""

    def __init__(self, network: nn.Module, organs: int) -> None:
        super().__init__()
        self.network, self.organs = network, organs

    def forward(self, image: Tensor) -> Tensor:
        logits = self.network(image)
        z = torch.arange(image.shape[2], device=image.device).view(1, -1, 1, 1)
        label = (z * (self.organs + 1) // image.shape[2]).expand(image.shape[0], *image.shape[2:])
        return 0 * logits + nn.functional.one_hot(label, self.organs + 1).permute(0, 4, 1, 2, 3)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--patch", type=int, default=128, help="edge of the cubic patch in voxels")
    parser.add_argument("--features", type=int, default=32)
    parser.add_argument("--batch", type=int, default=2, help="labelled patches a step, and unlabelled ones")
    parser.add_argument("--organs", type=int, default=12)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--compile", action="store_true")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results")
    arguments = parser.parse_args()
    bench = Bench(arguments)
    steps = {
        "stock": bench.stock,
        "two streams": bench.two_streams,
        "MuDuo": bench.muduo,
        "teachers": bench.teachers_alone,
    }
    times: dict[str, list[float]] = {name: [] for name in steps}
    for repeat in range(arguments.repeats + 1):
        for name, step in steps.items():
            seconds = bench.seconds(step)
            if repeat:  # the first round warms up
                times[name].append(seconds)
        print(f"round {repeat} of {arguments.repeats}", flush=True)
    medians = {name: median(values) for name, values in times.items()}
    rows = [
        (name, f"{value:.3f}", f"{value / medians['stock']:.2f}", f"{value / medians['two streams'] * 100:.0f} %")
        for name, value in medians.items()
    ]
    write_results(
        arguments.out / f"step_cost_{arguments.device}",
        title=f"One training step, patch {arguments.patch} cubed, {arguments.features} features, "
        f"{arguments.batch} + {arguments.batch} patches, {arguments.organs} organs",
        header=("step", "seconds (median)", "of the stock step", "of the two-stream step"),
        rows=rows,
        record={"arguments": {k: str(v) for k, v in vars(arguments).items() if k != "out"}, "seconds": times},
        machine=describe_machine(bench.device),
    )


if __name__ == "__main__":
    main()
