"""What pretrained weights are told apart by, and what another dataset's plans contradict."""

from dataclasses import replace

import pytest

from nnunetv2_muduo.pretraining.provenance import (
    NOT_PRETRAINED,
    RELEASED,
    Provenance,
    cautions,
    channel_sources,
    obstacles,
)

TARGET = replace(RELEASED, channel_names=("CT", "PET"), source="nnUNetTrainer")


def test_a_table_of_plain_values_is_read_back():
    assert Provenance.from_dict(RELEASED.to_dict()) == RELEASED
    assert type(RELEASED.to_dict()["spacing"]) is list


def test_what_a_checkpoint_does_not_say_is_named():
    with pytest.raises(ValueError, match="spacing and channel_names"):
        Provenance.from_dict({"normalization_schemes": ["ZScoreNormalization"]})


def test_a_channel_without_normalisation_is_refused():
    with pytest.raises(ValueError, match="2 channels and 1 normalisation"):
        Provenance.from_dict(RELEASED.to_dict() | {"normalization_schemes": ["ZScoreNormalization"]})
    with pytest.raises(ValueError, match="2 channels and use_mask_for_norm of 1"):
        Provenance.from_dict(RELEASED.to_dict() | {"use_mask_for_norm": [False]})


def test_channels_are_found_by_name_in_any_case():
    assert channel_sources(("PET", "CT"), ("ct", "Pet")) == (1, 0)


def test_a_channel_of_no_known_name_has_no_source():
    assert channel_sources(("PET",), ("CT", "PET")) == (None, 0)


def test_by_position_the_left_over_channels_are_given_out_in_order():
    assert channel_sources(("a", "PET", "b"), ("CT", "PET", "x"), by_position=True) == (0, 1, 2)
    assert channel_sources(("PET",), ("CT", "PET"), by_position=True) == (None, 0)


def test_another_order_of_the_same_channels_is_no_obstacle():
    assert obstacles(RELEASED, TARGET) == []


def test_one_of_the_pretrained_channels_alone_is_no_obstacle():
    alone = replace(TARGET, channel_names=("PET",), normalization_schemes=("ZScoreNormalization",))
    assert obstacles(RELEASED, alone) == []


@pytest.mark.parametrize(("spacing", "refused"), [((3.02, 2, 2), False), ((3, 2.05, 2), True), ((3, 2), True)])
def test_spacing_may_differ_by_one_per_cent(spacing: tuple, refused: bool):
    assert bool(obstacles(RELEASED, replace(TARGET, spacing=spacing))) is refused


def test_spacing_is_told_in_millimetres():
    (reason,) = obstacles(RELEASED, replace(TARGET, spacing=(3.0, 4.0, 4.0)))
    assert reason == "spacing: pretrained at 3 x 2 x 2 mm, the plans have 3 x 4 x 4 mm"


def test_turned_axes_are_an_obstacle_even_where_the_spacing_is_the_same():
    cubes = replace(RELEASED, spacing=(2.0, 2.0, 2.0))
    (reason,) = obstacles(cubes, replace(cubes, transpose_forward=(2, 0, 1)))
    assert reason == "order of the axes: pretrained with (z, y, x), the plans have (x, z, y)"


def test_normalisation_is_compared_channel_by_channel():
    ct_only = replace(TARGET, normalization_schemes=("CTNormalization", "ZScoreNormalization"))
    (reason,) = obstacles(RELEASED, ct_only)
    assert reason.startswith("normalisation of CT: pretrained with ZScoreNormalization, the plans have CTNorm")


def by_foreground(*foreground: tuple[float, ...]) -> Provenance:
    schemes = ("CTNormalization", "ZScoreNormalization")
    return replace(TARGET, normalization_schemes=schemes, foreground=foreground)


def test_the_foreground_that_ct_is_scaled_by_is_compared():
    organs, pet = (-200.0, 380.0, -950.0, 250.0), (4.0, 5.0, 0.1, 30.0)
    told = by_foreground(organs, pet)
    assert Provenance.from_dict(told.to_dict()) == told
    assert obstacles(told, by_foreground((-180.0, 390.0, -940.0, 280.0), (8.0, 2.0, 0.0, 90.0))) == []
    (reason,) = obstacles(told, by_foreground((50.0, 60.0, -120.0, 250.0), pet))  # lesions
    assert reason == (
        "foreground that CTNormalization scales CT by: pretrained with mean -200, sd 380, -950 to 250, "
        "the plans have mean 50, sd 60, -120 to 250"
    )
    assert obstacles(by_foreground(), by_foreground(organs, pet)) == []  # older checkpoints do not tell


def test_a_foreground_of_other_numbers_is_refused():
    with pytest.raises(ValueError, match="four numbers of the foreground"):
        Provenance.from_dict(RELEASED.to_dict() | {"foreground": [[1.0, 2.0]]})


def test_a_z_score_of_the_nonzero_voxels_alone_is_another_normalisation():
    masked = replace(TARGET, use_mask_for_norm=(False, True))
    (reason,) = obstacles(RELEASED, masked)
    assert reason.endswith(
        "PET: pretrained with ZScoreNormalization, the plans have ZScoreNormalization of nonzero voxels"
    )
    of_hounsfield_units = ("CTNormalization", "CTNormalization")  # which takes no notice of the mask
    told, wanted = (replace(each, normalization_schemes=of_hounsfield_units) for each in (RELEASED, masked))
    assert obstacles(told, wanted) == []


def test_where_nobody_knows_of_a_mask_the_names_of_the_schemes_decide():
    unknown = {key: value for key, value in RELEASED.to_dict().items() if key != "use_mask_for_norm"}
    assert obstacles(Provenance.from_dict(unknown), replace(TARGET, use_mask_for_norm=(True, True))) == []


def test_a_channel_that_was_never_shown_was_not_pretrained():
    alone = replace(RELEASED, normalization_schemes=(NOT_PRETRAINED, "ZScoreNormalization"))
    (reason,) = obstacles(alone, TARGET)
    assert reason == "channels: pretrained on CT, the dataset has CT, PET"
    assert channel_sources(alone.taught_channels, ("CT", "PET"), by_position=True) == (1, None)


@pytest.mark.parametrize("names", [("CT", "MR"), ("CT", "CT")])
def test_channels_that_were_not_pretrained_are_an_obstacle(names: tuple):
    (reason,) = obstacles(RELEASED, replace(TARGET, channel_names=names))
    assert reason == f"channels: pretrained on PET, CT, the dataset has {names[0]}, {names[1]}"


def cropped(
    before: bool | None, now: bool | None, scheme: str = "ZScoreNormalization"
) -> tuple[Provenance, Provenance]:
    schemes = ("CTNormalization", scheme)
    told, wanted = (replace(TARGET, normalization_schemes=schemes, body_crop=crop) for crop in (before, now))
    return told, wanted


@pytest.mark.parametrize(("before", "now"), [(True, False), (False, True)])
def test_body_crops_that_are_known_and_differ_are_an_obstacle(before: bool, now: bool):
    (reason,) = obstacles(*cropped(before, now))
    assert reason.startswith(f"body crop: pretrained on scans {'' if before else 'not all '}cropped to the body")
    assert f"(muduo harmonise {'with' if before else 'without'} --body-crop)" in reason
    assert cautions(*cropped(before, now)) == []


@pytest.mark.parametrize("before", [True, False])
def test_a_body_crop_that_is_not_known_of_the_dataset_is_a_caution(before: bool):
    assert obstacles(*cropped(before, None)) == []
    (caution,) = cautions(*cropped(before, None))
    assert "those of the dataset are not known to be cropped" in caution


@pytest.mark.parametrize(("before", "now"), [(True, True), (False, False), (None, True), (None, False), (None, None)])
def test_one_body_crop_or_none_known_of_the_pretraining_is_neither(before: bool | None, now: bool | None):
    assert obstacles(*cropped(before, now)) == cautions(*cropped(before, now)) == []


def test_a_body_crop_counts_for_z_scores_alone():
    assert obstacles(*cropped(True, False, scheme="NoNormalization")) == []
    assert cautions(*cropped(True, None, scheme="NoNormalization")) == []


def lying(*orientations: str) -> Provenance:
    return replace(TARGET, orientations=orientations)


def test_scans_that_lie_as_no_scan_of_the_pretraining_did_are_a_caution():
    assert obstacles(lying("LPS"), lying("RAS")) == []
    (caution,) = cautions(lying("LPS", "LSA"), lying("LPS", "RAS"))
    assert caution.startswith("orientation: pretrained on scans that the network sees as LPS and LSA, those of the ")
    assert "dataset lie as RAS, which" in caution


@pytest.mark.parametrize(("before", "now"), [((), ("RAS",)), (("LPS",), ()), (("LPS", "RAS"), ("RAS",))])
def test_scans_that_lie_as_some_did_or_that_nobody_knows_of_are_none(before: tuple, now: tuple):
    assert cautions(lying(*before), lying(*now)) == []
