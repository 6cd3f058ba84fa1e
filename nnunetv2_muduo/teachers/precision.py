"""Where teachers compute in bfloat16."""

import torch


def computes_in_bfloat16(device: torch.device) -> bool:
    """Whether the device has instructions for bfloat16; elsewhere it would be slower than float32."""
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    instructions = getattr(torch.cpu, "_is_avx512_bf16_supported", None)  # torch tells, but promises no name
    return device.type == "cpu" and instructions is not None and bool(instructions())


def is_gpu_with_bfloat16(device: torch.device) -> bool:
    """Whether to compute in bfloat16 what is float32 on every CPU: masks of single scans, and trainings of teachers."""
    return device.type == "cuda" and computes_in_bfloat16(device)
