from nnunetv2_muduo.commands.next_step import plan_and_preprocess


def test_next_comes_no_mirroring_where_left_and_right_are_labels():
    plain = plan_and_preprocess(221, ["background", "liver"])
    assert plain == "Next: nnUNetv2_plan_and_preprocess -d 221 -c 3d_fullres --verify_dataset_integrity"
    assert plan_and_preprocess(221, ["liver", "kidney_left", "kidney_right"]) == (
        f"{plain} && muduo plan -d 221 --set mirroring=false  # kidney_left and kidney_right are mirror images"
    )
