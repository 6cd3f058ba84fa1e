"""The SUV factor of a PET series from its DICOM tags; refuses what cannot be known for sure.

SimpleITK does not show sequences, so pydicom reads them. The rules are those of DICOM PS3.3 C.8.9 (PET modules) and of
QIBA's vendor-neutral recipe (qibawiki.rsna.org, Standardized Uptake Value), without what that one guesses.
"""

import math
import re
from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from nnunetv2_muduo.datasets.suv import MOST_HALF_LIVES, Injection, suv_factor
from nnunetv2_muduo.errors import UserError

UNITS = "0054|1001"  # as SimpleITK names the tag
_OF_NUCLIDE = (
    "RadionuclideTotalDose",
    "RadionuclideHalfLife",
    "RadiopharmaceuticalStartTime",
    "RadiopharmaceuticalStartDateTime",
)
_DATE_AND_MINUTE = 12  # digits
_SAME_TIME_IN_S, _DAY_IN_S = 60.0, 86400.0
_PHILIPS = 0x7053, "Philips PET Private Group"  # and the first element of the group makes SUV of counts
_TAGS = [
    "70530010",  # of Philips: who wrote the group
    "70531000",
    "Units",
    "SUVType",
    "CorrectedImage",
    "DecayCorrection",
    "SeriesDate",
    "SeriesTime",
    "AcquisitionDate",
    "AcquisitionTime",
    "PatientWeight",
    "RadiopharmaceuticalInformationSequence",
    "TimezoneOffsetFromUTC",
]


def suv_factor_of_series(files: Sequence[Path]) -> float:
    """What the values of a PET series are multiplied by to give SUV by body weight.

    Args:
        files: all slices of the series.

    Raises:
        UserError: if pydicom is not installed, tags are missing or contradict each other, the units are neither Bq/ml
            nor SUV by body weight nor counts with Philips' own factor, or the image is not corrected for decay and
            attenuation.
    """
    try:
        import pydicom
    except ImportError as error:
        raise UserError(
            "reading the SUV tags of DICOM PET needs pydicom; `pip install pydicom`, or give the values with "
            "`muduo harmonise --suv-from`"
        ) from error
    try:
        headers = [pydicom.dcmread(file, stop_before_pixels=True, specific_tags=_TAGS) for file in files]
        return suv_factor_of_headers(headers)
    except (AttributeError, IndexError, TypeError, ValueError, pydicom.errors.InvalidDicomError) as error:
        raise UserError(
            f"the DICOM tags of the PET cannot be read ({error}); give its values with `muduo harmonise --suv-from`"
        ) from error


def suv_factor_of_headers(headers: Sequence[Any]) -> float:
    """As `suv_factor_of_series`, from pydicom's headers of all slices."""
    first = headers[0]
    units = _agreed(headers, "Units")
    if units == "GML":
        if getattr(first, "SUVType", None) not in (None, "", "BW"):
            raise _no_activity(f"the PET is SUV by {first.SUVType}, not by body weight (BW)")
        return 1.0
    if units not in ("BQML", "CNTS"):
        raise _no_activity(f"the PET's units are {units}, neither BQML nor GML")
    _agreed(headers, "CorrectedImage")
    if missing := [correction for correction in ("ATTN", "DECY") if correction not in first.CorrectedImage]:
        raise _no_activity(f"the PET is not corrected for {' and '.join(missing)} (tag CorrectedImage)")
    return _factor_of_philips(headers) if units == "CNTS" else _factor_of_activity(headers)


def _factor_of_philips(headers: Sequence[Any]) -> float:
    try:
        (factor,) = {float(header.private_block(*_PHILIPS)[0x00].value) for header in headers}
    except (KeyError, TypeError, ValueError):  # there is none, or there are several
        factor = 0.0
    if not 0 < factor < math.inf:
        raise _no_activity("the PET's units are CNTS, without the factor by which Philips' scanners make SUV of them")
    return factor


def _factor_of_activity(headers: Sequence[Any]) -> float:
    _check_agreement(headers)
    first = headers[0]
    radionuclide = _nuclide(first)
    injection = Injection(
        dose_in_bq=float(_value(radionuclide, "RadionuclideTotalDose")),
        weight_in_kg=float(_value(first, "PatientWeight")),
        elapsed_in_s=_elapsed(headers, radionuclide),
        half_life_in_s=float(_value(radionuclide, "RadionuclideHalfLife")),
    )
    if problem := injection.problem():
        raise _refusal(problem)
    return suv_factor(injection)


def _check_agreement(headers: Sequence[Any]) -> None:
    """Raise UserError where the slices differ in anything that is then taken from the first one."""
    for tag in ("SeriesDate", "SeriesTime", "PatientWeight"):
        _agreed(headers, tag)
    for tag in _OF_NUCLIDE:
        _agreed([_nuclide(header) for header in headers], tag, optional=True)


def _nuclide(header: Any) -> Any:
    """The one item of the sequence that tells of the injection."""
    sequence = _value(header, "RadiopharmaceuticalInformationSequence")
    if len(sequence) != 1:
        raise _refusal(f"the PET's tags tell of {len(sequence)} injections, not of one")
    return sequence[0]


def _elapsed(headers: Sequence[Any], radionuclide: Any) -> float:
    """Seconds from the injection to the time that the decay correction refers to."""
    correction = _agreed(headers, "DecayCorrection")
    if correction == "ADMIN":
        return 0.0
    if correction != "START":
        raise _refusal(f"the PET's decay correction is {correction}, neither START nor ADMIN")
    started = _time(_value(headers[0], "SeriesDate"), _value(headers[0], "SeriesTime"))
    acquired = min(_time(_value(header, "AcquisitionDate"), _value(header, "AcquisitionTime")) for header in headers)
    if started > acquired:  # a series made later from another one carries the later time
        raise _refusal(
            "the series is dated after its acquisition, so the time its decay correction refers to is not known"
        )
    if (acquired - started).total_seconds() > _DAY_IN_S:
        raise _refusal(f"the series is dated {started:%Y-%m-%d}, and its acquisition {acquired:%Y-%m-%d}")
    return (started - _injected(headers[0], radionuclide, before=started)).total_seconds()


def _injected(header: Any, radionuclide: Any, *, before: datetime) -> datetime:
    """The series' local time of the injection, from a stamp with its date or from the time of day alone."""
    stamp = str(getattr(radionuclide, "RadiopharmaceuticalStartDateTime", None) or "")
    zone = _offset(str(getattr(header, "TimezoneOffsetFromUTC", None) or ""))
    stamps_zone = _offset(stamp)
    dated = _time(stamp[:8], stamp[8:]) if len(stamp) >= _DATE_AND_MINUTE else None
    if dated is not None and stamps_zone is not None and zone is not None:
        dated += zone - stamps_zone
    if dated is not None and not getattr(radionuclide, "RadiopharmaceuticalStartTime", None):
        if stamps_zone is not None and zone is None:
            raise _refusal("the time of the injection has an offset from UTC, and the times of the series have none")
        return dated
    injected = _time(_value(header, "SeriesDate"), _value(radionuclide, "RadiopharmaceuticalStartTime"))
    if dated is not None:
        apart = abs((dated - injected).total_seconds()) % _DAY_IN_S
        if min(apart, _DAY_IN_S - apart) > _SAME_TIME_IN_S:  # as when one of them is not in local time
            raise _refusal("the PET's tags give two times of the injection")
        return dated
    if MOST_HALF_LIVES * float(_value(radionuclide, "RadionuclideHalfLife")) > _DAY_IN_S:
        raise _refusal("the time of the injection has no date, and the nuclide lasts until the next day")
    return injected - timedelta(days=1) if injected > before else injected  # midnight passed in between


def _time(date: str, time: str) -> datetime:
    """DICOM's YYYYMMDD and HHMMSS.FFFFFF; an offset from UTC behind it is dropped.

    Raises:
        ValueError: for anything else.
    """
    digits = str(time).strip().split("+")[0].split("-")[0]
    whole, _, fraction = digits.partition(".")
    if not re.fullmatch(r"\d{8} (\d\d){1,3}", f"{date} {whole}"):
        raise ValueError(f"{date!r} and {str(time)!r} are no date and time")
    return datetime.strptime(f"{date}{whole:0<6}{fraction:0<6}"[:20], "%Y%m%d%H%M%S%f")


def _offset(text: str) -> timedelta | None:
    """The offset from UTC, such as +0100, that a text of DICOM's ends with; None without one."""
    found = re.search(r"([+-])(\d{2})(\d{2})$", text.strip())
    if found is None:
        return None
    sign, hours, minutes = found.groups()
    return timedelta(hours=int(hours), minutes=int(minutes)) * (-1 if sign == "-" else 1)


def _agreed(headers: Sequence[Any], tag: str, *, optional: bool = False) -> Any:
    values = {str(getattr(header, tag, None) if optional else _value(header, tag)) for header in headers}
    if len(values) > 1:
        raise _refusal(f"the slices of the PET disagree about {tag} ({', '.join(sorted(values))})")
    return values.pop()


def _value(header: Any, tag: str) -> Any:
    value = getattr(header, tag, None)
    if value is None or value == "":
        raise _refusal(f"the PET lacks the DICOM tag {tag}")
    return value


def check_units(units: str) -> None:
    """Raise UserError unless a dose can make SUV of the image: for a tag Units other than BQML, or none ("")."""
    if units not in ("", "BQML"):
        raise _no_activity(
            f"the PET's units are {units}, and only BQML can be converted with `muduo harmonise --suv-from`"
        )


def _no_activity(reason: str) -> UserError:
    """No dose makes up for this."""
    return UserError(f"{reason}; convert it to SUV beforehand")


def _refusal(reason: str) -> UserError:
    return UserError(f"{reason}; give its values with `muduo harmonise --suv-from`, or convert it to SUV beforehand")
