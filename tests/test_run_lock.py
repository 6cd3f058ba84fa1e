"""Two runs never work in one folder."""

import threading
import time

import pytest

from nnunetv2_muduo import run_lock
from nnunetv2_muduo.errors import UserError
from nnunetv2_muduo.run_lock import only_run, take_turns


def test_a_second_run_is_refused_until_the_first_one_ends(tmp_path):
    with only_run(tmp_path / "new") as certain:
        assert certain
        with pytest.raises(UserError, match="Another run is at work"), only_run(tmp_path / "new"):
            pass
    with only_run(tmp_path / "new") as certain:
        assert certain


def test_runs_that_take_turns_wait_for_each_other_and_say_so(tmp_path):
    said, order = [], []

    def second() -> None:
        with take_turns(tmp_path, said.append):
            order.append("second")

    waiting = threading.Thread(target=second)
    with take_turns(tmp_path, said.append):
        assert said == []
        waiting.start()
        while not said:
            time.sleep(0.01)
        order.append("first")
    waiting.join(timeout=30)
    assert order == ["first", "second"]
    assert said == [f"Another run is at work in {tmp_path}; waiting until it is done."]
    assert list(tmp_path.iterdir()) == [], "nnU-Net takes every file in a folder of cases for a case's"


def test_without_locks_nothing_is_certain(tmp_path, monkeypatch):
    monkeypatch.setattr(run_lock, "fcntl", None)
    with only_run(tmp_path) as certain:
        assert not certain
    with take_turns(tmp_path, pytest.fail), take_turns(tmp_path, pytest.fail):
        pass
