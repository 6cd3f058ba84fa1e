"""One target of one scan, prompted step by step."""

import pytest
import torch
from bright_teacher import BrightTeacher

from nnunetv2_muduo.interactive.session import PromptSession
from nnunetv2_muduo.teachers.windows import ScanWindows

SPACING = (4.0, 4.0, 4.0)  # a window of the stub is 16 voxels wide


def bright_box(shape, box) -> torch.Tensor:
    volume = torch.ones(shape)
    volume[box] = 100.0
    return volume


def session(volume, centre, **options) -> PromptSession:
    return PromptSession(ScanWindows(BrightTeacher(), volume, SPACING, centre=centre), **options)


def found(session: PromptSession) -> torch.Tensor:
    logits, part = session.result()
    mask = torch.zeros(session.scan.volume.shape, dtype=torch.bool)
    mask[part] = logits > 0
    return mask


def dice(first, second) -> float:
    return float(2 * (first & second).sum() / (first.sum() + second.sum()))


FOREGROUND = torch.ones(1, dtype=torch.int64)


def test_a_small_target_needs_one_window_centred_on_the_point_and_a_zero_mask():
    volume = bright_box((40, 40, 40), (slice(18, 22), slice(10, 15), slice(20, 26)))
    point = torch.tensor([[20.0, 12.0, 23.0]])
    one = session(volume, (20.0, 12.0, 23.0))
    one.click(point, FOREGROUND)
    assert list(one.logits) == [(0, 0, 0)]
    prompt = one.scan.teacher.prompts[0]
    torch.testing.assert_close(prompt["coords"], torch.full((1, 1, 1, 3), 7.5))
    assert not prompt["masks"].any()
    assert dice(found(one), volume > 50) > 0.75


def test_a_second_click_sends_the_previous_logits_and_all_points():
    volume = bright_box((40, 40, 40), (slice(18, 22), slice(10, 15), slice(20, 26)))
    one = session(volume, (20.0, 12.0, 23.0))
    one.click(torch.tensor([[20.0, 12.0, 23.0]]), FOREGROUND)
    before = one.logits[(0, 0, 0)]
    one.click(torch.tensor([[20.0, 16.0, 23.0]]), torch.zeros(1, dtype=torch.int64))
    prompt = one.scan.teacher.prompts[1]
    assert prompt["labels"].tolist() == [[[1, 0]]]
    torch.testing.assert_close(prompt["masks"][0, 0].permute(2, 1, 0), before)
    assert one.scan.encoded == 1


def test_a_target_larger_than_a_window_is_followed_to_its_end():
    volume = bright_box((20, 20, 80), (slice(6, 14), slice(6, 14), slice(4, 76)))
    point = torch.tensor([[10.0, 10.0, 12.0]])
    whole = session(volume, (10.0, 10.0, 12.0))
    whole.click(point, FOREGROUND)
    assert dice(found(whole), volume > 50) > 0.9
    assert not whole.stopped
    still = session(volume, (10.0, 10.0, 12.0), follow=False)
    still.click(point, FOREGROUND)
    assert dice(found(still), volume > 50) < 0.5


def test_following_a_mask_prompts_with_what_is_known_of_it():
    volume = bright_box((20, 20, 60), (slice(6, 14), slice(6, 14), slice(10, 56)))
    one = session(volume, (10.0, 10.0, 14.0))
    one.click(torch.tensor([[10.0, 10.0, 13.0]]), FOREGROUND)
    second = one.scan.teacher.prompts[1]
    assert (second["masks"] > 0).any()
    assert (second["masks"] == 0).any()  # nothing is known of its far half
    assert second["labels"].tolist() == [[[1]]]
    x = float(second["coords"][0, 0, 0, 0])
    assert x < 8  # the point lies in the part that is known


def test_following_ends_where_the_scan_does():
    volume = torch.full((16, 16, 16), 50.0)
    volume[8:] = 100.0
    one = session(volume, (12.0, 8.0, 8.0))
    one.click(torch.tensor([[12.0, 8.0, 8.0]]), FOREGROUND)
    assert all(one.scan.reaches_into_scan(window) for window in one.logits)
    assert len(one.logits) <= 27


def test_following_stops_after_so_many_windows_and_says_so():
    volume = bright_box((20, 20, 200), (slice(6, 14), slice(6, 14), slice(4, 196)))
    one = session(volume, (10.0, 10.0, 12.0), most_windows=4)
    one.click(torch.tensor([[10.0, 10.0, 12.0]]), FOREGROUND)
    assert len(one.logits) == 4
    assert one.stopped


def test_points_far_apart_get_windows_of_their_own():
    volume = bright_box((20, 20, 80), (slice(6, 14), slice(6, 14), slice(4, 76)))
    one = session(volume, (10.0, 10.0, 40.0), follow=False)
    one.click(torch.tensor([[10.0, 10.0, 10.0], [10.0, 10.0, 70.0]]), torch.ones(2, dtype=torch.int64))
    assert len(one.logits) == 2
    for prompt in one.scan.teacher.prompts:
        assert prompt["labels"].shape == (1, 1, 1)


def test_a_rough_mask_is_the_only_prompt_of_the_windows_it_needs():
    volume = bright_box((20, 20, 80), (slice(6, 14), slice(6, 14), slice(4, 76)))
    one = session(volume, (10.0, 10.0, 40.0))
    rough = torch.zeros(20, 20, 80)
    rough[7:13, 7:13, 10:70] = 1.0
    one.rough_mask(rough)
    first = one.scan.teacher.prompts[0]
    assert first["coords"] is None
    assert float(first["masks"].max()) > 9
    assert float(first["masks"].min()) < -9
    assert dice(found(one), volume > 50) > 0.9


def test_targets_of_one_scan_share_embeddings():
    volume = bright_box((40, 40, 40), (slice(18, 22), slice(10, 15), slice(20, 26)))
    scan = ScanWindows(BrightTeacher(), volume, SPACING, centre=(20.0, 12.0, 23.0))
    for _ in range(3):
        PromptSession(scan).click(torch.tensor([[20.0, 12.0, 23.0]]), FOREGROUND)
    assert scan.encoded == 1


def test_a_session_cannot_begin_with_background():
    one = session(torch.ones(20, 20, 20), (10.0, 10.0, 10.0))
    with pytest.raises(ValueError, match="foreground"):
        one.click(torch.tensor([[10.0, 10.0, 10.0]]), torch.zeros(1, dtype=torch.int64))
    with pytest.raises(ValueError, match="empty"):
        one.rough_mask(torch.zeros(20, 20, 20))


def test_a_background_click_where_nothing_is_known_asks_no_window():
    volume = bright_box((40, 40, 80), (slice(18, 22), slice(10, 15), slice(20, 26)))
    one = session(volume, (20.0, 12.0, 23.0))
    one.click(torch.tensor([[20.0, 12.0, 23.0]]), FOREGROUND)
    before = set(one.logits)
    one.click(torch.tensor([[20.0, 12.0, 70.0]]), torch.zeros(1, dtype=torch.int64))
    assert set(one.logits) == before


class ObedientTeacher(BrightTeacher):
    """Outlines what is bright, but for a ball around each click on the background."""

    def decode(self, embedding, coords=None, labels=None, masks=None):
        logits, quality = super().decode(embedding, coords, labels, masks)
        if coords is None:
            return logits, quality
        logits, size = logits.clone(), logits.shape[-1]
        places = torch.stack(torch.meshgrid(*3 * [torch.arange(size) + 0.5], indexing="ij"), -1)
        for position, label in zip((coords[0, 0] + 0.5) / 2, labels[0, 0], strict=True):
            if label == 0:
                logits[0, 0][(places - position).norm(dim=-1) < 2] = -4.0
        return logits, quality


def test_a_click_corrects_every_window_that_has_answered_there():
    one = PromptSession(
        ScanWindows(ObedientTeacher(), bright_box((20, 20, 80), (slice(6, 14), slice(6, 14), slice(4, 76))), SPACING,
                    centre=(10.0, 10.0, 12.0))
    )  # fmt: skip
    one.click(torch.tensor([[10.0, 10.0, 12.0]]), FOREGROUND)
    before = found(one)
    assert len(one.logits) > 4
    one.click(torch.tensor([[10.0, 10.0, 34.0]]), torch.zeros(1, dtype=torch.int64))
    z, y, x = torch.meshgrid(torch.arange(20), torch.arange(20), torch.arange(80), indexing="ij")
    ball = ((z - 9.5) ** 2 + (y - 9.5) ** 2 + (x - 33.5) ** 2) < 9
    assert before[ball].all()
    assert not found(one)[ball].any()
    assert (found(one) == before)[..., :20].all()  # as far away as this nothing changes
