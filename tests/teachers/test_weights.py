import argparse
import hashlib
import json
import os
import runpy
from pathlib import Path

import numpy as np
import platformdirs
import pytest
import torch
from torch import nn

from nnunetv2_muduo.errors import UserError
from nnunetv2_muduo.teachers import ClickUNet, ClickUNetConfig, Sam3D, Sam3DConfig, catalogue, checkpoint
from nnunetv2_muduo.teachers.weights import (
    KNOWN_TEACHERS,
    find_weights,
    load_teacher,
    locate_teacher,
    modality_of,
    save_teacher,
    weights_folder,
)

TINY = ClickUNetConfig(
    cube_size=8, features_per_stage=(4, 8), strides=(2, 2), convs_per_stage=(1, 1),
    convs_per_decoder_stage=(1,),
)  # fmt: skip


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The weights folder; no test may reach the network."""
    monkeypatch.setenv("MUDUO_WEIGHTS", str(tmp_path))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    return tmp_path


@pytest.fixture
def teacher() -> ClickUNet:
    return ClickUNet(TINY)


def saved(teacher: nn.Module, path: Path, **changes) -> dict:
    """Write a checkpoint with some of its entries replaced (None removes one)."""
    content = {
        "architecture": "ClickUNet",
        "config": TINY.to_dict(),
        "model_state_dict": teacher.state_dict(),
    } | changes
    content = {key: value for key, value in content.items() if value is not None}
    torch.save(content, path)
    return content


def loads_the_same(teacher: nn.Module, name: str = "mine.pth") -> bool:
    loaded = load_teacher(name, log=lambda line: None).state_dict()
    return all(torch.equal(tensor, loaded[name]) for name, tensor in teacher.state_dict().items())


def refusal(name: str = "mine.pth") -> str:
    with pytest.raises(UserError) as caught:
        load_teacher(name)
    return str(caught.value)


class Executable:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return os.system, (f"touch '{self.path}'",)


def test_a_saved_teacher_is_loaded_with_its_configuration(teacher, folder):
    save_teacher(teacher, folder / "mine.pth", extra={"seed": 3})
    loaded = load_teacher("mine.pth")
    assert loaded.config == TINY
    assert loads_the_same(teacher)
    assert not loaded.training
    assert not any(parameter.requires_grad for parameter in loaded.parameters())
    assert torch.load(folder / "mine.pth", weights_only=True)["info"] == {"seed": 3}


def test_a_small_sam3d_is_loaded_with_its_configuration(folder):
    config = Sam3DConfig(
        image_size=32, patch_size=8, encoder_width=24, encoder_depth=2, encoder_heads=2, encoder_mlp_width=48,
        window_size=6, global_blocks=(1,), prompt_width=48, decoder_heads=2, decoder_mlp_width=64, iou_head_width=16,
    )  # fmt: skip
    model = Sam3D(config)
    save_teacher(model, folder / "mine.pth")
    assert load_teacher("mine.pth").config == config
    assert loads_the_same(model)


def test_half_precision_halves_the_file_and_loads_as_float32(teacher, folder):
    save_teacher(teacher, folder / "whole.pth")
    save_teacher(teacher, folder / "half.pth", half=True)
    loaded = load_teacher("half.pth")
    assert {tensor.dtype for tensor in loaded.state_dict().values()} == {torch.float32}
    for name, tensor in teacher.state_dict().items():
        assert torch.allclose(loaded.state_dict()[name], tensor, atol=1e-3)
    content = torch.load(folder / "half.pth", weights_only=True)["model_state_dict"]
    assert {tensor.dtype for tensor in content.values()} == {torch.float16}


@pytest.mark.parametrize("half", [False, True])
def test_a_tensor_with_several_names_is_stored_once(teacher, folder, half):
    save_teacher(teacher, folder / "mine.pth", half=half)
    content = torch.load(folder / "mine.pth", weights_only=True)["model_state_dict"]
    assert len({tensor.data_ptr() for tensor in content.values()}) == len(list(teacher.parameters())) < len(content)


def test_saving_leaves_nothing_but_the_file_and_refuses_what_cannot_be_loaded(teacher, folder):
    save_teacher(teacher, folder / "deeper" / "mine.pth")
    assert [path.name for path in (folder / "deeper").iterdir()] == ["mine.pth"]
    with pytest.raises(UserError, match="Linear"):
        save_teacher(nn.Linear(2, 2), folder / "mine.pth")


def test_the_log_names_file_hash_architecture_and_size(teacher, folder):
    save_teacher(teacher, folder / "mine.pth", extra={"what": "a fine-tuned thing"})
    lines: list[str] = []
    load_teacher("mine.pth", log=lines.append)
    (line,) = lines
    assert str(folder / "mine.pth") in line
    assert hashlib.sha256((folder / "mine.pth").read_bytes()).hexdigest()[:12] in line
    assert "ClickUNet with 0.0 M parameters" in line
    assert "describes itself as: a fine-tuned thing" in line


@pytest.mark.parametrize(("name", "title"), [("standin_ct", "SAM-Med3D"), ("standin_pet", "SegAnyPET")])
def test_a_stand_in_is_never_taken_for_the_real_one(name, title, teacher, folder, monkeypatch):
    monkeypatch.setattr(catalogue, "STAND_IN_FOLDER", folder / "package")
    assert "missing from the installation" in refusal(name)
    save_teacher(teacher, folder / "package" / f"{name}.pth")
    lines: list[str] = []
    load_teacher(name, log=lines.append)
    assert f"stand-in trained on simulated images; it is not {title}" in lines[0]


def test_missing_weights_name_file_source_command_and_folder(folder):
    for name, teacher in KNOWN_TEACHERS.items():
        if not teacher.shipped:
            with pytest.raises(UserError) as caught:
                find_weights(name)
            for part in (teacher.file, teacher.repository, f"muduo weights {name}", str(folder)):
                assert part in str(caught.value)
            assert "HF_HUB_OFFLINE" in refusal(name)


def test_an_unknown_name_is_answered_with_the_known_ones(folder):
    message = refusal("sam_med3d")
    assert "did you mean sam_med3d_turbo?" in message
    assert "standin_pet" in message
    assert str(folder) in message


def test_the_weights_folder_is_the_named_one_else_the_users_cache(folder, monkeypatch):
    assert weights_folder() == folder
    monkeypatch.setenv("MUDUO_WEIGHTS", "~/weights")
    assert weights_folder() == Path.home() / "weights"
    monkeypatch.delenv("MUDUO_WEIGHTS")
    assert weights_folder().name == "muduo"


def test_an_account_without_a_home_has_the_stand_ins_and_is_told_how_to_keep_others(monkeypatch):
    def no_home(*names: str, **options) -> Path:
        raise RuntimeError("could not determine the home directory")

    monkeypatch.delenv("MUDUO_WEIGHTS")
    monkeypatch.setattr(platformdirs, "user_cache_path", no_home)
    assert find_weights("standin_ct").is_file()
    with pytest.raises(UserError, match=r"no home folder.*MUDUO_WEIGHTS"):
        find_weights("sam_med3d_turbo")


def test_a_folder_can_be_given_instead(teacher, folder):
    save_teacher(teacher, folder / "other" / "sam_med3d_turbo.pth")
    assert find_weights("sam_med3d_turbo", folder=folder / "other").parent == folder / "other"
    assert load_teacher("sam_med3d_turbo", folder=folder / "other").config == TINY


@pytest.mark.parametrize("prefix", ["module.", "_orig_mod.", "model.", "module._orig_mod."])
def test_prefixes_are_stripped(prefix, teacher, folder):
    weights = {prefix + name: tensor for name, tensor in teacher.state_dict().items()}
    saved(teacher, folder / "mine.pth", model_state_dict=weights)
    assert loads_the_same(teacher)


def test_released_formats_need_no_architecture(folder, monkeypatch):
    monkeypatch.setattr(checkpoint, "find_architecture", lambda name: {"Sam3D": ClickUNet}[name])
    teacher = ClickUNet()
    for content in (
        {"epoch": 3, "model_state_dict": teacher.state_dict(), "args": argparse.Namespace(lr=0.1)},
        {"state_dict": teacher.state_dict()},
        teacher.state_dict(),
    ):
        torch.save(content, folder / "mine.pth")
        assert loads_the_same(teacher)


def test_every_tensor_that_does_not_fit_is_named(teacher, folder):
    weights = teacher.state_dict()
    names = list(weights)
    del weights[names[0]]
    weights[names[1]] = torch.zeros(3, 7)
    weights["of.something.else"] = torch.zeros(1)
    saved(teacher, folder / "mine.pth", model_state_dict=weights)
    message = refusal()
    assert str(folder / "mine.pth") in message
    assert f"1 tensors missing ({names[0]})" in message
    assert "1 tensors unexpected (of.something.else)" in message
    assert f"({names[1]} [3, 7] instead of " in message


def test_a_long_list_of_tensors_is_counted(teacher, folder):
    saved(teacher, folder / "mine.pth", model_state_dict={f"n{i}": torch.zeros(1) for i in range(50)})
    message = refusal()
    assert "50 tensors unexpected (n0, n1" in message
    assert "n19 and 30 more)" in message


def test_a_namespace_is_tolerated_with_either_file_format(teacher, folder):
    content = saved(teacher, folder / "mine.pth", args=argparse.Namespace(lr=0.1, device=torch.device("cpu")))
    assert loads_the_same(teacher)
    torch.save(content, folder / "mine.pth", _use_new_zipfile_serialization=False)
    assert loads_the_same(teacher)


@pytest.mark.parametrize("zipped", [True, False])
def test_anything_executable_is_refused_and_not_run(zipped, teacher, folder):
    content = saved(teacher, folder / "mine.pth", args=argparse.Namespace(lr=Executable(folder / "owned")))
    torch.save(content, folder / "mine.pth", _use_new_zipfile_serialization=zipped)
    message = refusal()
    assert str(folder / "mine.pth") in message
    assert f"{os.system.__module__}.system" in message
    assert not (folder / "owned").exists()


def test_what_is_refused_is_named(teacher, folder):
    saved(teacher, folder / "mine.pth", best_dice=np.float64(0.5))
    assert "multiarray.scalar" in refusal()


@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.parametrize("share", [0.0, 0.3, 0.99])
def test_a_truncated_file_is_no_puzzle(zipped, share, teacher, folder):
    content = saved(teacher, folder / "mine.pth")
    torch.save(content, folder / "mine.pth", _use_new_zipfile_serialization=zipped)
    whole = (folder / "mine.pth").read_bytes()
    (folder / "mine.pth").write_bytes(whole[: int(len(whole) * share)])
    message = refusal()
    assert str(folder / "mine.pth") in message
    assert "fetch it again" in message


@pytest.mark.parametrize("content", [[1, 2], {"epoch": 3}, {"model_state_dict": {}}, {0: torch.zeros(1)}])
def test_files_without_weights_are_refused(content, folder):
    torch.save(content, folder / "mine.pth")
    assert "weights" in refusal()


def test_other_files_are_refused(folder):
    (folder / "mine.pth").write_text("<html>not found</html>")
    assert "no checkpoint at all" in refusal()


def test_a_foreign_architecture_or_configuration_is_refused(teacher, folder):
    saved(teacher, folder / "mine.pth", architecture="nnFormer")
    assert "kind 'nnFormer', known are Sam3D, ClickUNet" in refusal()
    saved(teacher, folder / "mine.pth", config=TINY.to_dict() | {"heads": 3})
    assert "heads" in refusal()
    saved(teacher, folder / "mine.pth", config=TINY.to_dict() | {"cube_size": 9})
    assert "not divisible" in refusal()


def test_loading_leaves_the_random_numbers_alone(teacher, folder):
    save_teacher(teacher, folder / "mine.pth")
    torch.manual_seed(0)
    expected = torch.rand(3)
    torch.manual_seed(0)
    load_teacher("mine.pth")
    assert torch.equal(torch.rand(3), expected)


@pytest.mark.slow
def test_released_weights_load_strictly_under_their_released_names(shared, folder):
    golden = runpy.run_path(str(shared / "golden" / "seeded_weights.py"))
    shapes = json.loads((shared / "golden" / "sam3d_shapes.json").read_text())
    weights = {name: tensor.float() for name, tensor in golden["seeded_state_dict"](shapes, seed=0).items()}
    torch.save({"model_state_dict": weights, "args": argparse.Namespace(lr=8e-4)}, folder / "sam_med3d_turbo.pth")
    lines: list[str] = []
    loaded = load_teacher("sam_med3d_turbo", log=lines.append)
    assert "Sam3D with 100.5 M parameters" in lines[0]
    assert all(torch.equal(loaded.state_dict()[name], tensor) for name, tensor in weights.items())


def test_a_teacher_may_be_named_by_a_file_anywhere(tmp_path):
    (tmp_path / "own.pth").write_bytes(b"")
    assert locate_teacher(str(tmp_path / "own.pth")) == ("own.pth", tmp_path)
    assert locate_teacher("seganypet_v1") == ("seganypet_v1", None)


def test_weights_or_the_user_say_what_a_teacher_was_trained_on(tmp_path):
    teacher = ClickUNet(TINY)
    save_teacher(teacher, tmp_path / "pet.pth", extra={"modality": "PET"})
    save_teacher(teacher, tmp_path / "silent.pth")
    assert modality_of("sam_med3d_turbo") == "CT"
    assert modality_of("pet.pth", folder=tmp_path) == "PET"
    assert modality_of("silent.pth", folder=tmp_path, given="CT") == "CT"
    with pytest.raises(UserError, match="trained on PET, not on CT"):
        modality_of("pet.pth", folder=tmp_path, given="CT")
    with pytest.raises(UserError, match="--modality"):
        modality_of("silent.pth", folder=tmp_path)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_no_numbers_are_refused(value, teacher, folder):
    broken = saved(teacher, folder / "mine.pth")["model_state_dict"]
    name = next(iter(broken))
    saved(teacher, folder / "mine.pth", model_state_dict={**broken, name: torch.full_like(broken[name], value)})
    assert f"holds NaN or infinity in {name}" in refusal()


@pytest.mark.parametrize(
    "config",
    [
        "text",
        [1],
        {"features_per_stage": [10**12, 10**12], "strides": [2, 2], "convs_per_stage": [1, 1]},
        {"cube_size": None},
        {"strides": "ab"},
        {"cube_size": 0},
    ],
)
def test_a_configuration_of_other_values_is_refused_without_the_memory_that_it_asks_for(config, teacher, folder):
    saved(teacher, folder / "mine.pth", config=config)
    assert "mine.pth" in refusal()


@pytest.mark.parametrize(("shown", "warned"), [("CT", True), ("PET", False), (None, False)])
def test_a_teacher_that_is_shown_another_modality_than_its_own_is_warned_of(shown, warned):
    lines: list[str] = []
    load_teacher("standin_pet", shown=shown, log=lines.append)
    assert any("was trained on PET, but it is shown the CT" in line for line in lines) == warned
