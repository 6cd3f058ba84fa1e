import pytest
import torch

from nnunetv2_muduo.teachers.precision import computes_in_bfloat16, is_gpu_with_bfloat16


@pytest.mark.parametrize("instructions", [True, False])
def test_a_gpu_that_only_emulates_bfloat16_computes_in_float32(instructions: bool, monkeypatch: pytest.MonkeyPatch):
    def supported(including_emulation: bool = True) -> bool:
        return instructions or including_emulation

    monkeypatch.setattr(torch.cuda, "is_bf16_supported", supported)
    assert computes_in_bfloat16(torch.device("cuda")) is instructions
    assert is_gpu_with_bfloat16(torch.device("cuda")) is instructions


def test_a_cpu_with_instructions_for_bfloat16_uses_them_for_many_scans_but_not_for_one(
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: True, raising=False)
    assert computes_in_bfloat16(torch.device("cpu"))
    assert not is_gpu_with_bfloat16(torch.device("cpu"))
