import json
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from nnunetv2_muduo.commands.next_step import plan_and_preprocess, told_of_orientations


def test_next_comes_no_mirroring_where_left_and_right_are_labels():
    plain = plan_and_preprocess(221, ["background", "liver"])
    assert plain == "Next: nnUNetv2_plan_and_preprocess -d 221 -c 3d_fullres --verify_dataset_integrity"
    assert plan_and_preprocess(221, ["liver", "kidney_left", "kidney_right"]) == (
        f"{plain} && muduo plan -d 221 --set mirroring=false  # kidney_left and kidney_right are mirror images"
    )


def test_scans_that_are_stored_in_several_ways_are_told_of_unless_the_chosen_reader_turns_them_alike(tmp_path: Path):
    (tmp_path / "imagesTr").mkdir()
    for case, orientation in (("a", "LPS"), ("b", "PSL")):
        image = sitk.DICOMOrient(sitk.GetImageFromArray(np.zeros((2, 3, 4), np.float32)), orientation)
        sitk.WriteImage(image, str(tmp_path / "imagesTr" / f"{case}_0000.nii.gz"))
    description = {"file_ending": ".nii.gz", "labels": {"background": 0}}
    (tmp_path / "dataset.json").write_text(json.dumps(description))
    assert "1 as LPS; 1 as PSL" in told_of_orientations(tmp_path)[0]
    chosen = description | {"overwrite_image_reader_writer": "SimpleITKIOWithReorient"}
    (tmp_path / "dataset.json").write_text(json.dumps(chosen))
    assert told_of_orientations(tmp_path) == []
