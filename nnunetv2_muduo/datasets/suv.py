"""Activity concentration (Bq/ml) to standardised uptake value by body weight."""

from dataclasses import dataclass

F18_HALF_LIFE_IN_S = 6586.2  # fluorine-18: 109.77 minutes
_GRAMS_PER_KG = 1000.0
_DOSES_IN_BQ = (1e6, 1e10)  # from the least for an infant to generator water; beyond, another unit was meant
_HALF_LIVES_IN_S = (60.0, 1e6)  # rubidium-82 has 76 s, iodine-124 4.2 days
MOST_HALF_LIVES = 10.0  # a thousandth is left; times that were swapped and wrap around midnight come to more


@dataclass(frozen=True)
class Injection:
    """What a SUV depends on besides the image.

    Attributes:
        dose_in_bq: injected activity.
        weight_in_kg: of the patient.
        elapsed_in_s: from the injection to the time that the image's decay correction refers to (usually the start of
            the scan); 0 where it refers to the injection itself.
        half_life_in_s: of the nuclide.
    """

    dose_in_bq: float
    weight_in_kg: float
    elapsed_in_s: float
    half_life_in_s: float = F18_HALF_LIFE_IN_S

    def problem(self) -> str | None:
        """What cannot be right about the values, in words; None where they are plausible."""
        least, most = _DOSES_IN_BQ
        if not least <= self.dose_in_bq <= most:
            return f"an injected dose of {self.dose_in_bq:g} Bq is no injection; mind Bq and MBq"
        if not 0.5 <= self.weight_in_kg <= 400:
            return f"a weight of {self.weight_in_kg:g} kg is no patient's"
        shortest, longest = _HALF_LIVES_IN_S
        if not shortest <= self.half_life_in_s <= longest:
            return f"a half-life of {self.half_life_in_s:g} s is no PET nuclide's"
        if not 0 <= self.elapsed_in_s <= MOST_HALF_LIVES * self.half_life_in_s:
            return (
                f"{self.elapsed_in_s:g} s from injection to scan are not between 0 and {MOST_HALF_LIVES:g} half-lives "
                f"of {self.half_life_in_s:g} s; are the times swapped?"
            )
        return None


def suv_factor(injection: Injection) -> float:
    """What Bq/ml are multiplied by to give SUV (g/ml): weight / (dose * 2^(-elapsed / half-life)).

    The usual definition by body weight (Boellaard et al., EANM guidelines 2.0, 2015; QIBA's recipe is the same), the
    weight in g, for 1 g of tissue per ml.
    """
    remaining = injection.dose_in_bq * 2.0 ** (-injection.elapsed_in_s / injection.half_life_in_s)
    return injection.weight_in_kg * _GRAMS_PER_KG / remaining
