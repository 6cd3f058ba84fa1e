"""How the weight of the consistency loss grows."""

import math


def consistency_weight(iteration: int, ramp_iterations: int, *, maximum: float = 0.1) -> float:
    """Sigmoid-shaped ramp: maximum * exp(-5 * (1 - min(iteration / ramp_iterations, 1))**2).

    From arXiv 2606.15611, whose code counts time in steps of 150 iterations up to 200 of them; ours grows with every
    iteration, which is the same curve for ramp_iterations = 30000, without its stairs.

    Args:
        iteration: iterations since the ramp began, at least 0.
        ramp_iterations: iterations until the full weight is reached; 0 means full weight at once.
        maximum: the full weight, lambda_max.

    Raises:
        ValueError: for a negative iteration or ramp.
    """
    if iteration < 0 or ramp_iterations < 0:
        raise ValueError(f"iteration ({iteration}) and ramp_iterations ({ramp_iterations}) must not be negative")
    progress = min(iteration / ramp_iterations, 1.0) if ramp_iterations else 1.0
    return maximum * math.exp(-5.0 * (1.0 - progress) ** 2)
