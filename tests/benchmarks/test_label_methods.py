import pytest
from label_efficiency import chosen_methods
from label_methods import METHODS, SIZES
from label_training import missing_trainer

from nnunetv2_muduo.settings import Settings


@pytest.mark.parametrize("size", SIZES.values(), ids=SIZES.keys())
def test_every_method_of_a_known_trainer_has_settings_that_are_accepted(size):
    for method in METHODS.values():
        if missing_trainer(method) is None:
            Settings.from_dict({**size.schedule(seed=0), **method.settings})


def test_a_method_without_its_trainer_is_told_and_left_out(capsys, monkeypatch):
    monkeypatch.setattr(
        "label_efficiency.missing_trainer", lambda method: method.trainer if "CPS" in method.title else None
    )
    assert chosen_methods(["supervised", "cps", "muduo", "muduo"]) == ["supervised", "muduo"]
    assert "CPS" in capsys.readouterr().out


def test_an_unknown_method_is_refused_by_name():
    with pytest.raises(SystemExit, match="muduoo"):
        chosen_methods(["muduoo"])
