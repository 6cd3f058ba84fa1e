"""Whatever entry of our own in a pretraining's checkpoint is something else, going on with it is refused, or right."""

from pathlib import Path

import pytest
import torch
from mutated_checkpoints import JUNK, mutated_checkpoints

from nnunetv2_muduo.errors import UserError


@pytest.fixture
def started(dataset, tmp_path: Path) -> tuple[Path, dict]:
    """A checkpoint and what is in it."""
    trainer, path = dataset.trainer(), tmp_path / "checkpoint_latest.pth"
    trainer.initialize()
    trainer.best_validation_loss = 0.25
    trainer.save_checkpoint(str(path))
    return path, torch.load(path, weights_only=False)


def test_what_a_pretraining_keeps_is_found_again_or_refused(dataset, started):
    path, content = started
    state, others = {"mae_state": content.pop("mae_state")}, content
    wrong, refused, done = [], 0, 0
    trainer = dataset.trainer(continues=True)
    trainer.initialize()
    for how, changed in mutated_checkpoints(state):
        torch.save({**others, **changed}, path)
        try:
            trainer.load_checkpoint(str(path))
        except UserError as error:
            refused += 1
            if not (path.name in str(error) or "the cases are not those" in str(error)):
                wrong.append(f"{how}: {error}")
        except Exception as error:  # a claim about all of them
            wrong.append(f"{how}: {type(error).__name__}: {error}")
        else:
            done += 1
            found, stored = (trainer.seed, trainer.best_validation_loss), changed["mae_state"]
            usable = type(found[0]) is int and found[0] >= 0 and found[1] >= 0
            if not usable or found != (stored["seed"], stored["best_validation_loss"]):
                wrong.append(f"{how}: {found}")
    assert wrong == []
    assert done
    assert refused > 50


@pytest.mark.parametrize("place", [("init_args",), ("init_args", "plans")])
def test_damaged_plans_are_refused(dataset, started, place: tuple[str, ...]):
    path, content = started
    for junk in JUNK:
        changed = junk if len(place) == 1 else {**content["init_args"], "plans": junk}
        torch.save({**content, "init_args": changed}, path)
        with pytest.raises(UserError):
            dataset.trainer(continues=True).load_checkpoint(str(path))
