"""Labelling one unlabelled 128-cubed patch with both teachers, ours against the published way of working.

    python benchmarks/teacher_speed.py
    python benchmarks/teacher_speed.py --device cuda --dtype bf16 --repeats 10

Published: for every organ and teacher, one pass of the plain image encoder (windows padded to 14 x 14 x 14), then one
prompt decoded. Ours: one pass of each teacher's encoder, then all organs decoded at once. Both upsample the logits to
the patch and apply the sigmoid. The CT teacher is prompted with masks, the PET teacher with three points an organ, at
the released size with random weights: the time does not depend on them. Every round times all of it side by side; the
published way is the median of the plain passes (encode, decode one prompt, upsample) times their number. On a machine
that others use as well, one thread (`--threads 1`) gives the steadier ratio: threads of a parallel region wait for
each other.
"""

import argparse
import resource
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import TypeVar

import torch
from machine import describe_machine, write_results
from torch import Tensor

from nnunetv2_muduo.teachers import Sam3D

sys.path.insert(
    0, str(Path(__file__).resolve().parents[1] / "tests" / "support")
)  # the plain twin lives with the tests
from plain_sam3d import plain_decode, plain_encode

ORGAN_COUNTS = (1, 4, 12)
POINTS = 3
RESULTS = Path(__file__).resolve().parent / "results"
Result = TypeVar("Result")


@dataclass(frozen=True)
class Prompts:
    """Mask prompts for the CT teacher [1, K, 32, 32, 32], points for the PET teacher [1, K, 3, 3] and their labels."""

    masks: Tensor
    coords: Tensor
    labels: Tensor

    def first(self, organs: int) -> "Prompts":
        """The prompts of the first organs."""
        return Prompts(self.masks[:, :organs], self.coords[:, :organs], self.labels[:, :organs])


@dataclass
class Seconds:
    """What every round measured, in seconds."""

    labelling: dict[int, list[float]] = field(default_factory=lambda: {organs: [] for organs in ORGAN_COUNTS})
    encoder_pass: list[float] = field(default_factory=list)
    plain_encoder_pass: list[float] = field(default_factory=list)
    plain_organ: list[float] = field(default_factory=list)  # one pass and one prompt, of one teacher


class Bench:
    """Both teachers, one patch in their view, prompts for 12 organs, and the ways to label it."""

    def __init__(self, device: torch.device, *, dtype: torch.dtype) -> None:
        torch.manual_seed(0)
        self.device, self.dtype = device, dtype
        self.ct, self.pet = (build_teacher().to(device) for _ in range(2))
        self.states = {id(teacher): teacher.state_dict() for teacher in (self.ct, self.pet)}
        cube, mask, organs = self.ct.spec.cube_size, self.ct.spec.mask_size, max(ORGAN_COUNTS)
        self.ct_image, self.pet_image = torch.randn(2, 1, 1, cube, cube, cube, device=device)
        self.prompts = Prompts(
            masks=torch.randn(1, organs, mask, mask, mask, device=device),
            coords=torch.randint(cube, (1, organs, POINTS, 3), device=device).float(),
            labels=torch.ones(1, organs, POINTS, device=device),
        )

    def precision(self) -> AbstractContextManager:
        """Autocast, or nothing for float32."""
        return torch.autocast(self.device.type, dtype=self.dtype, enabled=self.dtype != torch.float32)

    def label(self, organs: int) -> tuple[Tensor, Tensor]:
        """Ours: probabilities [1, K, 128, 128, 128] of both teachers."""
        prompts = self.prompts.first(organs)
        no_hint = torch.zeros_like(prompts.masks[:, :1])
        from_ct, _ = self.ct.decode(self.ct.encode(self.ct_image), masks=prompts.masks)
        from_pet, _ = self.pet.decode(self.pet.encode(self.pet_image), prompts.coords, prompts.labels, no_hint)
        return self.to_patch(from_ct), self.to_patch(from_pet)

    def encode_plainly(self, teacher: Sam3D, image: Tensor) -> Tensor:
        """One pass of the published encoder."""
        config = teacher.config
        return plain_encode(
            self.states[id(teacher)],
            image,
            heads=config.encoder_heads,
            window_size=config.window_size,
            global_blocks=config.global_blocks,
        )

    def decode_plainly(self, teacher: Sam3D, embedding: Tensor, organ: int) -> Tensor:
        """One prompt of the published way, upsampled: [1, 1, 128, 128, 128]."""
        prompt = {"mask": self.prompts.masks[0, organ]}
        if teacher is self.pet:
            no_hint = torch.zeros_like(self.prompts.masks[0, 0])
            prompt = {"points": self.prompts.coords[0, organ], "labels": self.prompts.labels[0, organ], "mask": no_hint}
        size, heads = teacher.config.image_size, teacher.config.decoder_heads
        logits, _ = plain_decode(self.states[id(teacher)], embedding, image_size=size, heads=heads, **prompt)
        return self.to_patch(logits[None, None].float())

    def label_plainly(self, organ: int) -> tuple[Tensor, Tensor]:
        """Published: probabilities [1, 1, 128, 128, 128] of both teachers for one organ."""
        from_ct = self.decode_plainly(self.ct, self.encode_plainly(self.ct, self.ct_image), organ)
        return from_ct, self.decode_plainly(self.pet, self.encode_plainly(self.pet, self.pet_image), organ)

    def to_patch(self, logits: Tensor) -> Tensor:
        """Logits [1, K, 32, 32, 32] -> probabilities [1, K, 128, 128, 128]."""
        size = self.ct.spec.cube_size
        return torch.nn.functional.interpolate(logits, size=(size, size, size), mode="trilinear").sigmoid_()

    def timed(self, work: Callable[..., Result], *arguments: object) -> tuple[float, Result]:
        """Run once: seconds, the accelerator's queue included, and the result."""
        self.synchronise()
        start = perf_counter()
        with torch.inference_mode(), self.precision():
            result = work(*arguments)
        self.synchronise()
        return perf_counter() - start, result

    def synchronise(self) -> None:
        """Wait for the accelerator."""
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)

    def peak_mib(self, work: Callable[..., object], *arguments: object) -> float:
        """Peak memory of a run: allocated on the accelerator, or the process's high-water mark so far."""
        if self.device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(self.device)
            self.timed(work, *arguments)
            return torch.cuda.max_memory_allocated(self.device) / 2**20
        self.timed(work, *arguments)
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10


def build_teacher() -> Sam3D:
    """The released size with random weights, position tables included."""
    teacher = Sam3D().eval().requires_grad_(False)
    for name, parameter in teacher.named_parameters():
        if "rel_pos" in name or "pos_embed" in name:
            torch.nn.init.normal_(parameter, std=0.1)
    return teacher


def largest_difference(bench: Bench) -> float:
    """Largest difference between our probabilities and the published way's, for one organ of each teacher."""
    with torch.inference_mode(), bench.precision():
        pairs = zip(bench.label(1), bench.label_plainly(0), strict=True)
        return max((ours - published).abs().max().item() for ours, published in pairs)


def measure(bench: Bench, repeats: int) -> Seconds:
    """Time all ways side by side, `repeats` times."""
    seconds = Seconds()
    for turn in range(repeats):
        organ = turn % max(ORGAN_COUNTS)
        for teacher, image in ((bench.ct, bench.ct_image), (bench.pet, bench.pet_image)):
            encoding, embedding = bench.timed(bench.encode_plainly, teacher, image)
            decoding, _ = bench.timed(bench.decode_plainly, teacher, embedding, organ)
            seconds.plain_encoder_pass.append(encoding)
            seconds.plain_organ.append(encoding + decoding)
            seconds.encoder_pass.append(bench.timed(teacher.encode, image)[0])
            for organs in ORGAN_COUNTS:
                seconds.labelling[organs].append(bench.timed(bench.label, organs)[0])
        latest = f"12 organs in {seconds.labelling[12][-1]:.3f} s, a plain pass in {seconds.plain_organ[-1]:.3f} s"
        print(f"round {turn + 1} of {repeats}: {latest}", file=sys.stderr)
    return seconds


def summarise(seconds: Seconds) -> dict:
    """Medians, ratios and the cost of one more organ."""
    labelling = {organs: median(times) for organs, times in seconds.labelling.items()}
    published = {organs: 2 * organs * median(seconds.plain_organ) for organs in ORGAN_COUNTS}
    few, many = min(ORGAN_COUNTS), max(ORGAN_COUNTS)
    extra_organ = (labelling[many] - labelling[few]) / (many - few)
    return {
        "seconds": labelling,
        "published_seconds": published,
        "ratio": {organs: published[organs] / labelling[organs] for organs in ORGAN_COUNTS},
        "encoder_pass_seconds": median(seconds.encoder_pass),
        "plain_encoder_pass_seconds": median(seconds.plain_encoder_pass),
        "extra_organ_seconds_both_teachers": extra_organ,
        "extra_organ_per_teacher_in_encoder_passes": extra_organ / 2 / median(seconds.encoder_pass),
        "extra_organ_per_teacher_in_plain_encoder_passes": extra_organ / 2 / median(seconds.plain_encoder_pass),
    }


def tabulate(summary: dict, memory: dict[str, float], repeats: int) -> list[list[str]]:
    """The rows of the table."""
    rows = []
    for organs in ORGAN_COUNTS:
        published, ours = summary["published_seconds"][organs], summary["seconds"][organs]
        measured = f"published ({2 * repeats} passes measured, their median multiplied)"
        rows.append([measured, f"{organs}", f"{2 * organs}", f"{published:.3f}", "1", f"{memory['published']:.0f}"])
        ratio = f"{summary['ratio'][organs]:.0f}"
        rows.append(["ours", f"{organs}", "2", f"{ours:.3f}", ratio, f"{memory['ours']:.0f}"])
    fast, plain = summary["encoder_pass_seconds"], summary["plain_encoder_pass_seconds"]
    rows.append(["one plain encoder pass", "", "1", f"{plain:.3f}", "", ""])
    rows.append(["one encoder pass of ours", "", "1", f"{fast:.3f}", f"{plain / fast:.1f}", ""])
    share = summary["extra_organ_per_teacher_in_encoder_passes"]
    plain_share = summary["extra_organ_per_teacher_in_plain_encoder_passes"]
    extra = summary["extra_organ_seconds_both_teachers"]
    name = f"one more organ, both teachers ({share:.1%} of our pass each, {plain_share:.2%} of a plain one)"
    rows.append([name, "+1", "0", f"{extra:.3f}", "", ""])
    return rows


def parse_arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cpu", help="cpu or cuda (default: cpu)")
    parser.add_argument("--dtype", choices=["float32", "bf16"], default="float32", help="bf16 runs under autocast")
    parser.add_argument("--repeats", type=int, default=5, help="rounds, each with two plain passes (default: 5)")
    parser.add_argument("--threads", type=int, help="processor threads (default: PyTorch's choice)")
    parser.add_argument(
        "--out", type=Path, help="results without suffix (default: benchmarks/results/teacher_speed...)"
    )
    return parser.parse_args()


def main() -> None:
    """Measure, print and write."""
    arguments = parse_arguments()
    device = torch.device(arguments.device)
    is_default = device.type == "cpu" and arguments.dtype == "float32"
    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    name = "teacher_speed" if is_default else f"teacher_speed_{device.type}_{arguments.dtype}"
    bench = Bench(device, dtype=torch.bfloat16 if arguments.dtype == "bf16" else torch.float32)
    # ours first: a process's high-water mark never falls
    memory = {"ours": bench.peak_mib(bench.label, max(ORGAN_COUNTS))}
    memory["published"] = bench.peak_mib(bench.label_plainly, 0)
    difference = largest_difference(bench)
    seconds = measure(bench, arguments.repeats)
    summary = summarise(seconds)
    machine = {
        **describe_machine(device),
        "precision": arguments.dtype,
        "largest_difference_of_probabilities": f"{difference:.1e}",
        "peak_memory": "allocated on the GPU"
        if device.type == "cuda"
        else "of the process, both models' 804 MB included",
    }
    write_results(
        arguments.out or RESULTS / name,
        title="Labelling one 128-cubed patch with both teachers",
        header=["way of working", "organs", "encoder passes", "seconds", "times faster", "peak memory (MiB)"],
        rows=tabulate(summary, memory, arguments.repeats),
        record={"summary": summary, "peak_memory_mib": memory, "rounds": vars(seconds), "repeats": arguments.repeats},
        machine=machine,
    )


if __name__ == "__main__":
    main()
