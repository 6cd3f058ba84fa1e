from pathlib import Path

import numpy as np
import SimpleITK
from numpy.random import SeedSequence

from nnunetv2_muduo.datasets.difficulty import USUAL, Difficulty
from nnunetv2_muduo.datasets.phantom import draw_phantom
from nnunetv2_muduo.datasets.simulated_dataset import organ_labels, write_scan
from nnunetv2_muduo.datasets.tissues import Tissue

SPACING = (16.0, 16.0, 16.0)


def write(folder: Path, *, difficulty: Difficulty = USUAL, seed: int = 0, **changes) -> list[np.ndarray]:
    folder.mkdir(exist_ok=True)
    write_scan(
        folder,
        "case",
        group="labelled",
        draw_tissues=lambda rng: draw_phantom(rng, spacing_in_mm=SPACING).tissues,
        seed=SeedSequence(seed),
        spacing_in_mm=SPACING,
        difficulty=difficulty,
        **changes,
    )
    files = ("imagesTr/case_0000.nii.gz", "imagesTr/case_0001.nii.gz", "labelsTr/case.nii.gz")
    return [SimpleITK.GetArrayFromImage(SimpleITK.ReadImage(str(folder / file))) for file in files]


def test_a_varied_field_of_view_cuts_images_and_labels_alike(tmp_path):
    cut = 0
    for seed in range(6):
        whole = write(tmp_path / f"whole_{seed}", seed=seed)
        part = write(tmp_path / f"part_{seed}", seed=seed, difficulty=Difficulty(varied_field_of_view=True))
        assert len({array.shape for array in part}) == 1
        starts = [
            z for z in range(len(whole[0]) - len(part[0]) + 1) if (whole[0][z : z + len(part[0])] == part[0]).all()
        ]
        assert len(starts) == 1
        for all_of_it, shown in zip(whole, part, strict=True):
            np.testing.assert_array_equal(all_of_it[starts[0] : starts[0] + len(shown)], shown)
        cut += len(part[0]) < len(whole[0])
    assert cut >= 2


def test_labels_are_those_that_were_asked_for(tmp_path):
    usual = write(tmp_path / "usual")[2]
    brain = write(tmp_path / "brain", labels_of=lambda tissues: (tissues == Tissue.BRAIN).astype(np.uint8))[2]
    tissues = draw_phantom(np.random.default_rng(SeedSequence(0)), spacing_in_mm=SPACING).tissues
    np.testing.assert_array_equal(usual, organ_labels(tissues))
    np.testing.assert_array_equal(brain, tissues == Tissue.BRAIN)
