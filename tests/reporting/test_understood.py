"""What of a checkpoint or a table is no use to a report is left out with a note."""

import numpy as np
import pytest
from trained_folders import DATASET_JSON, PLANS, logged

from nnunetv2_muduo.reporting.understood import understood_checkpoint, understood_dataset, understood_plans

GOOD = {
    "network_weights": {},
    "logging": logged(2),
    "current_epoch": 2,
    "init_args": {"plans": PLANS, "dataset_json": DATASET_JSON, "configuration": "3d_fullres"},
}


def test_what_nnunet_writes_stays_as_it_is():
    notes: list[str] = []
    kept = understood_checkpoint(GOOD, "c.pth", notes)
    assert notes == []
    assert kept["init_args"] == GOOD["init_args"]
    np.testing.assert_equal(kept["logging"], GOOD["logging"])


@pytest.mark.parametrize(
    ("key", "value"), [("logging", [1]), ("init_args", 3), ("current_epoch", "2"), ("network_weights", "x")]
)
def test_an_entry_of_another_kind_is_left_out_and_named(key, value):
    notes: list[str] = []
    kept = understood_checkpoint({**GOOD, key: value}, "c.pth", notes)
    assert any(f"c.pth holds a {key}" in note for note in notes)
    assert not kept.get(key) or key in ("init_args", "logging")


def test_curves_that_are_no_lists_and_times_that_are_no_numbers_do_no_harm():
    logging = {**logged(2), "lrs": None, "epoch_start_timestamps": ["a", [1]], 3: [1.0]}
    kept = understood_checkpoint({**GOOD, "logging": logging}, "c.pth", [])["logging"]
    assert "lrs" not in kept
    assert kept["3"] == [1.0]
    assert np.isnan(kept["epoch_start_timestamps"]).all()


@pytest.mark.parametrize("content", [[1], "x", {"configurations": 3}, {"labels": [1], "configurations": {}}])
def test_foreign_plans_and_datasets_are_none_and_told(content):
    notes: list[str] = []
    if not (isinstance(content, dict) and content.get("configurations") == {}):
        assert understood_plans(content, "plans.json", notes) == {}
        assert "plans.json" in notes[-1]
    if not (isinstance(content, dict) and "labels" not in content):
        assert understood_dataset(content, "dataset.json", notes) == {}
        assert "dataset.json" in notes[-1]


def test_nothing_is_no_mistake():
    notes: list[str] = []
    assert understood_plans(None, "plans.json", notes) == understood_dataset({}, "dataset.json", notes) == {}
    assert notes == []
