import pytest

from nnunetv2_muduo.errors import UnsupportedError, UserError
from nnunetv2_muduo.semisupervised.refusals import refuse_unsupported, unlabelled_batch_size_per_process

DATASET = {"labels": {"background": 0, "liver": 1}, "channel_names": {"0": "CT", "1": "PET"}}


def plans(**configurations: dict) -> dict:
    return {
        "dataset_name": "Dataset001_Test",
        "plans_name": "nnUNetPlans",
        "label_manager": "LabelManager",
        "configurations": configurations,
    }


FULLRES = {"patch_size": [16, 16, 16], "architecture": {}}


def test_plain_3d_configuration_is_accepted():
    refuse_unsupported("T", plans(**{"3d_fullres": FULLRES}), "3d_fullres", DATASET)


def test_2d_is_refused_with_what_to_use():
    with pytest.raises(UnsupportedError, match=r"'2d' is 2d\. Use 3d_fullres"):
        refuse_unsupported("T", plans(**{"2d": {**FULLRES, "patch_size": [16, 16]}}), "2d", DATASET)


def test_cascade_is_refused():
    cascade = {**FULLRES, "previous_stage": "3d_lowres"}
    with pytest.raises(UnsupportedError, match="does not support cascades"):
        refuse_unsupported("T", plans(**{"3d_cascade_fullres": cascade}), "3d_cascade_fullres", DATASET)


def test_labels_without_a_background_are_refused():
    labels = {**DATASET, "labels": {"background ": 0, "liver": 1}}
    with pytest.raises(UserError, match='no background; nnU-Net wants an entry "background": 0'):
        refuse_unsupported("T", plans(**{"3d_fullres": FULLRES}), "3d_fullres", labels)


def test_regions_are_refused():
    regions = {**DATASET, "labels": {"background": 0, "body": [1, 2], "liver": 2}, "regions_class_order": [1, 2]}
    with pytest.raises(UnsupportedError, match="region-based"):
        refuse_unsupported("T", plans(**{"3d_fullres": FULLRES}), "3d_fullres", regions)


def test_unknown_configuration_lists_the_known_ones():
    with pytest.raises(UserError, match="use one of: 3d_fullres"):
        refuse_unsupported("T", plans(**{"3d_fullres": FULLRES}), "3d_lowres", DATASET)


def test_unlabelled_patches_are_shared_out_over_processes():
    assert [unlabelled_batch_size_per_process(5, 2, rank) for rank in (0, 1)] == [3, 2]


def test_one_unlabelled_patch_a_process_is_refused_with_the_setting():
    with pytest.raises(UserError, match="unlabelled_batch_size=4"):
        unlabelled_batch_size_per_process(2, 2)
