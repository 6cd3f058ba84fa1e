"""What the teacher cache buys and costs: seconds of a step, seconds and bytes of a tile, agreement of the labels.

    python benchmarks/teacher_cache.py --work teacher_cache
    python benchmarks/teacher_cache.py --device cuda --rounds 20 --work teacher_cache

Two settings, each once with the student prompting the CT teacher and once with the prompt generator:

- *demo*: the demo's plans on phantoms, stand-in teachers, a prompt generator trained for it (kept in the work folder);
  two whole trainers, one with the cache and one without, take their steps in turn.
- *released*: teachers of the released size with random weights (the time does not depend on them) on 128-cubed patches
  of noise with 12 organs everywhere, no prompt generator's network; only the teachers' share is timed.

Medians of rounds that time both ways side by side. Agreement is that of the pseudo-labels (the mean of both teachers
above one half) with and without the cache on the same tiles and for the same student: what rounding costs.
"""

import argparse
import os
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from statistics import mean, median
from time import perf_counter

import numpy as np
import torch
from machine import describe_machine, write_results
from torch import Tensor, nn

from nnunetv2_muduo.datasets.phantom import write_phantom_dataset
from nnunetv2_muduo.demo.commands import run_command
from nnunetv2_muduo.json_files import read_json
from nnunetv2_muduo.semisupervised.answers import Patches, TeacherLabels
from nnunetv2_muduo.semisupervised.teaching import Teaching
from nnunetv2_muduo.settings import Settings
from nnunetv2_muduo.teacher_cache.case import CachedCase, writing_case
from nnunetv2_muduo.teacher_cache.evidence import TileLayout, from_stored, to_stored
from nnunetv2_muduo.teachers import Sam3D
from nnunetv2_muduo.trainers.nnUNetTrainerMuDuo import nnUNetTrainerMuDuo

DATASET = "Dataset222_TeacherCache"
PATCH, ORGANS, BATCH = 128, 12, 2  # of the released setting


@dataclass
class Measured:
    """One setting: seconds of every round, and what the cache holds."""

    name: str
    teachers: dict[str, list[float]] = field(default_factory=lambda: {"uncached": [], "cached": []})
    steps: dict[str, list[float]] = field(default_factory=lambda: {"uncached": [], "cached": []})
    build_seconds_per_tile: float = 0.0
    bytes_per_tile: float = 0.0
    bound_bytes_per_tile: int = 0
    tiles_per_case: float = 0.0
    dice: list[float] = field(default_factory=list)
    largest_difference: float = 0.0
    read_seconds_per_tile: float = 0.0

    def row(self) -> list[str]:
        """Of the table."""
        teachers, steps = ({k: median(v) for k, v in times.items() if v} for times in (self.teachers, self.steps))
        whole = f"{steps['uncached']:.3f} -> {steps['cached']:.3f}" if steps else ""
        return [
            self.name,
            f"{teachers['uncached']:.3f} -> {teachers['cached']:.3f}",
            whole,
            f"{self.build_seconds_per_tile:.3f} / {self.read_seconds_per_tile:.4f}",
            f"{self.bytes_per_tile / 2**20:.2f} ({self.bound_bytes_per_tile / 2**20:.1f})",
            f"{self.bytes_per_tile * self.tiles_per_case / 2**20:.1f} ({self.tiles_per_case:.0f} tiles)",
            f"{mean(self.dice):.4f} / {min(self.dice):.4f}",
            f"{self.largest_difference:.1e}",
        ]

    def compare(self, uncached: TeacherLabels, cached: TeacherLabels) -> None:
        """Add what two ways say about the same patches."""
        first, second = (((a + b) / 2 > 0.5)[said.valid] for said in (uncached, cached) for a, b in [said.streams])
        sizes = (first.sum((1, 2, 3)) + second.sum((1, 2, 3))).tolist()
        overlaps = (first & second).sum((1, 2, 3)).tolist()
        self.dice += [2 * both / size for both, size in zip(overlaps, sizes, strict=True) if size]
        for ours, plain in zip(cached.streams, uncached.streams, strict=True):
            self.largest_difference = max(self.largest_difference, float((ours - plain).abs().max()))


class Demo:
    """Trainers of the demo's plans on a few phantoms, in nnU-Net's folders below `work`."""

    def __init__(self, work: Path, device: torch.device, *, prompt_epochs: int) -> None:
        self.device, self.prompt_epochs = device, prompt_epochs
        folders = {name: work / name for name in ("nnUNet_raw", "nnUNet_preprocessed", "nnUNet_results")}
        os.environ.update({name: str(folder) for name, folder in folders.items()} | {"nnUNet_n_proc_DA": "0"})
        for folder in folders.values():
            folder.mkdir(parents=True, exist_ok=True)
        raw, self.preprocessed = folders["nnUNet_raw"] / DATASET, folders["nnUNet_preprocessed"] / DATASET
        write_phantom_dataset(raw, labelled=5, unlabelled=4, test=0, seed=3, spacing_in_mm=(10.0, 10.0, 10.0))
        if not (self.preprocessed / "nnUNetPlans.json").is_file():
            number, log = DATASET[7:10], work / "plan.txt"
            for command in (
                ["nnUNetv2_plan_and_preprocess", "-d", number, "-c", "3d_fullres", "-np", "1", "-npfp", "1"],
                ["muduo", "plan", "-d", number, "--preset", "demo", "--set", "seed=0"],
            ):
                run_command(command, log_file=log, environment={**os.environ, "nnUNet_n_proc_DA": "1"})

    def trainer(self, **settings) -> nnUNetTrainerMuDuo:
        """Ready for its first step."""
        plans = read_json(self.preprocessed / "nnUNetPlans.json")
        plans["muduo"] |= {
            "report_every": 1000,
            "min_prompt_iou": 0.0,
            "prompt_epochs": self.prompt_epochs,
            **settings,
        }
        plans["continue_training"] = True
        dataset_json = read_json(self.preprocessed / "dataset.json")
        trainer = nnUNetTrainerMuDuo(plans, "3d_fullres", 0, dataset_json, self.device)
        trainer.on_train_start()
        trainer.network.train()
        return trainer

    def measure(self, ct_prompt: str, rounds: int) -> Measured:
        measured = Measured(f"demo, {ct_prompt} prompts the CT teacher")
        trainers = {
            "uncached": self.trainer(teacher_cache=False, ct_prompt=ct_prompt),
            "cached": self.trainer(teacher_cache=True, ct_prompt=ct_prompt),
        }
        for step in range(rounds + 1):
            for way, trainer in trainers.items():
                seconds, outcome = timed(lambda t=trainer: t.train_step(next(t.dataloader_train)), self.device)
                if step:  # the first round warms up
                    measured.steps[way].append(seconds)
                    measured.teachers[way].append(outcome["teacher_seconds"])
        self._compare(measured, trainers["cached"])
        return measured

    def _compare(self, measured: Measured, trainer: nnUNetTrainerMuDuo) -> None:
        """Ask about every cached tile again without the cache."""
        loader, folder = trainer.dataloader_train.unlabelled_patches, trainer.cache_folder
        trainer.network.eval()
        building, reading, sizes, tiles = [], [], [], []
        layout = TileLayout.of(trainer.teaching, organs=len(trainer.organs), patch_size=loader.patch_size)
        for key in loader.indices:
            case, opened = CachedCase(folder / key), loader.open_case(key)
            tiles.append(len(case))
            sizes.append(case.size_in_bytes())
            for tile, centre in enumerate(case.centres):
                clean, mask = loader.crop(opened, centre)
                raw = loader.raw_crop(opened, centre, clean, mask)
                patches = Patches(clean[None].to(self.device), raw[None].to(self.device))
                with torch.inference_mode():
                    output = trainer.network(patches.clean)
                student = (output if isinstance(output, Tensor) else output[0]).float().softmax(1)[:, 1:]
                seconds, stored = timed(lambda f=folder / key, t=tile: CachedCase(f).tile(t), self.device)
                reading.append(seconds)
                cached = conclude(trainer.teaching, stored, student)
                measured.compare(trainer.teaching.label(patches, student), cached)
                building.append(timed(lambda p=patches: to_stored(trainer.teaching.gather(p), layout), self.device)[0])
        measured.build_seconds_per_tile, measured.read_seconds_per_tile = median(building), median(reading)
        measured.bytes_per_tile = sum(sizes) / sum(tiles)
        measured.tiles_per_case = mean(tiles)
        measured.bound_bytes_per_tile = layout.bytes_per_tile


class EveryOrgan(nn.Module):
    """A prompt generator that costs nothing and finds every organ, in a block each: the teachers' dearest case."""

    def forward(self, image: Tensor) -> Tensor:
        blocks = torch.arange(1, 28, device=image.device).view(1, 3, 3, 3).clamp_max(ORGANS + 1) % (ORGANS + 1)
        labels = nn.functional.interpolate(blocks[None].float(), size=image.shape[2:])[0, 0].long()
        one_hot = nn.functional.one_hot(labels, ORGANS + 1).permute(3, 0, 1, 2)
        return 8 * one_hot.expand(len(image), -1, -1, -1, -1).float()


def measure_released(ct_prompt: str, rounds: int, device: torch.device, work: Path) -> Measured:
    """The teachers' share alone, at the released size."""
    measured = Measured(f"released size, {ct_prompt} prompts the CT teacher", tiles_per_case=Settings().cache_tiles)
    torch.manual_seed(0)
    size = (PATCH,) * 3
    teaching = Teaching(
        Sam3D().eval(),
        Sam3D().eval(),
        prompt_generator=EveryOrgan(),
        settings=replace(Settings(), ct_prompt=ct_prompt),
        patch_size=size,
        spacing_in_mm=(1.5, 1.5, 1.5),
        channels=(0, 1),
        device=device,
        seed=0,
    )
    clean = torch.randn(BATCH, 2, *size, device=device)
    student = torch.rand(BATCH, ORGANS, *(PATCH // 8 for _ in size), device=device)
    student = nn.functional.interpolate(student, size=size, mode="trilinear")
    patches = Patches(clean, clean * 100 + 20)
    layout = TileLayout.of(teaching, organs=ORGANS, patch_size=size)
    measured.bound_bytes_per_tile = layout.bytes_per_tile
    building, folder = [], work / f"released_{ct_prompt}"
    with writing_case(folder, layout, centres=np.zeros((BATCH, 3), np.int32), fingerprint="") as writer:
        for tile in range(BATCH):
            one = Patches(patches.clean[[tile]], patches.raw[[tile]])
            seconds, arrays = timed(lambda p=one: to_stored(teaching.gather(p), layout), device)
            building.append(seconds)
            writer.write(tile, arrays)
    case = CachedCase(folder)
    measured.build_seconds_per_tile = min(building)  # the first one warms up
    measured.bytes_per_tile = case.size_in_bytes() / BATCH
    start = perf_counter()
    tiles = [CachedCase(folder).tile(tile) for tile in range(BATCH)]
    measured.read_seconds_per_tile = (perf_counter() - start) / BATCH
    batch = {name: torch.from_numpy(np.stack([tile[name] for tile in tiles])) for name in tiles[0]}
    ways: dict[str, Callable[[], TeacherLabels]] = {
        "uncached": lambda: teaching.label(patches, student),
        "cached": lambda: teaching.conclude(from_stored(batch, device), student),
    }
    for _ in range(rounds):
        said = {}
        for way, ask in ways.items():
            seconds, said[way] = timed(ask, device)
            measured.teachers[way].append(seconds)
    measured.compare(said["uncached"], said["cached"])
    return measured


def conclude(teaching: Teaching, tile: dict[str, np.ndarray], student: Tensor) -> TeacherLabels:
    """What the cache says about one tile."""
    batch = {name: torch.from_numpy(values[None]) for name, values in tile.items()}
    return teaching.conclude(from_stored(batch, teaching.device), student)


def timed(work: Callable, device: torch.device) -> tuple[float, object]:
    """Seconds, the accelerator's queue included, and the result."""
    start = perf_counter()
    result = work()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return perf_counter() - start, result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--rounds", type=int, default=10, help="of the demo setting")
    parser.add_argument("--released-rounds", type=int, default=3, help="of the released size; 0 leaves it out")
    parser.add_argument("--prompt-epochs", type=int, default=16, help="of the demo's prompt generator (demo: 16)")
    parser.add_argument("--work", type=Path, help="keeps the demo's data and prompt generator for another run")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results")
    arguments = parser.parse_args()
    device, measured = torch.device(arguments.device), []
    with tempfile.TemporaryDirectory() as temporary:
        work = (arguments.work or Path(temporary)).resolve()
        demo = Demo(work, device, prompt_epochs=arguments.prompt_epochs)
        for ct_prompt in ("student", "generator"):
            measured.append(demo.measure(ct_prompt, arguments.rounds))
            if arguments.released_rounds:
                measured.append(measure_released(ct_prompt, arguments.released_rounds, device, work))
    write_results(
        arguments.out / ("teacher_cache" if device.type == "cpu" else f"teacher_cache_{device.type}"),
        title="A MuDuo step without and with the teacher cache (medians; two unlabelled patches a step)",
        header=(
            "setting",
            "seconds of the teachers",
            "seconds of the whole step",
            "seconds to build / to read a tile",
            "MiB a tile (before compression)",
            "MiB a case",
            "Dice of pseudo-labels with and without (mean / least)",
            "largest difference of a probability",
        ),
        rows=[one.row() for one in measured],
        record={
            "settings": [vars(one) for one in measured],
            "arguments": {k: str(v) for k, v in vars(arguments).items() if k not in ("out", "work")},
        },
        machine={**describe_machine(device), "epochs_of_the_demo's_prompt_generator": str(arguments.prompt_epochs)},
    )


if __name__ == "__main__":
    main()
