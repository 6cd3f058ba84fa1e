"""Unlabelled scans that are links, as to a disk that may not be mounted."""

import pytest

from nnunetv2_muduo.errors import UserError


def store_elsewhere(dataset, *cases: str):
    """Scans on another disk, which the function that is returned takes away and brings back."""
    disk, away = dataset.folder / "disk", dataset.folder / "not mounted"
    disk.mkdir()
    for file in [file for case in cases for file in (dataset.raw / "imagesUn").glob(f"{case}_*")]:
        file.rename(disk / file.name)
        file.symlink_to(disk / file.name)
    return lambda mounted: away.rename(disk) if mounted else disk.rename(away)


def test_a_scan_that_is_a_link_to_nothing_is_named_and_its_preprocessed_case_kept(tiny_dataset):
    for case in ("a", "b"):
        tiny_dataset.write_scan(case)
    mount = store_elsewhere(tiny_dataset, "a")
    tiny_dataset.preprocess()
    before = tiny_dataset.state()
    mount(False)
    summary = tiny_dataset.preprocess()
    assert summary.identifiers == ("b",)
    assert f"a_0000.nii.gz is a link to {tiny_dataset.folder / 'disk' / 'a_0000.nii.gz'}" in summary.bad["a"]
    assert tiny_dataset.state() == before
    mount(True)
    assert tiny_dataset.preprocess().skipped == ("a", "b")


def test_links_to_nothing_alone_are_said_to_be_just_that(tiny_dataset):
    for case in ("a", "b"):
        tiny_dataset.write_scan(case)
    mount = store_elsewhere(tiny_dataset, "a", "b")
    tiny_dataset.preprocess()
    before = tiny_dataset.state()
    mount(False)
    with pytest.raises(UserError, match=r"All 2 unlabelled scan\(s\).*a_0000.nii.gz is a link to .*kept"):
        tiny_dataset.preprocess()
    assert tiny_dataset.state() == before


def test_a_labelled_case_that_is_a_link_to_nothing_is_not_used_as_unlabelled(tiny_dataset):
    for case in ("a", "b"):
        tiny_dataset.write_scan(case)
    (tiny_dataset.raw / "imagesTr").mkdir()
    (tiny_dataset.raw / "imagesTr" / "a_0000.nii.gz").symlink_to("not mounted.nii.gz")
    assert "already labelled" in tiny_dataset.preprocess().bad["a"]
