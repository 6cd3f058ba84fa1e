"""Case identifiers from the names of folders."""

import unicodedata
from pathlib import Path

import pytest

from nnunetv2_muduo.cases.scan_checks import find_scans
from nnunetv2_muduo.errors import UserError
from nnunetv2_muduo.harmonising.case_finding import FoundCase
from nnunetv2_muduo.harmonising.identifiers import case_identifier, identified


def a_case(*parts: str) -> FoundCase:
    folder = Path("root").joinpath(*parts)
    return FoundCase(folder, parts, folder / "CT", folder / "PET")


@pytest.mark.parametrize(
    ("parts", "identifier"),
    [
        (("PETCT_01", "03-23-2003 study"), "PETCT_01_03-23-2003 study"),
        (("Müller, J.", "v1.5"), "Müller, J._v1.5"),
        ((unicodedata.normalize("NFD", "Müller"),), "Müller"),
        (("a:b*c", '"d"'), "a_b_c__d_"),
        ((" .hidden. ",), "hidden"),
        (("x . ",), "x"),
        (("scan_seg",), "scan_seg_"),
    ],
)
def test_names_stay_as_far_as_they_are_safe(parts, identifier):
    assert case_identifier(parts) == identifier


def test_the_centre_comes_first():
    assert case_identifier(("7",), centre="north") == "north_7"


def test_nnunet_finds_the_cases_again(tmp_path):
    names = [case_identifier(parts) for parts in (("Müller, J.", "v1.5"), ("a_0000",), ("a",), ("scan_seg",))]
    for name in names:
        for channel in (0, 1):
            (tmp_path / f"{name}_{channel:04d}.nii.gz").touch()
    scans, strays = find_scans(tmp_path, ".nii.gz")
    assert set(scans) == set(names)
    assert all(len(files) == 2 for files in scans.values())
    assert strays == {}


@pytest.mark.parametrize("others", [(("a_b",), ("a", "b")), (("Case",), ("case",)), (("x:",), ("x?",))])
def test_two_cases_of_one_name_are_named(others):
    first, second = (a_case(*parts) for parts in others)
    with pytest.raises(UserError, match=r"would both be called") as raised:
        identified([first, second])
    assert str(first.folder) in str(raised.value)
    assert str(second.folder) in str(raised.value)


@pytest.mark.parametrize(("name", "words"), [(" . ", "no name"), ("x" * 300, "too long")])
def test_what_gives_no_name_is_refused(name, words):
    with pytest.raises(UserError, match=words):
        case_identifier((name,))


def test_a_path_in_another_encoding_is_told():
    with pytest.raises(UserError, match=r"M.udcfcller is not in UTF-8.*rename it"):
        identified([a_case("M\udcfcller")])
    whole = a_case("a")
    with pytest.raises(UserError, match=r"PET.udcfc is not in UTF-8"):
        identified([FoundCase(whole.folder, whole.parts, whole.ct, whole.folder / "PET\udcfc")])
