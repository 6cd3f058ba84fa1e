"""The full-size model against the golden outputs of the public reference code."""

import importlib.util
import json
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch

from nnunetv2_muduo.teachers.sam3d import Sam3D

TOLERANCE = 1e-4


@pytest.fixture(scope="module")
def golden(shared: Path) -> Path:
    return shared / "golden"


@pytest.fixture(scope="module")
def seeded(golden: Path) -> ModuleType:
    specification = importlib.util.spec_from_file_location("seeded_weights", golden / "seeded_weights.py")
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def outputs(golden: Path) -> dict[str, torch.Tensor]:
    with np.load(golden / "sam3d_seed0.npz") as file:
        return {name: torch.from_numpy(file[name]) for name in file.files}


@pytest.fixture(scope="module")
def model(golden: Path, seeded: ModuleType) -> Sam3D:
    shapes = json.loads((golden / "sam3d_shapes.json").read_text())
    model = Sam3D().eval().requires_grad_(False)
    model.load_state_dict(seeded.seeded_state_dict(shapes, 0), strict=True)
    return model


@pytest.fixture(scope="module")
def embedding(model: Sam3D, seeded: ModuleType) -> torch.Tensor:
    return model.encode(seeded.seeded_volume(0))


def test_tensor_names_and_shapes_are_the_released_ones(model, golden):
    shapes = json.loads((golden / "sam3d_shapes.json").read_text())
    assert {name: list(tensor.shape) for name, tensor in model.state_dict().items()} == shapes


def test_embedding_agrees_with_the_reference(embedding, outputs):
    torch.testing.assert_close(embedding, outputs["embedding"], atol=TOLERANCE, rtol=0)


@pytest.mark.parametrize(
    ("name", "given"),
    [("points", ("coords", "labels")), ("mask", ("masks",)), ("points_and_mask", ("coords", "labels", "masks"))],
)
def test_decoding_agrees_with_the_reference(model, embedding, seeded, outputs, name, given):
    prompts = seeded.seeded_prompts(0)
    logits, iou = model.decode(embedding, **{key: prompts[key] for key in given})
    torch.testing.assert_close(logits, outputs[f"{name}_logits"], atol=TOLERANCE, rtol=0)
    torch.testing.assert_close(iou, outputs[f"{name}_iou"], atol=TOLERANCE, rtol=0)
