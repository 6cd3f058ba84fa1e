import numpy as np
import pytest

from nnunetv2_muduo.evaluation.organ_metrics import measure_case
from nnunetv2_muduo.evaluation.overlap import dice_score
from nnunetv2_muduo.evaluation.surfaces import surface_distances

ORGANS = {"liver": (1,), "spleen": (2,), "lesion": (3,), "abdomen": (1, 2)}
SPACING = (3.0, 2.0, 2.0)


def label_map(seed: int) -> np.ndarray:
    """Random labels 0 to 3 in the middle of a volume."""
    labels = np.zeros((12, 14, 16), np.uint8)
    labels[3:9, 3:11, 4:12] = np.random.default_rng(seed).integers(0, 4, (6, 8, 8))
    return labels


def measure(prediction: np.ndarray, reference: np.ndarray, **options):
    return measure_case(prediction, reference, organs=ORGANS, spacing_in_mm=SPACING, **options)


def test_cropping_to_the_organ_changes_nothing():
    prediction, reference = label_map(0), label_map(1)
    measured = measure(prediction, reference)
    for organ, labels in ORGANS.items():
        masks = np.isin(prediction, labels), np.isin(reference, labels)
        distances = surface_distances(*masks, spacing_in_mm=SPACING)
        assert measured[organ].overlap.dice == dice_score(*masks)
        assert (measured[organ].hd95, measured[organ].asd) == pytest.approx((distances.hd95, distances.asd))
        assert measured[organ].tn == np.count_nonzero(~masks[0] & ~masks[1])


def test_volumes_are_millilitres():
    reference = np.zeros((12, 14, 16), np.uint8)
    reference[:5, :5, :4] = 1
    values = measure(reference, reference)["liver"].values
    assert values["volume_ref_ml"] == values["volume_pred_ml"] == pytest.approx(100 * 12 / 1000)


def test_lesion_volumes_are_counted_for_lesions_only():
    prediction, reference = np.zeros((2, 12, 14, 16), np.uint8)
    reference[1, 1, 1:4] = prediction[9, 9, 9:11] = 3
    lesion = measure(prediction, reference, lesions=["lesion"])["lesion"]
    assert lesion.fpv == pytest.approx(2 * 0.012)
    assert lesion.fnv == pytest.approx(3 * 0.012)
    assert np.isnan(measure(prediction, reference, lesions=["lesion"])["liver"].fpv)


def test_status_tells_missed_from_hallucinated_from_absent():
    prediction, reference = np.zeros((2, 4, 4, 4), np.uint8)
    prediction[0, 0, 0], reference[1, 1, 1] = 1, 2
    measured = measure(prediction, reference)
    assert [measured[organ].status for organ in ORGANS] == ["hallucinated", "missed", "absent", "found"]


def test_nothing_counts_where_the_reference_is_ignored():
    reference, prediction = label_map(0), label_map(0)
    reference[5] = 9
    prediction[5] = 1
    measured = measure(prediction, reference, ignore_label=9)
    assert measured["liver"].overlap.dice == measured["spleen"].overlap.dice == 1
    values = measured["liver"].values
    assert values["TP"] + values["FP"] + values["FN"] + values["TN"] == reference.size - reference[5].size
