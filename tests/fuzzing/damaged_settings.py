"""Settings with values that nobody should be able to train with."""

import json
from dataclasses import fields
from pathlib import Path
from random import Random
from typing import Any

from damaged_json import JUNK

from nnunetv2_muduo.mae_settings import MAESettings
from nnunetv2_muduo.settings import Settings

_TABLES = {"muduo": Settings, "mae": MAESettings}
_MORE: tuple[Any, ...] = (
    1.0000001,
    -0.0,
    5e-324,
    1e3,
    "0.5",
    "null",
    "student",
    [1, 2, 3],
    [0.9, 1.1],
    [1.1, 0.9],
    [0, 0],
    ["ct"],
    {"a": 1},
    [[16, 16, 16]],
    [True, False],
    2**63,
    "sam_med3d_turbo",
    "../weights/x",
    " ",
    "\n",
)


def wild_setting(rng: Random) -> tuple[str, str, Any]:
    """(table, key, value): most of them wrong."""
    table = rng.choice(list(_TABLES))
    known = [item.name for item in fields(_TABLES[table])]
    key = (
        rng.choice(known)
        if rng.random() < 0.8
        else rng.choice(["", "Points", "poinst", "__init__", "a b", "ключ", "0"])
    )
    return table, key, rng.choice([*JUNK, *_MORE])


def put_wild_setting_into_plans(file: Path, rng: Random) -> str:
    """Write one into plans, or put something else where their tables should be."""
    plans = json.loads(file.read_text(encoding="utf-8"))
    table, key, value = wild_setting(rng)
    plans[table] = {key: value} if rng.random() < 0.85 else value
    file.write_text(json.dumps(plans), encoding="utf-8")
    return f"{table}: {ascii(plans[table])[:60]}"


def assignment(rng: Random) -> str:
    """KEY=VALUE as it might be typed after --set."""
    table, key, value = wild_setting(rng)
    name = f"{table}.{key}" if table == "mae" else key
    text = rng.choice([json.dumps(value), str(value)]).replace("\x00", "")
    return rng.choice([f"{name}={text}"] * 8 + [name, f"{name}=", f"={text}", f"{name}=={text}", f"x.{name}={text}"])
