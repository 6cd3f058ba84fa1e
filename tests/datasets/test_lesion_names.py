import pytest

from nnunetv2_muduo.datasets.lesion_names import is_lesion, told_lesions_taught


@pytest.mark.parametrize(
    ("name", "lesion"),
    [("lesion", True), ("Liver_Tumour", True), ("metastases", True), ("liver", False), ("prostate", False)],
)
def test_lesions_are_told_by_their_names(name: str, lesion: bool):
    assert is_lesion(name) == lesion


def test_only_lesions_whose_teachers_nobody_judges_are_told_of():
    assert told_lesions_taught(["liver", "lesion"], reliability="none").startswith("lesion: teachers made for organs")
    assert told_lesions_taught(["liver", "lesion"], reliability="report") == ""
    assert told_lesions_taught(["liver", "spleen"], reliability="none") == ""
