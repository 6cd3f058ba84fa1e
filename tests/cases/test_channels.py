import pytest

from nnunetv2_muduo.cases.channels import find_channel, find_channels
from nnunetv2_muduo.errors import UserError
from nnunetv2_muduo.settings import Settings


def dataset_json(*names: str) -> dict:
    return {"channel_names": {str(index): name for index, name in enumerate(names)}}


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (("CT", "PET"), (0, 1)),
        (("pet", "ct"), (1, 0)),
        (("CTres", "SUV"), (0, 1)),
        (("MRI", "FDG-PET", "low-dose CT"), (2, 1)),
        (("18F-FDG", "ct"), (1, 0)),
        (("CT", "PT"), (0, 1)),
    ],
)
def test_channels_are_found_by_their_names(names, expected):
    assert find_channels(dataset_json(*names), Settings()) == expected


def test_channels_are_counted_in_numerical_order():
    names = {str(index): "T1" for index in range(12)} | {"10": "PET", "2": "CT"}
    assert find_channels({"channel_names": names}, Settings()) == (2, 10)


def test_old_datasets_name_their_modality():
    assert find_channels({"modality": {"0": "CT", "1": "PET"}}, Settings()) == (0, 1)


def test_settings_override_names():
    assert find_channels(dataset_json("CT", "PET"), Settings(ct_channel=1, pet_channel=0)) == (1, 0)


def test_one_setting_resolves_two_channels_of_one_name():
    """AutoPET's second baseline calls both channels CT, for the sake of nnU-Net's normalisation."""
    assert find_channels(dataset_json("CT", "CT"), Settings(ct_channel=0, pet_channel=1)) == (0, 1)
    assert find_channels(dataset_json("CT", "CT"), Settings(pet_channel=1)) == (0, 1)


@pytest.mark.parametrize(
    ("names", "key"),
    [(("MRI", "PET"), "ct_channel"), (("CT", "MRI"), "pet_channel"), (("CT", "CT2", "PET"), "ct_channel")],
)
def test_a_missing_or_ambiguous_channel_names_what_is_there_and_the_setting(names, key):
    with pytest.raises(UserError, match=key) as caught:
        find_channels(dataset_json(*names), Settings())
    assert all(name in str(caught.value) for name in names)


def test_a_channel_beyond_the_dataset_is_refused():
    with pytest.raises(UserError, match=r"pet_channel.* 2"):
        find_channels(dataset_json("CT", "PET"), Settings(pet_channel=2))


@pytest.mark.parametrize(("there", "missing"), [("CT", "PET"), ("PET", "CT")])
def test_where_there_is_one_channel_alone_no_setting_is_advised(there: str, missing: str):
    with pytest.raises(UserError, match=f"Add {missing} to every scan, or train .* -tr nnUNetTrainer") as caught:
        find_channels(dataset_json(there), Settings())
    assert "muduo plan" not in str(caught.value)


def test_one_channel_cannot_be_both():
    with pytest.raises(UserError, match="both"):
        find_channels(dataset_json("PET/CT"), Settings())


def test_one_modality_is_found_without_the_other():
    assert find_channel(dataset_json("CT"), "CT", remedy="look") == 0
    assert find_channel(dataset_json("T1", "FDG-PET"), "PET", remedy="look") == 1


@pytest.mark.parametrize("names", [("T1", "T2"), ("PET", "PET early")])
def test_one_modality_that_is_missing_or_ambiguous_is_an_error_with_the_remedy(names):
    with pytest.raises(UserError, match=rf"called PET: the dataset has channel 0 \('{names[0]}'\).*; look\."):
        find_channel(dataset_json(*names), "PET", remedy="look")
