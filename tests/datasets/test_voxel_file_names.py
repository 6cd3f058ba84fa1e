import pytest

from nnunetv2_muduo.datasets.voxel_file_names import leads_away


@pytest.mark.parametrize("name", ["/etc/passwd", "../a.raw", "sub/../../a.raw", "..\\a.raw", "C:a.raw", "~/a.raw"])
def test_a_name_that_leads_out_of_the_folder_is_known(name: str):
    assert leads_away(name)


@pytest.mark.parametrize("name", ["a.raw", "sub/a.raw", "a..b.raw", "of patient 1.zraw"])
def test_a_name_within_the_folder_is_none(name: str):
    assert not leads_away(name)
