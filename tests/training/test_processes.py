"""The group in which processes talk; what they do together is tested in test_several_gpus.py."""

import gc
import weakref
from types import SimpleNamespace

import pytest
import torch.distributed as dist

from nnunetv2_muduo.training.processes import processes_of


class Group:
    """Stands for a process group."""


def test_a_group_is_not_freed_when_it_has_served(monkeypatch: pytest.MonkeyPatch):
    """Freeing it at once may wait for good for its own thread."""
    ended = []
    monkeypatch.setattr(dist, "new_group", lambda **_: Group())
    monkeypatch.setattr(dist, "get_world_size", lambda: 2)
    monkeypatch.setattr(dist, "destroy_process_group", lambda group: ended.append(weakref.ref(group)))
    with processes_of(SimpleNamespace(is_ddp=True, local_rank=0)) as processes:
        assert (processes.rank, processes.number) == (0, 2)
    del processes
    gc.collect()
    (group,) = ended
    assert group() is not None
