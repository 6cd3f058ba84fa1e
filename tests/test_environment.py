"""The environment is changed for as long as it was asked for, and no longer."""

import os

import pytest

from nnunetv2_muduo.environment import environment, without_wandb

NAME = "MUDUO_TEST_VARIABLE"


@pytest.mark.parametrize("before", [None, "", "old"])
@pytest.mark.parametrize("fails", [False, True])
def test_variables_are_what_they_were_even_after_an_error(monkeypatch: pytest.MonkeyPatch, before, fails: bool):
    if before is None:
        monkeypatch.delenv(NAME, raising=False)
    else:
        monkeypatch.setenv(NAME, before)
    try:
        with environment({NAME: "new"}):
            assert os.environ[NAME] == "new"
            if fails:
                raise KeyError(NAME)
    except KeyError:
        assert fails
    assert os.environ.get(NAME) == before


def test_nnunets_logger_opens_no_run(tmp_path, monkeypatch: pytest.MonkeyPatch):
    from nnunetv2.training.logging import nnunet_logger

    monkeypatch.setenv("nnUNet_wandb_enabled", "1")
    monkeypatch.setattr(nnunet_logger, "WandbLogger", lambda *_: "a run")
    assert nnunet_logger.MetaLogger(str(tmp_path), False).loggers == ["a run"]
    with without_wandb():
        assert nnunet_logger.MetaLogger(str(tmp_path), False).loggers == []
