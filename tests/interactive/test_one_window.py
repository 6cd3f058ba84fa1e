"""The papers' protocol: one window, whatever is clicked."""

import pytest
import torch
from bright_teacher import BrightTeacher

from nnunetv2_muduo.interactive.one_window import OneWindowSession, part_in_window
from nnunetv2_muduo.teachers import ClickUNet, ClickUNetConfig, normalise_for_teacher
from nnunetv2_muduo.teachers.windows import ScanWindows

TINY = ClickUNetConfig(
    cube_size=16, spacing_in_mm=4.0, embedding_channels=3, features_per_stage=(4, 8), strides=(2, 2),
    convs_per_stage=(1, 1), convs_per_decoder_stage=(1,), head_channels=4,
)  # fmt: skip


@torch.inference_mode()
def test_a_scan_of_one_cube_gets_what_the_plain_rounds_of_the_papers_give():
    torch.manual_seed(0)
    teacher = ClickUNet(TINY).eval()
    torch.nn.init.normal_(teacher.head[-1].weight)
    volume = 50 * torch.randn(16, 16, 16)
    session = OneWindowSession(ScanWindows(teacher, volume, (4.0, 4.0, 4.0), centre=(8.0, 8.0, 8.0)))
    clicks = [((3, 9, 1), 1), ((12, 4, 8), 0), ((15, 15, 0), 1)]  # z, y, x
    embedding = teacher.encode(normalise_for_teacher(volume.permute(2, 1, 0)[None, None], None))
    coords, labels, masks = (
        torch.zeros(1, 1, 0, 3),
        torch.zeros(1, 1, 0, dtype=torch.int64),
        torch.zeros(1, 1, 16, 16, 16),
    )
    for (z, y, x), label in clicks:
        session.click(torch.tensor([[z, y, x]]) + 0.5, torch.tensor([label]))
        coords = torch.cat([coords, torch.tensor([x, y, z], dtype=torch.float32).view(1, 1, 1, 3)], dim=2)
        labels = torch.cat([labels, torch.tensor(label).view(1, 1, 1)], dim=2)
        masks, _ = teacher.decode(embedding, coords, labels, masks)
        logits, part = session.result()
        assert part == (slice(0, 16), slice(0, 16), slice(0, 16))
        torch.testing.assert_close(logits, masks[0, 0].permute(2, 1, 0), atol=1e-3, rtol=1e-3)


def test_clicks_near_a_face_stay_in_the_window():
    volume = torch.ones(40, 40, 40)
    volume[10:30, 10:30, 10:30] = 100
    session = OneWindowSession(ScanWindows(BrightTeacher(), volume, (4.0, 4.0, 4.0), centre=(20.0, 20.0, 20.0)))
    for position in ((20.0, 20.0, 20.0), (12.5, 12.5, 27.5)):
        session.click(torch.tensor([position]), torch.tensor([1]))
    assert list(session.logits) == [(0, 0, 0)]
    assert session.scan.encoded == 1
    assert session.result()[1] == (slice(12, 28),) * 3


@pytest.mark.parametrize("spacing", [(4.0, 4.0, 4.0), (3.0, 2.5, 5.0), (1.0, 9.0, 4.0)])
@pytest.mark.parametrize("centre", [(8.0, 8.0, 8.0), (0.3, 17.2, 5.5), (11.9, 2.25, 24.5)])
def test_part_in_window_is_what_the_windows_logits_cover(spacing, centre):
    volume = torch.ones(12, 18, 25)
    scan = ScanWindows(BrightTeacher(), volume, spacing, centre=centre)
    session = OneWindowSession(scan)
    session.click(torch.tensor([centre]), torch.tensor([1]))
    assert part_in_window(scan) == session.result()[1]
