"""One generalist, whichever modality it sees and however it is asked."""

import pytest
import torch
from stub_teachers import EchoTeacher
from torch import Tensor

from nnunetv2_muduo.semisupervised.answers import Patches
from nnunetv2_muduo.semisupervised.generalist_teaching import GeneralistTeaching
from nnunetv2_muduo.settings import Settings

PATCH = (12, 16, 20)


def teaching(teacher: EchoTeacher, **settings) -> GeneralistTeaching:
    return GeneralistTeaching(
        teacher,
        settings=Settings(**settings),
        patch_size=PATCH,
        spacing_in_mm=(3.0, 2.0, 2.0),
        channels=(0, 1),
        device=torch.device("cpu"),
        seed=0,
    )


@pytest.fixture
def patches() -> Patches:
    """CT has one voxel of metal, PET a hot box."""
    image = torch.zeros(2, 2, *PATCH)
    image[:, 0] = torch.rand(2, *PATCH, generator=torch.Generator().manual_seed(0))
    image[:, 0, 3, 3, 3] = 90.0
    image[:, 1, 4:8, 6:11, 8:14] = 1.0
    return Patches(clean=image, raw=image * 100)


@pytest.fixture
def student() -> Tensor:
    """Sees the first organ in the first patch, the second in the second."""
    probabilities = torch.full((2, 2, *PATCH), 0.02)
    probabilities[0, 0, 4:8, 6:11, 8:14] = 0.97
    probabilities[1, 1, 2:6, 2:6, 2:6] = 0.97
    return probabilities


def dice(a: Tensor, b: Tensor) -> float:
    return float(2 * (a & b).sum() / (a.sum() + b.sum()))


@pytest.mark.parametrize("generalist", ["ct", "pet"])
@pytest.mark.parametrize("prompt", ["mask", "points"])
def test_the_student_prompts_for_what_it_sees_and_nothing_else(patches, student, generalist, prompt):
    teacher = EchoTeacher()
    said = teaching(teacher, generalist=generalist, generalist_prompt=prompt).label(patches, student)
    assert said.valid.tolist() == [[True, False], [False, True]]
    answer, off = (said.p_ct, said.p_pet) if generalist == "ct" else (said.p_pet, said.p_ct)
    assert off is None
    assert said.generator is None
    assert answer.shape == (2, 2, *PATCH)
    assert said.streams[0] is said.streams[1] is answer
    assert answer[0, 1].max() < 0.01, "an organ that was not asked for"
    if prompt == "mask":
        assert dice(answer[0, 0] > 0.5, student[0, 0] > 0.5) > 0.8
        assert teacher.prompts[0]["coords"] is None
    else:
        coords, labels = teacher.prompts[0]["coords"], teacher.prompts[0]["labels"]
        assert labels[0, 0].tolist() == [1, 1, 1]
        zyx = (coords[0, 0].flip(-1) + 0.5) * torch.tensor(PATCH) / 16 - 0.5
        assert all(student[0, 0][tuple(point.round().long())] > 0.5 for point in zyx)


@pytest.mark.parametrize("prompt", ["mask", "points"])
def test_it_sees_its_own_channel_and_metal_is_clamped_in_ct_alone(patches, student, prompt):
    seen = {}
    for generalist in ("ct", "pet"):
        teacher = EchoTeacher()
        teaching(teacher, generalist=generalist, generalist_prompt=prompt).label(patches, student)
        seen[generalist] = teacher.images[0][0, 0]
    box = seen["pet"] > seen["pet"].mean()
    assert 0.03 < box.float().mean() < 0.3, "PET shows the box"
    peak = (seen["ct"] - seen["ct"].mean()).max() / seen["ct"].std()
    raw_peak = 9000 / (patches.raw[0, 0].std())
    assert peak < 0.7 * raw_peak, "the metal was cut at 1000 HU"


def test_points_follow_the_settings(patches, student):
    teacher = EchoTeacher()
    teaching(teacher, generalist_prompt="points", points=5, point_strategy="first").label(patches, student)
    zyx = (teacher.prompts[0]["coords"][0, 0].flip(-1) + 0.5) * torch.tensor(PATCH) / 16 - 0.5
    assert zyx.round().tolist() == [[4, 6, x] for x in range(8, 13)]


@pytest.mark.parametrize("prompt", ["mask", "points"])
def test_a_student_that_sees_nothing_asks_nothing(patches, student, prompt):
    teacher = EchoTeacher()
    said = teaching(teacher, generalist_prompt=prompt).label(patches, torch.zeros_like(student))
    assert not said.valid.any()
    assert not teacher.images
    assert said.p_ct.max() < 0.01


def test_answers_about_something_else_than_the_prompt_are_not_used(patches, student):
    asked = teaching(EchoTeacher(), generalist_prompt="points", points=1, min_prompt_iou=0.9)
    assert not asked.label(patches, student).valid.any(), "a ball is no box"


@pytest.mark.parametrize("prompt", ["mask", "points"])
def test_a_scan_that_is_stored_mirrored_is_shown_straight(patches, student, prompt):
    def mirrored(volumes: Tensor) -> Tensor:
        return volumes.flip(-2, -1)  # of RAS, which the teacher knows, to LPS

    straight, other = EchoTeacher(), EchoTeacher()
    settings = {"generalist_prompt": prompt, "point_strategy": "centroid"}
    expected = teaching(straight, **settings).label(patches, student)
    given = Patches(mirrored(patches.clean), mirrored(patches.raw), ["LPS", "LPS"])
    found = teaching(other, **settings).label(given, mirrored(student))
    torch.testing.assert_close(other.images[0], straight.images[0], atol=1e-5, rtol=1e-5)
    least = 0.7 if prompt == "points" else 1.0  # the middle voxel of two is the other one
    assert dice(found.p_ct > 0.5, mirrored(expected.p_ct) > 0.5) >= least
