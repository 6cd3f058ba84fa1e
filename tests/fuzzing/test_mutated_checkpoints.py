"""Whatever entry of a checkpoint is something else, its reader tells so by the file's name, or reads what it says."""

import json
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from fabricated_training import trainers_in
from mutated_checkpoints import mutated_checkpoints
from tiny_teachers import small_unet
from torch import Tensor, nn
from trained_folders import write_fold
from trained_model import Model

from nnunetv2_muduo.errors import UserError
from nnunetv2_muduo.exporting import export_model
from nnunetv2_muduo.reporting.training import read_training
from nnunetv2_muduo.semisupervised import prompt_trainer
from nnunetv2_muduo.teachers import training
from nnunetv2_muduo.teachers.best_weights import BEST, keep_weights, load_kept
from nnunetv2_muduo.teachers.training_settings import TrainingSettings
from nnunetv2_muduo.teachers.weights import load_teacher, modality_of, save_teacher
from nnunetv2_muduo.trainers.nnUNetTrainerCPS import nnUNetTrainerCPS
from nnunetv2_muduo.trainers.nnUNetTrainerMuDuoPrompt import nnUNetTrainerMuDuoPrompt
from nnunetv2_muduo.training import configured
from nnunetv2_muduo.training.wrapped_network import unwrapped

CLOSE = 1e-1  # of weights that were stored in eight bits


def with_few_tensors(content: dict[str, Any], table: str, number: int = 3) -> dict[str, Any]:
    """The same with few of the tensors of a table in view of `mutated_checkpoints`; `whole` puts back the others."""
    names = list(content[table])
    chosen = [*names[: number - 1], names[-1]]
    return {**content, table: {name: content[table][name] for name in chosen}}


def whole(changed: Any, content: dict[str, Any], table: str) -> Any:
    """What was changed, with the tensors that were out of view."""
    few = with_few_tensors(content, table)[table]
    others = {name: tensor for name, tensor in content[table].items() if name not in few}
    if not (isinstance(changed, Mapping) and isinstance(changed.get(table), Mapping)):
        return changed
    return {**changed, table: {**others, **changed[table]}}


def wrongly_read(
    content: dict[str, Any],
    table: str,
    path: Path,
    read: Callable[[Path], str],
    *,
    beside: Mapping[str, Any] | None = None,
) -> tuple[list[str], int, int]:
    """What went wrong, how many files were read, and how many refused.

    Args:
        content: of a valid checkpoint.
        table: whose tensors are many.
        path: of the file to write.
        read: returns what is not as it should be; "" for nothing.
        beside: entries of the file that are as they should be.
    """
    wrong, done, refused = [], 0, 0
    closed = ("plans", "dataset_json", "param_groups")
    for how, changed in mutated_checkpoints(with_few_tensors(content, table), closed=closed):
        torch.save({**(beside or {}), **whole(changed, content, table)}, path)
        try:
            problem = read(path)
        except UserError as error:
            refused += 1
            problem = "" if path.name in str(error) else f"names no file: {error}"
        except Exception as error:  # a claim about all of them
            problem = f"{type(error).__name__}: {error}"[:300]
        else:
            done += 1
        if problem:
            wrong.append(f"{how}: {problem}")
    return wrong, done, refused


def differences(state: Mapping[str, Tensor], expected: Mapping[str, Tensor]) -> str:
    """The first tensor that is another one than the valid file holds."""
    for name, tensor in expected.items():
        if not torch.allclose(state[name].float(), tensor.float(), atol=CLOSE, rtol=CLOSE):
            return f"{name} is another one"
    return ""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "mine.pth"


def test_a_teachers_checkpoint(path: Path):
    teacher: nn.Module = small_unet()
    save_teacher(teacher, path, extra={"modality": "CT", "what": "tiny"})

    def read(path: Path) -> str:
        modality = modality_of(path.name, folder=path.parent)
        loaded = load_teacher(path.name, folder=path.parent, log=lambda line: None)
        return differences(loaded.state_dict(), teacher.state_dict()) or ("" if modality == "CT" else str(modality))

    wrong, done, refused = wrongly_read(torch.load(path), "model_state_dict", path, read)
    assert wrong == []
    assert done
    assert refused


def test_the_best_weights_of_a_fine_tuning(tmp_path: Path):
    """Nothing in them is refused: what is not whole counts as not kept, and leaves the teacher as it is."""
    teacher: nn.Module = small_unet()
    keep_weights(tmp_path, teacher, step=5)
    expected = {name: tensor.clone() for name, tensor in teacher.state_dict().items()}

    def read(path: Path) -> str:
        load_kept(path.parent, teacher, step=5)
        return differences(teacher.state_dict(), expected)

    wrong, done, refused = wrongly_read(torch.load(tmp_path / BEST), "model_state_dict", tmp_path / BEST, read)
    assert (wrong, refused) == ([], 0)
    assert done


def test_a_models_checkpoint_for_its_export(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("nnUNet_results", str(tmp_path / "results"))
    model = Model(tmp_path / "results")
    network = model.add_fold("0")
    path = model.folder / "fold_0" / "checkpoint_final.pth"
    content = torch.load(path, weights_only=False)
    needed = {key: content[key] for key in ("network_weights", "inference_allowed_mirroring_axes", "current_epoch")}
    needed["init_args"] = {"plans": {"plans_name": "nnUNetPlans", "muduo": {}}, "configuration": "3d_fullres"}

    def read(path: Path) -> str:
        export_model("21", output=tmp_path / "exported", log=lambda line: None, overwrite=True, make_zip=False)
        (exported,) = (tmp_path / "exported").rglob("checkpoint_final.pth")
        return differences(torch.load(exported, weights_only=False)["network_weights"], network.state_dict())

    wrong, done, refused = wrongly_read(needed, "network_weights", path, read)
    assert wrong == []
    assert done
    assert refused


def test_a_prompt_generators_checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(configured, "refuse_cut_short", lambda folder, cases: None)  # these have names alone
    student = trainers_in(tmp_path, monkeypatch)()
    folds = [{"train": ["a", "b"], "val": ["c"]}]
    Path(student.preprocessed_dataset_folder_base, "splits_final.json").write_text(json.dumps(folds))
    trainer = prompt_trainer._trainer_beside(student, nnUNetTrainerMuDuoPrompt)
    trainer.get_tr_and_val_datasets()
    path = Path(trainer.output_folder) / "checkpoint_final.pth"
    trainer.save_checkpoint(str(path))
    trained = {name: tensor.clone() for name, tensor in unwrapped(trainer.network).state_dict().items()}
    content = torch.load(path, weights_only=False)
    entries = {key: content[key] for key in ("network_weights", "init_args", "muduo_trained_on")}
    entries["init_args"].pop("device")

    def read(path: Path) -> str:
        found = prompt_trainer._checkpoint_of(trainer, lambda line: None)
        assert found is not None
        prompt_trainer._load(trainer, found)
        return differences(unwrapped(trainer.network).state_dict(), trained)

    wrong, done, refused = wrongly_read(entries, "network_weights", path, read)
    assert wrong == []
    assert done
    assert refused


class nnUNetTrainerLine(nnUNetTrainerCPS):  # noqa: N801
    """Two students and an average of two numbers each."""

    @staticmethod
    def build_network_architecture(
        plans_manager, configuration_manager, num_input_channels, num_output_channels, enable_deep_supervision=True
    ) -> nn.Module:
        return nn.Linear(1, 1)

    def tensors(self) -> dict[str, Tensor]:
        """All that is to be found again; parameters that never had a gradient have no momentum."""
        held = enumerate(map(self.second.optimizer.state.get, self.second.network.parameters()))
        momenta = {str(index): state["momentum_buffer"] for index, state in held if state}
        parts = {"network": self.network, "second": self.second.network, "ema": self.ema.network}
        states = {part: network.state_dict() for part, network in parts.items()} | {"momenta": momenta}
        return {f"{part}.{name}": tensor for part, state in states.items() for name, tensor in state.items()}


def test_a_training_to_go_on_with(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """An average or a second student that is missing begins anew, which the log tells."""
    make = partial(trainers_in(tmp_path, monkeypatch), trainer_class=nnUNetTrainerLine, predict_with="ema")
    trained, path = make(), tmp_path / "checkpoint_latest.pth"
    folds = [{"train": ["a", "b"], "val": ["c"]}]
    Path(trained.preprocessed_dataset_folder_base, "splits_final.json").write_text(json.dumps(folds))
    trained.trained_on = frozenset({"a", "b"})
    for parameter in trained.second.network.parameters():
        parameter.grad = torch.ones_like(parameter)
    trained.second.optimizer.step()
    trained.ema.update(nn.Linear(1, 1))
    trained.save_checkpoint(str(path))
    content, expected = torch.load(path, weights_only=False), trained.tensors()
    ours = {key: content.pop(key) for key in ("muduo_training_cases", "muduo_state")}
    trainer = make(continues=True)

    def read(path: Path) -> str:
        said: list[str] = []
        trainer.print_to_log_file = lambda *words, **options: said.extend(map(str, words))
        trainer.second.optimizer.state.clear()
        for tensor in trainer.tensors().values():
            tensor.zero_()
        trainer.load_checkpoint(str(path))
        trainer.second.optimizer.step()  # with no gradients: whatever is in the state is looked at
        found = trainer.tensors()
        parts = {"no average": ("ema", "network"), "no second student": ("second", "momenta")}
        anew = tuple(part for words, names in parts.items() if words in " ".join(said) for part in names)
        return differences(found, {name: expected[name] for name in found if not name.startswith(anew)})

    wrong, done, refused = wrongly_read(ours, "muduo_state", path, read, beside=content)
    assert wrong == []
    assert done
    assert refused


def test_a_fine_tuning_to_go_on_with(tmp_path: Path):
    settings = TrainingSettings(steps=5, progress=False)
    rows = [{"step": 1, "seconds": 1, "target": "a", "prompt": "1 click", "dice": 0.5, "count": 1}]
    run = training._begin(nn.Linear(1, 1), settings, tmp_path)
    for parameter in run.teacher.parameters():
        parameter.grad = torch.ones_like(parameter)
    run.optimiser.step()
    run.state.step, run.state.losses, run.state.validation = 1, [0.5], rows
    training._save(run)
    path = tmp_path / training.CHECKPOINT
    expected = {name: tensor.clone() for name, tensor in run.teacher.state_dict().items()}

    def read(path: Path) -> str:
        again = training._begin(nn.Linear(1, 1), settings, path.parent)
        for parameter in again.teacher.parameters():
            parameter.grad = torch.zeros_like(parameter)
        found = differences(again.teacher.state_dict(), expected)
        again.optimiser.step()
        training._save(again)
        assert training._summary(again.state, settings)
        return found

    wrong, done, refused = wrongly_read(torch.load(path), "model_state_dict", path, read)
    assert wrong == []
    assert done
    assert refused


def test_a_training_checkpoint_for_a_report(tmp_path: Path):
    """Nothing in it is refused: what cannot be understood is a note on the page."""
    path = write_fold(tmp_path / "results") / "checkpoint_final.pth"
    content = torch.load(path, weights_only=False)
    content["logging"] = {key: values[:1] for key, values in content["logging"].items()}

    def read(path: Path) -> str:
        read_training(path.parent, "name")
        return ""

    assert wrongly_read(content, "network_weights", path, read)[0] == []
