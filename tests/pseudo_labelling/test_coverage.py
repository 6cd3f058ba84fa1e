"""Which windows a mask needs, and what is asked in each."""

import pytest
import torch
from bright_teacher import BrightTeacher

from nnunetv2_muduo.pseudo_labelling.coverage import ask_with_masks, ask_with_points
from nnunetv2_muduo.teachers.windows import ScanWindows

SHAPE = (40, 24, 30)
SPACING = (4.0, 4.0, 4.0)  # a window of the stub is 16 voxels wide


@pytest.fixture
def scan() -> ScanWindows:
    return ScanWindows(BrightTeacher(), torch.ones(SHAPE), SPACING, centre=(13.0, 12.0, 14.5))


def label_map() -> torch.Tensor:
    """A long organ, one of a single voxel, and a small one."""
    labels = torch.zeros(SHAPE, dtype=torch.uint8)
    labels[2:38, 4:9, 5:11] = 1
    labels[20, 20, 20] = 2
    labels[10:13, 14:18, 12:16] = 4
    return labels


def test_every_window_is_encoded_once_and_its_organs_decoded_in_one_batch(scan: ScanWindows):
    answers = ask_with_masks(scan, label_map(), [1, 2, 3, 4])
    windows = {window for organ in answers.values() for window in organ}
    assert scan.encoded == len(windows) == len(scan.teacher.prompts)
    asked = sum(prompt["masks"].shape[1] for prompt in scan.teacher.prompts)
    assert asked == sum(len(organ) for organ in answers.values()) > len(windows)


def test_organ_that_the_map_does_not_hold_is_not_asked_for(scan: ScanWindows):
    assert set(ask_with_masks(scan, label_map(), [1, 2, 3, 4])) == {1, 2, 4}
    assert set(ask_with_points(scan, label_map(), [1, 2, 3, 4])) == {1, 2, 4}


def test_mask_prompt_is_the_organs_share_of_each_voxel_as_logits_or_as_it_is(scan: ScanWindows):
    mask = label_map() == 4
    windows = sorted(ask_with_masks(scan, label_map(), [4])[4])
    ask_with_masks(scan, label_map(), [4], kind="probabilities")
    asked = [prompt["masks"][0, 0].permute(2, 1, 0) for prompt in scan.teacher.prompts]
    for window, logits, shares in zip(windows, asked[: len(windows)], asked[len(windows) :], strict=True):
        torch.testing.assert_close(shares, scan.mask(window, mask))
        torch.testing.assert_close(logits.sigmoid(), shares.clamp(1e-4, 1 - 1e-4))


@pytest.mark.parametrize("strategy", ["spread", "random", "uptake", "centroid", "components", "first"])
def test_points_lie_on_the_organ_inside_their_window_and_come_with_a_zero_mask(scan: ScanWindows, strategy: str):
    mask = label_map() == 1
    answers = ask_with_points(
        scan, label_map(), [1], points=4, strategy=strategy, generator=torch.Generator().manual_seed(0)
    )
    assert len(answers[1]) > 2
    for window, prompt in zip(sorted(answers[1]), scan.teacher.prompts, strict=True):
        used = prompt["labels"][0, 0] == 1
        assert used.any()
        voxels = prompt["coords"][0, 0][used]
        assert ((voxels >= -0.5) & (voxels <= scan.spec.cube_size - 0.5)).all()
        share = (voxels.flip(-1) + 0.5) / scan.spec.cube_size
        positions = torch.tensor(scan.start(window)) + share * torch.tensor(scan.extent)
        assert mask[tuple(positions.floor().long().unbind(1))].all()
        assert not prompt["masks"].any()


def test_points_come_without_any_mask_where_that_is_wished(scan: ScanWindows):
    ask_with_points(scan, label_map(), [1, 4], point_mask="none")
    assert all(prompt["masks"] is None for prompt in scan.teacher.prompts)


def test_organ_of_one_voxel_gets_one_point(scan: ScanWindows):
    ask_with_points(scan, label_map(), [2])
    (prompt,) = scan.teacher.prompts
    assert prompt["labels"].tolist() == [[[1, -1, -1]]]
