"""Records of runs as `benchmarks/label_efficiency.py` keeps them, of two organs and two test cases."""


def record(method: str, *, seed: int, liver: list, brain: list, budget: int = 5) -> dict:
    """The record of a run; None where a case does not have the organ."""
    return {
        "method": method,
        "title": method,
        "budget": budget,
        "seed": seed,
        "dice": {"liver": liver, "brain": brain},
        "false_positive_ml": {"liver": [None, None], "brain": [None, 3.0 if brain[1] is None else None]},
    }


RECORDS = [
    record("supervised", seed=0, liver=[0.5, 0.7], brain=[0.2, None]),
    record("supervised", seed=1, liver=[0.6, 0.6], brain=[0.4, None]),
    record("muduo", seed=0, liver=[0.6, 0.8], brain=[0.4, None]),
    record("muduo", seed=1, liver=[0.6, 0.6], brain=[0.8, None]),
    record("cps", seed=2, liver=[0.1, 0.1], brain=[0.1, None]),
]
