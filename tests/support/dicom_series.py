"""A PET as scanners store it: a DICOM file a slice, in Bq/ml, with the tags that make SUV of it."""

from pathlib import Path

import numpy as np
import SimpleITK as sitk

_PET_STORAGE = "1.2.840.10008.5.1.4.1.1.128"
BECQUEREL_PER_SUV = 5000.0


def write_pet_series(folder: Path, pet: sitk.Image, *, uid: str = "1.2.3") -> Path:
    """Write 0.dcm, 1.dcm and so on: 350 MBq of F-18 in 70 kg, injected an hour before the scan.

    Args:
        folder: made where missing.
        pet: SUV, along the axes of the patient; an SUV of 1 becomes `BECQUEREL_PER_SUV`.
        uid: of the series.
    """
    import pydicom

    folder.mkdir(parents=True, exist_ok=True)
    x, y, z = pet.GetOrigin()
    across, down, between = pet.GetSpacing()
    for number, plane in enumerate(sitk.GetArrayFromImage(pet)):
        slope = 500.0 * (number + 1)  # another one for each slice, as scanners have it
        file = pydicom.dataset.FileMetaDataset()
        file.TransferSyntaxUID = pydicom.uid.ExplicitVRLittleEndian
        file.MediaStorageSOPClassUID = _PET_STORAGE
        file.MediaStorageSOPInstanceUID = f"{uid}.{number}"
        header = pydicom.Dataset()
        header.file_meta = file
        header.SOPClassUID, header.SOPInstanceUID = _PET_STORAGE, f"{uid}.{number}"
        header.Modality, header.SeriesInstanceUID, header.InstanceNumber = "PT", uid, number
        header.ImagePositionPatient = [x, y, z + between * number]
        header.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
        header.PixelSpacing, header.SliceThickness = [down, across], between
        header.Rows, header.Columns = plane.shape
        header.SamplesPerPixel, header.PhotometricInterpretation = 1, "MONOCHROME2"
        header.BitsAllocated, header.BitsStored, header.HighBit, header.PixelRepresentation = 16, 16, 15, 0
        header.RescaleSlope, header.RescaleIntercept = slope, 0
        header.PixelData = np.rint(plane * BECQUEREL_PER_SUV / slope).astype(np.uint16).tobytes()
        header.Units, header.CorrectedImage, header.DecayCorrection = "BQML", ["DECY", "ATTN"], "START"
        header.SeriesDate = header.AcquisitionDate = "20260102"
        header.SeriesTime = header.AcquisitionTime = "103000"
        header.PatientWeight = "70"
        nuclide = pydicom.Dataset()
        nuclide.RadiopharmaceuticalStartTime = "093000"
        nuclide.RadionuclideTotalDose, nuclide.RadionuclideHalfLife = "350000000", "6586.2"
        header.RadiopharmaceuticalInformationSequence = [nuclide]
        header.save_as(folder / f"{number}.dcm", enforce_file_format=True)
    return folder
