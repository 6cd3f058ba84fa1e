"""The SUV factor from DICOM tags."""

from pathlib import Path
from types import SimpleNamespace

import pytest
import SimpleITK as sitk
from dicom_series import write_pet_series

from nnunetv2_muduo.datasets.dicom_suv import check_units, suv_factor_of_headers, suv_factor_of_series
from nnunetv2_muduo.datasets.suv import Injection, suv_factor
from nnunetv2_muduo.errors import UserError


def headers(**changed) -> list[SimpleNamespace]:
    """Two slices, acquired one after the other, an hour after the injection."""
    nuclide = {
        "RadionuclideTotalDose": "350000000",
        "RadionuclideHalfLife": "6586.2",
        "RadiopharmaceuticalStartTime": "093000.000000",
    }
    tags = {
        "Units": "BQML",
        "CorrectedImage": ["DECY", "ATTN", "SCAT"],
        "DecayCorrection": "START",
        "SeriesDate": "20260102",
        "SeriesTime": "103000",
        "AcquisitionDate": "20260102",
        "PatientWeight": "70",
    }
    inner = {key: changed.pop(key) for key in list(changed) if key.startswith("Radio")}
    tags |= {"RadiopharmaceuticalInformationSequence": [SimpleNamespace(**(nuclide | inner))]} | changed
    return [SimpleNamespace(**({"AcquisitionTime": time} | tags)) for time in ("103500.5", "103000")]


HOUR = suv_factor(Injection(350e6, 70.0, 3600.0, 6586.2))


def test_decay_is_counted_from_the_injection_to_the_start_of_the_series():
    assert suv_factor_of_headers(headers()) == pytest.approx(HOUR)


def test_midnight_may_pass_in_between():
    late = headers(SeriesTime="0030", RadiopharmaceuticalStartTime="2330", AcquisitionTime="0030")
    assert suv_factor_of_headers(late) == pytest.approx(HOUR)


def test_the_full_date_of_the_injection_goes_first():
    two_hours = suv_factor(Injection(350e6, 70.0, 7200.0, 6586.2))
    for time, offset in (("083000", "+0100"), ("083000", ""), (None, "")):
        stamp = {
            "RadiopharmaceuticalStartDateTime": f"20260102083000.00{offset}",
            "RadiopharmaceuticalStartTime": time,
        }
        assert suv_factor_of_headers(headers(**stamp)) == pytest.approx(two_hours)


@pytest.mark.parametrize(
    ("stamp", "zone"),
    [
        ("20260102083000.00+0000", "+0100"),
        ("20260102043000-0400", "+0100"),
        ("20260102093000+0100", "+0100"),
        ("20260102093000", "+0100"),  # local
        ("20260102183000+0900", "+0000"),
        ("20260102070000+0300", "+0530"),
        ("20260103000000+0330", "-1100"),  # the day before, there
    ],
)
@pytest.mark.parametrize("time", [None, "093000"])
def test_an_injection_of_another_time_zone_is_told_in_that_of_the_series(stamp, zone, time):
    tags = {"RadiopharmaceuticalStartDateTime": stamp, "RadiopharmaceuticalStartTime": time}
    assert suv_factor_of_headers(headers(**tags, TimezoneOffsetFromUTC=zone)) == pytest.approx(HOUR)


def test_a_date_alone_is_no_midnight():
    assert suv_factor_of_headers(headers(RadiopharmaceuticalStartDateTime="20260102")) == pytest.approx(HOUR)


def test_where_a_nuclide_lasts_until_the_next_day_a_time_without_a_date_is_refused():
    zirconium = {"RadionuclideHalfLife": "282240"}
    with pytest.raises(UserError, match=r"no date, and the nuclide lasts until the next.*--suv-from"):
        suv_factor_of_headers(headers(**zirconium))
    days = suv_factor(Injection(350e6, 70.0, 3600.0 + 5 * 86400, 282240))
    dated = {"RadiopharmaceuticalStartDateTime": "20251228093000"}
    assert suv_factor_of_headers(headers(**zirconium, **dated)) == pytest.approx(days)


def test_an_image_corrected_to_the_injection_knows_no_decay():
    assert suv_factor_of_headers(headers(DecayCorrection="ADMIN")) == pytest.approx(suv_factor(Injection(350e6, 70, 0)))


def test_suv_by_body_weight_stays_as_it_is():
    assert suv_factor_of_headers(headers(Units="GML", SUVType="BW")) == 1.0


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"DecayCorrection": "NONE"}, "decay correction is NONE"),
        ({"SeriesTime": "180000"}, "dated after its acquisition"),
        ({"RadiopharmaceuticalStartDateTime": "20260102083000.00+0000"}, "two times of the injection"),
        (
            {"RadiopharmaceuticalStartDateTime": "20260102083000+0000", "RadiopharmaceuticalStartTime": None},
            "has an offset from UTC, and the times of the series have none",
        ),
        ({"PatientWeight": None}, "lacks the DICOM tag PatientWeight"),
        ({"RadionuclideTotalDose": "350"}, "MBq"),
        ({"RadionuclideHalfLife": "-6586.2"}, "half-life of -6586.2 s is no PET nuclide's"),
        ({"SeriesDate": "20251231"}, "dated 2025-12-31, and its acquisition 2026-01-02"),
    ],
)
def test_what_cannot_be_known_is_refused_with_the_reason_and_the_remedy(changed, words):
    with pytest.raises(UserError, match=rf"{words}.*--suv-from"):
        suv_factor_of_headers(headers(**changed))


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"Units": "CM2ML"}, "CM2ML"),
        ({"Units": "GML", "SUVType": "LBM"}, "LBM"),
        ({"CorrectedImage": ["ATTN"]}, "not corrected for DECY"),
        ({"CorrectedImage": "DECY"}, "not corrected for ATTN \\("),
    ],
)
def test_what_no_dose_makes_up_for_is_not_sent_to_the_table_of_doses(changed, words):
    with pytest.raises(UserError, match=rf"{words}.*convert it to SUV beforehand") as raised:
        suv_factor_of_headers(headers(**changed))
    assert "--suv-from" not in str(raised.value)


def test_a_given_dose_does_not_make_counts_bq_per_ml():
    check_units("BQML")
    check_units("")
    with pytest.raises(UserError, match="units are CNTS"):
        check_units("CNTS")


def test_slices_that_disagree_are_refused():
    mixed = [*headers(), *headers(Units="GML")]
    with pytest.raises(UserError, match="disagree about Units"):
        suv_factor_of_headers(mixed)


@pytest.mark.parametrize(
    ("tag", "value"), [("PatientWeight", "80"), ("SeriesTime", "103100"), ("CorrectedImage", ["DECY", "ATTN"])]
)
def test_slices_that_disagree_about_what_the_factor_comes_from_are_refused(tag, value):
    first, second = headers()
    setattr(second, tag, value)
    with pytest.raises(UserError, match=f"disagree about {tag}"):
        suv_factor_of_headers([first, second])


@pytest.mark.parametrize(
    ("tag", "value"), [("RadionuclideTotalDose", "3500000"), ("RadiopharmaceuticalStartTime", "080000")]
)
def test_slices_of_two_injections_are_refused(tag, value):
    mixed = [headers()[0], headers(**{tag: value})[1]]
    with pytest.raises(UserError, match=f"disagree about {tag}"):
        suv_factor_of_headers(mixed)


def test_a_series_of_two_injections_is_refused():
    twice = headers()
    for header in twice:
        header.RadiopharmaceuticalInformationSequence = [SimpleNamespace(), SimpleNamespace()]
    with pytest.raises(UserError, match="tell of 2 injections"):
        suv_factor_of_headers(twice)


@pytest.mark.parametrize("changed", [{"AcquisitionDate": "2026"}, {"SeriesTime": "103"}, {"SeriesTime": "10:30:00"}])
def test_what_is_no_date_or_time_is_not_taken_for_one(changed):
    with pytest.raises(ValueError, match="are no date and time"):  # `suv_factor_of_series` makes a sentence of it
        suv_factor_of_headers(headers(**changed))


@pytest.mark.parametrize(("factors", "told"), [(("0.5", "0.5"), 0.5), (("0.5", "0.4"), None), (("0", "0"), None)])
def test_counts_become_suv_by_one_factor_of_philips_alone(tmp_path: Path, factors, told):
    pydicom = pytest.importorskip("pydicom")
    files = sorted(write_pet_series(tmp_path, sitk.Image([5, 4, 2], sitk.sitkFloat32)).iterdir())
    for file in files:
        header = pydicom.dcmread(file)
        header.Units = "CNTS"
        header.save_as(file)
    with pytest.raises(UserError, match=r"units are CNTS, without .* Philips.*convert it to SUV beforehand"):
        suv_factor_of_series(files)
    for file, factor in zip(files, factors, strict=True):
        header = pydicom.dcmread(file)
        header.private_block(0x7053, "Philips PET Private Group", create=True).add_new(0x00, "DS", factor)
        header.save_as(file)
    if told is None:
        with pytest.raises(UserError, match="units are CNTS"):
            suv_factor_of_series(files)
    else:
        assert suv_factor_of_series(files) == told


def test_tags_are_read_from_files(tmp_path: Path):
    pydicom = pytest.importorskip("pydicom")
    for number, header in enumerate(headers()):
        dataset = pydicom.Dataset()
        for tag, value in vars(header).items():
            if tag != "RadiopharmaceuticalInformationSequence":
                setattr(dataset, tag, value)
        nuclide = pydicom.Dataset()
        for tag, value in vars(header.RadiopharmaceuticalInformationSequence[0]).items():
            setattr(nuclide, tag, value)
        dataset.RadiopharmaceuticalInformationSequence = [nuclide]
        dataset.file_meta = pydicom.dataset.FileMetaDataset()
        dataset.file_meta.TransferSyntaxUID = pydicom.uid.ExplicitVRLittleEndian
        dataset.file_meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.128"
        dataset.file_meta.MediaStorageSOPInstanceUID = f"1.2.3.{number}"
        dataset.save_as(tmp_path / f"{number}.dcm", enforce_file_format=True)
    assert suv_factor_of_series(sorted(tmp_path.iterdir())) == pytest.approx(HOUR)
    (tmp_path / "text.dcm").write_text("no DICOM")
    with pytest.raises(UserError, match="cannot be read"):
        suv_factor_of_series([tmp_path / "text.dcm"])
