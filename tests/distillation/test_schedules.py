import itertools
import math

import pytest

from nnunetv2_muduo.distillation import consistency_weight


@pytest.mark.parametrize("iteration", [0, 150, 1500, 14_850, 29_850, 30_000, 45_000])
def test_meets_the_published_steps(iteration):
    published = 0.1 * math.exp(-5 * (1 - min(iteration // 150 / 200, 1)) ** 2)
    assert math.isclose(consistency_weight(iteration, 30_000), published)


def test_grows_at_every_iteration_up_to_its_maximum():
    weights = [consistency_weight(iteration, 50, maximum=2.0) for iteration in range(60)]
    assert all(later > earlier for earlier, later in itertools.pairwise(weights[:51]))
    assert weights[50:] == [2.0] * 10


def test_no_ramp_means_full_weight_at_once():
    assert consistency_weight(0, 0) == 0.1


@pytest.mark.parametrize(("iteration", "ramp"), [(-1, 10), (0, -1)])
def test_negative_time_is_refused(iteration, ramp):
    with pytest.raises(ValueError, match="negative"):
        consistency_weight(iteration, ramp)
