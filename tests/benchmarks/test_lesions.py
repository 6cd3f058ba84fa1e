"""The table of the lesion benchmark: patients with lesions and those without are different questions."""

from lesions import METHODS, settings_of, table_rows

ILL = {"Dice": 0.5, "FPV_ml": 3.0, "FNV_ml": 4.0, "volume_ref_ml": 10.0, "volume_pred_ml": 9.0}
MISSED = {"Dice": 0.0, "FPV_ml": 0.0, "FNV_ml": 20.0, "volume_ref_ml": 20.0, "volume_pred_ml": 0.0}
HEALTHY = {"Dice": None, "FPV_ml": 0.0, "FNV_ml": 0.0, "volume_ref_ml": 0.0, "volume_pred_ml": 0.0}
MADE_UP = {"Dice": 0.0, "FPV_ml": 8.0, "FNV_ml": 0.0, "volume_ref_ml": 0.0, "volume_pred_ml": 8.0}


def test_healthy_patients_count_by_what_they_are_said_to_have_and_not_in_dice():
    run = {"seed": 0, "method": "supervised", "cases": {"a": ILL, "b": MISSED, "c": HEALTHY, "d": MADE_UP}}
    assert table_rows([run]) == [["0", "supervised", "0.250", "1.5", "12.0", "4.0"]]


def test_all_methods_share_the_schedule():
    shared = ("num_epochs", "iterations_per_epoch", "optimizer", "initial_lr", "unlabelled_batch_size", "seed")
    runs = [settings_of(method, 3, epochs=8) for method in METHODS]
    assert [{key: run[key] for key in shared} for run in runs] == [{key: runs[0][key] for key in shared}] * len(runs)
