"""Two runs never work in one folder."""

import pytest

from nnunetv2_muduo import run_lock
from nnunetv2_muduo.errors import UserError
from nnunetv2_muduo.run_lock import only_run


def test_a_second_run_is_refused_until_the_first_one_ends(tmp_path):
    with only_run(tmp_path / "new") as certain:
        assert certain
        with pytest.raises(UserError, match="Another run is at work"), only_run(tmp_path / "new"):
            pass
    with only_run(tmp_path / "new") as certain:
        assert certain


def test_without_locks_nothing_is_certain(tmp_path, monkeypatch):
    monkeypatch.setattr(run_lock, "fcntl", None)
    with only_run(tmp_path) as certain:
        assert not certain
