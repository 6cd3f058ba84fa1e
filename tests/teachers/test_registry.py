"""A third kind of teacher, from another installed package: the one of docs/adding_a_teacher.md, word for word."""

import importlib
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from trainable_dataset import TrainableDataset

from nnunetv2_muduo.errors import UserError
from nnunetv2_muduo.teachers import ClickUNetConfig, DualTeacher, TeacherSpec, register_architecture, registry
from nnunetv2_muduo.teachers.weights import load_teacher, save_teacher
from nnunetv2_muduo.trainers.nnUNetTrainerMuDuo import nnUNetTrainerMuDuo

PAGE = Path(__file__).resolve().parents[2] / "docs" / "adding_a_teacher.md"
BUILD = "import sys; from setuptools import build_meta; build_meta.build_wheel(sys.argv[1])"


@pytest.fixture(autouse=True)
def weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The weights folder; and nothing registered here outlives the test."""
    monkeypatch.setattr(registry, "_registered", {})
    monkeypatch.setenv("MUDUO_WEIGHTS", str(tmp_path / "weights"))
    return tmp_path / "weights"


@pytest.fixture
def on_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Write a module and its entry point as an installed package has them, and forget the module afterwards."""

    def install(source: str, *entries: str, module: str = "other_teacher") -> None:
        folder = tmp_path / "site"
        metadata = folder / f"{module}-1.0.dist-info"
        metadata.mkdir(parents=True)
        (folder / f"{module}.py").write_text(source)
        (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {module}\nVersion: 1.0\n")
        lines = "\n".join(entries)
        (metadata / "entry_points.txt").write_text(f"[{registry.ENTRY_POINT_GROUP}]\n{lines}\n")
        monkeypatch.syspath_prepend(str(folder))
        importlib.invalidate_caches()

    yield install
    sys.modules.pop("other_teacher", None)


@pytest.fixture
def toy_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """The page's package, built as pip would build it, its wheel on the path."""
    source, wheels = tmp_path / "toy", tmp_path / "wheels"
    source.mkdir()
    wheels.mkdir()
    (source / "toy_teacher.py").write_text(block("python", 0))
    (source / "pyproject.toml").write_text(block("toml", 0))
    subprocess.run([sys.executable, "-c", BUILD, str(wheels)], cwd=source, check=True, capture_output=True)
    monkeypatch.syspath_prepend(str(next(wheels.glob("*.whl"))))
    importlib.invalidate_caches()
    yield
    sys.modules.pop("toy_teacher", None)


def block(language: str, number: int) -> str:
    return re.findall(rf"```{language}\n(.*?)```", PAGE.read_text(), flags=re.DOTALL)[number]


def refusal(action, *arguments) -> str:
    with pytest.raises(UserError) as caught:
        action(*arguments)
    return str(caught.value)


class Minimal(nn.Module):
    """The least that is a teacher."""

    config_class = ClickUNetConfig

    def __init__(self, config: ClickUNetConfig) -> None:
        super().__init__()
        self.config = config
        self.spec = TeacherSpec(8, 8, 1.5)
        self.weight = nn.Parameter(torch.rand(3))

    def encode(self, image: Tensor) -> Tensor:
        return image

    def decode(self, embedding, coords=None, labels=None, masks=None):
        return masks, torch.ones(masks.shape[:2])


def test_the_teacher_of_the_page_trains_muduo_from_another_package(toy_package, tmp_path, weights, monkeypatch):
    exec(compile(block("python", 1), str(PAGE), "exec"), {})
    assert (weights / "toy.pth").is_file()
    toy = sys.modules["toy_teacher"].ToyTeacher
    asked = []
    decode = toy.decode
    monkeypatch.setattr(
        toy, "decode", lambda self, *given, **named: asked.append(self) or decode(self, *given, **named)
    )
    dataset = TrainableDataset(tmp_path, monkeypatch)
    trainer = dataset.trainer(nnUNetTrainerMuDuo, ct_teacher="toy.pth", pet_teacher="toy.pth", report_every=1)
    trainer.run_training()
    assert type(trainer.ct_teacher) is type(trainer.pet_teacher) is toy
    assert {id(teacher) for teacher in asked} == {id(trainer.ct_teacher), id(trainer.pet_teacher)}
    logged = trainer.logger.get_checkpoint()
    assert np.isfinite(logged["consistency_losses"]).all()
    assert np.isfinite(logged["report_ct_teacher"][0]).any()
    assert (Path(trainer.output_folder) / "checkpoint_final.pth").is_file()
    assert "ToyTeacher" in next(Path(trainer.output_folder).glob("training_log*.txt")).read_text()


def test_the_teacher_of_the_page_finds_what_points_and_masks_are_about(toy_package, weights):
    exec(compile(block("python", 1), str(PAGE), "exec"), {})
    teacher = load_teacher("toy.pth", log=lambda line: None)
    voxels = torch.stack(torch.meshgrid(*[torch.arange(16)] * 3, indexing="ij"), dim=-1)
    ball = ((voxels - torch.tensor([4, 8, 11])).float().norm(dim=-1) < 4)[None, None]
    small = torch.nn.functional.avg_pool3d(ball.float(), 2)
    dual = DualTeacher(ct=teacher, pet=teacher)
    coords = torch.tensor([[[[4.0, 8.0, 11.0], [0.0, 0.0, 0.0]]]])
    by_points = dual.pet_logits(ball.float(), coords, torch.tensor([[[1, -1]]]))
    by_mask = dual.ct_logits(ball.float(), small * 0.9)
    for logits in (by_points, by_mask):
        said = logits > 0
        assert 2 * (said & (small > 0.5)).sum() / (said.sum() + (small > 0.5).sum()) > 0.7


def test_a_registered_class_loads_by_name(weights):
    assert register_architecture(Minimal) is Minimal
    register_architecture(Minimal)  # again, as a notebook's cell run twice
    teacher = Minimal(ClickUNetConfig())
    save_teacher(teacher, weights / "mine.pth")
    loaded = load_teacher("mine.pth", log=lambda line: None)
    assert type(loaded) is Minimal
    assert torch.equal(loaded.weight, teacher.weight)


def test_an_unknown_architecture_is_answered_with_the_known_ones_and_what_is_missing(weights):
    register_architecture(Minimal)
    save_teacher(Minimal(ClickUNetConfig()), weights / "mine.pth")
    registry._registered.clear()
    message = refusal(load_teacher, "mine.pth")
    assert str(weights / "mine.pth") in message
    assert "kind 'Minimal', known are Sam3D, ClickUNet; install the package with the class Minimal" in message
    assert registry.ENTRY_POINT_GROUP in message
    assert registry.ENTRY_POINT_GROUP in PAGE.read_text()


def test_a_package_that_fails_to_import_is_named_and_harms_no_other_teacher(on_path):
    on_path("import a_missing_library", "Broken = other_teacher:Broken", "Absent = json:Absent")
    message = refusal(registry.find_architecture, "Broken")
    assert "other_teacher:Broken" in message
    assert "a_missing_library" in message
    assert "json:Absent" in refusal(registry.find_architecture, "Absent")
    assert "Broken" in registry.known_architectures()
    assert registry.find_architecture("ClickUNet").__name__ == "ClickUNet"


def test_an_entry_point_called_otherwise_than_its_class_is_refused(on_path):
    on_path("", "Little = nnunetv2_muduo.teachers:ClickUNet")
    assert "must be called like the class, ClickUNet" in refusal(registry.find_architecture, "Little")


def test_an_architecture_offered_twice_is_refused(on_path):
    on_path("", "Sam3D = other_teacher:Sam3D")
    message = refusal(registry.find_architecture, "Sam3D")
    assert "other_teacher:Sam3D" in message
    assert "offered twice" in message


def test_what_is_no_teacher_is_told_what_it_lacks():
    assert "subclass of torch.nn.Module" in refusal(register_architecture, lambda config: None)
    plain = refusal(register_architecture, nn.Linear)
    for part in ("Linear", "`encode`", "`decode`", "`config_class`"):
        assert part in plain
    half = type("Half", (Minimal,), {"decode": None})
    assert "it lacks the method `decode`; add what" in refusal(register_architecture, half)


def test_what_messages_point_to_comes_with_every_installation():
    module, _, name = registry.PROTOCOL.rpartition(".")
    assert getattr(importlib.import_module(module), name).decode.__doc__
    assert registry.PROTOCOL in refusal(register_architecture, nn.Linear)
    assert "docs/" not in Path(registry.__file__).read_text()


def test_a_model_without_spec_is_refused_when_it_is_saved_and_when_it_is_loaded(weights):
    class NoSpec(Minimal):
        def __init__(self, config: ClickUNetConfig) -> None:
            super().__init__(config)
            del self.spec

    register_architecture(NoSpec)
    teacher = NoSpec(ClickUNetConfig())
    assert "NoSpec is no teacher: its attribute `spec`" in refusal(save_teacher, teacher, weights / "mine.pth")
    teacher.spec = TeacherSpec(8, 8, 1.5)
    save_teacher(teacher, weights / "mine.pth")
    assert "`spec` must be a TeacherSpec" in refusal(load_teacher, "mine.pth")


def test_a_name_belongs_to_one_class():
    register_architecture(Minimal)
    for name in ("Minimal", "ClickUNet"):
        assert name in refusal(register_architecture, type(name, (Minimal,), {}))
