"""What the table of faults says is what the trials came to."""

import json
from pathlib import Path

from faults import COLUMNS, SHARES, read_trials, shared_out, table_row


def row(kind: str, *problems: str) -> dict:
    return {"scenario": "evaluate", "fault": {"kind": kind}, "problems": list(problems)}


def test_every_scenario_gets_its_share_and_at_least_one_trial():
    shares = shared_out(100, list(SHARES))
    assert all(shares.values())
    assert abs(sum(shares.values()) - 100) <= len(SHARES)
    assert shared_out(10, ["plan"]) == {"plan": 10}


def test_a_row_counts_kinds_and_what_went_wrong():
    trials = [row("kill"), row("kill", "lost: a"), row("full", "a traceback: ..."), row("torn")]
    counted = dict(
        zip(["command", *COLUMNS, "tried", "recovered", "lost", "tracebacks"], table_row("x", trials), strict=True)
    )
    assert [counted[key] for key in ("kill", "torn", "full", "clock")] == ["2", "1", "1", "0"]
    assert [counted[key] for key in ("tried", "recovered", "lost", "tracebacks")] == ["4", "2", "1", "1"]


def test_trials_of_another_seed_and_those_that_failed_are_done_anew(tmp_path: Path):
    (tmp_path / "faults.json").write_text(json.dumps({"seed": 3, "trials": [row("kill"), row("torn", "lost: a")]}))
    assert read_trials(tmp_path / "faults", 3) == [row("kill")]
    assert read_trials(tmp_path / "faults", 4) == []
    assert read_trials(tmp_path / "none", 3) == []
