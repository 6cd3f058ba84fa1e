"""How many processes prepare the patches, is there shared memory for them, and a place for their sockets?"""

import os
import shutil
import tempfile
from pathlib import Path

from nnunetv2_muduo.doctor.check import Check, fail, ok, warn
from nnunetv2_muduo.worker_pool import socket_problem

SHARED_MEMORY = Path("/dev/shm")
LEAST_SHARED_MEMORY_IN_GIB = 2.0  # containers often have 64 MB, and workers die there without a word
GIB = 1024**3


def check_workers() -> list[Check]:
    """nnU-Net's processes for augmentation, and the shared memory through which they hand over patches."""
    checks = [check_number(os.environ.get("nnUNet_n_proc_DA"))]
    if SHARED_MEMORY.is_dir():  # Linux
        checks.append(check_shared_memory(shutil.disk_usage(SHARED_MEMORY).free / GIB))
    return [*checks, check_temporary_folder()]


def check_number(value: str | None) -> Check:
    """The environment variable nnUNet_n_proc_DA; with 0 nnU-Net trains, but its planning fails."""
    name = "nnUNet_n_proc_DA"
    if not value:
        return ok(name, "not set, nnU-Net chooses")
    if not value.isdecimal():
        return fail(name, f"'{value}' is no number", f"unset {name}, or set it to a number")
    if int(value) == 0:
        return warn(name, "0; training works, nnU-Net's planning does not", f"unset {name} for planning, or use 1")
    return ok(name, value)


def check_shared_memory(free_in_gib: float) -> Check:
    """Free space of /dev/shm."""
    found = f"{free_in_gib:.1f} GiB free"
    if free_in_gib < LEAST_SHARED_MEMORY_IN_GIB:
        return warn("shared memory", found, "give the container more (docker run --ipc=host), or nnUNet_n_proc_DA=1")
    return ok("shared memory", found)


def check_temporary_folder() -> Check:
    """Whether the folder for temporary files takes sockets, by which workers hand over patches."""
    name = "temporary files"
    folder = tempfile.gettempdir()
    if problem := socket_problem():
        return fail(name, f"no sockets in {folder}: {problem}", "export TMPDIR=/tmp, or another short name")
    return ok(name, folder)
