"""The labelled patches of the teacher report show teachers what unlabelled ones show them."""

import numpy as np
import pytest
import torch
from nnunetv2.utilities.plans_handling.plans_handler import PlansManager

from nnunetv2_muduo.semisupervised.report_patches import draw_report_patches

SHAPE, PATCH = (6, 6, 6), (8, 6, 6)
BEFORE_SCAN = 1  # slices of the patch, whose middle is the only labelled voxel
HU = (500.0, 40.0)  # scale and shift of the CT


class OneCase:
    """A CT of z-scores and a PET; half of the scan lies outside of nnU-Net's nonzero mask, where both raw are 0."""

    identifiers = ("a",)

    def __init__(self, *, masked_ct: bool) -> None:
        self.image = np.random.default_rng(0).normal(1, 0.1, (2, *SHAPE)).astype(np.float32)
        self.labels = np.zeros((1, *SHAPE), np.int16)
        self.labels[..., :3] = -1
        self.image[1, ..., :3] = 0.0
        self.image[0, ..., :3] = 0.0 if masked_ct else -HU[1] / HU[0]
        self.labels[0, 3, 3, 3] = 1

    def load_case(self, case: str):
        return self.image, self.labels, None, {"class_locations": {1: np.array([[0, 3, 3, 3]])}}


@pytest.mark.parametrize("masked_ct", [True, False])
def test_only_what_lies_beyond_the_scan_is_padding(tiny_dataset, masked_ct: bool):
    dataset = OneCase(masked_ct=masked_ct)
    ((patches, labels),) = draw_report_patches(
        dataset,
        number=2,
        batch_size=2,
        patch_size=PATCH,
        label_manager=PlansManager(tiny_dataset.plans).get_label_manager(tiny_dataset.dataset_json),
        raw_intensities={"a": [HU, (2.0, 3.0)]},
        outside_is_zero=[masked_ct, True],
        raw_padding=[-1024.0, 0.0],
    )
    expected = np.stack([dataset.image[0] * HU[0] + HU[1], dataset.image[1] * 2 + 3])
    expected[:, dataset.labels[0] < 0] = 0.0
    scan = slice(BEFORE_SCAN, BEFORE_SCAN + SHAPE[0])
    for raw in patches.raw:
        torch.testing.assert_close(raw[:, scan], torch.from_numpy(expected), atol=1e-3, rtol=0)
        for beyond in (raw[:, :BEFORE_SCAN], raw[:, BEFORE_SCAN + SHAPE[0] :]):
            assert (beyond[0] == -1024).all()
            assert (beyond[1] == 0).all()
    assert labels.sum() == 2
    assert labels.min() == 0
