"""What makes some scans harder to segment than others, as factors on what is drawn for every scan anyway."""

from dataclasses import dataclass, replace

from nnunetv2_muduo.datasets.ct_image import CtAcquisition
from nnunetv2_muduo.datasets.pet_image import HotSpot, PetAcquisition


@dataclass(frozen=True)
class Difficulty:
    """How much worse than usual scans are; 1 (None, False) leaves each as it is drawn.

    Attributes:
        ct_contrast: of soft organs against muscle, before and after contrast agent; 0 makes them equal.
        ct_noise: factor on the noise in HU; a low-dose CT, taken for attenuation correction alone, has two to three
            times that of a diagnostic one.
        pet_contrast: power of each tissue's uptake relative to muscle; below 1 organs differ less, as with high blood
            glucose or an early scan.
        pet_noise: factor on the noise; a quarter of the dose or of the time doubles it.
        pet_blur: factor on the resolution's full width at half maximum.
        breathing: factor on how far PET lies off the CT at the diaphragm, and on the swing that blurs it.
        fewest_lesions: that each scan has.
        lesion_size: factor on the lesions' radius, which is 4 to 14 mm.
        ct_diameter_in_mm: the CT is cut off (-1024 HU) outside a circle of this diameter; None: it is not.
        varied_field_of_view: whether scans begin and end where a protocol says (`draw_field_of_view`).
    """

    ct_contrast: float = 1.0
    ct_noise: float = 1.0
    pet_contrast: float = 1.0
    pet_noise: float = 1.0
    pet_blur: float = 1.0
    breathing: float = 1.0
    fewest_lesions: int = 0
    lesion_size: float = 1.0
    ct_diameter_in_mm: float | None = None
    varied_field_of_view: bool = False

    def of_ct(self, drawn: CtAcquisition) -> CtAcquisition:
        """An acquisition as hard as this."""
        return replace(drawn, contrast=drawn.contrast * self.ct_contrast, noise_in_hu=drawn.noise_in_hu * self.ct_noise)

    def of_pet(self, drawn: PetAcquisition) -> PetAcquisition:
        """An acquisition as hard as this."""
        breath = drawn.breathing
        return replace(
            drawn,
            contrast=drawn.contrast * self.pet_contrast,
            noise=drawn.noise * self.pet_noise,
            resolution_fwhm_in_mm=drawn.resolution_fwhm_in_mm * self.pet_blur,
            breathing=replace(
                breath,
                shift_in_mm=breath.shift_in_mm * self.breathing,
                swing_in_mm=breath.swing_in_mm * self.breathing,
            ),
        )

    def of_hot_spot(self, drawn: HotSpot) -> HotSpot:
        """A lesion of this size; the site of an injection as it is."""
        return replace(drawn, radius=drawn.radius * self.lesion_size) if drawn.is_lesion else drawn


USUAL = Difficulty()
HARD = Difficulty(
    ct_contrast=0.6,
    ct_noise=2.0,
    pet_contrast=0.85,
    pet_noise=2.0,
    pet_blur=1.25,
    breathing=1.5,
    fewest_lesions=2,
    ct_diameter_in_mm=500.0,
    varied_field_of_view=True,
)
