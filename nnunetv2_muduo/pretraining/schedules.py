"""How the learning rate falls."""

import math

INITIAL_RATE = 5e-4  # published
FINAL_RATE = 1e-6  # published


def cosine_rate(epoch: int, epochs: int, *, initial: float = INITIAL_RATE, final: float = FINAL_RATE) -> float:
    """Half a cosine from `initial` in epoch 0 towards `final`, which `epochs` would reach (arXiv 2605.21835).

    The same as torch's CosineAnnealingLR with T_max = epochs, but a function of the epoch alone.

    Raises:
        ValueError: for an epoch outside [0, epochs].
    """
    if not 0 <= epoch <= epochs or epochs < 1:
        raise ValueError(f"epoch ({epoch}) must lie between 0 and epochs ({epochs}), of which there is at least one")
    return final + (initial - final) * (1 + math.cos(math.pi * epoch / epochs)) / 2
