import pytest
import torch
from stub_teachers import EchoTeacher
from torch import Tensor, nn

from nnunetv2_muduo.semisupervised.answers import Patches
from nnunetv2_muduo.semisupervised.teaching import Teaching
from nnunetv2_muduo.settings import Settings

PATCH = (12, 16, 20)


class Generator(nn.Module):
    """Finds organ 1 where channel 1 is above one half, and never organ 2."""

    def forward(self, image: Tensor) -> Tensor:
        found = (image[:, 1:2] > 0.5).float() * 10
        return torch.cat([5 - found, found - 5, torch.full_like(found, -20.0)], dim=1)


def teaching(settings: Settings | None = None, *, axes: tuple[int, ...] = (0, 1, 2), **teachers) -> Teaching:
    """`axes` are those of the patches that it is given; its own are `PATCH` in that order."""
    chosen = {"ct": EchoTeacher(), "pet": EchoTeacher(), **teachers}
    return Teaching(
        chosen["ct"],
        chosen["pet"],
        prompt_generator=Generator(),
        settings=settings or Settings(),
        patch_size=[PATCH[axis] for axis in axes],
        spacing_in_mm=[(3.0, 2.0, 2.0)[axis] for axis in axes],
        channels=(0, 1),
        device=torch.device("cpu"),
        seed=0,
        axes=axes,
    )


@pytest.fixture
def patches() -> Patches:
    image = torch.zeros(2, 2, *PATCH)
    image[0, 1, 4:8, 6:11, 8:14] = 1.0
    image[:, 0] = torch.rand(2, *PATCH)
    return Patches(clean=image, raw=image * 100)


@pytest.fixture
def student() -> Tensor:
    probabilities = torch.full((2, 2, *PATCH), 0.02)
    probabilities[0, 0, 4:8, 6:11, 8:14] = 0.97
    probabilities[1, 1, 2:6, 2:6, 2:6] = 0.97
    return probabilities


def dice(a: Tensor, b: Tensor) -> float:
    return float(2 * (a & b).sum() / (a.sum() + b.sum()))


def test_ct_teacher_is_prompted_with_the_students_mask_and_answers_on_the_patch(patches, student):
    said = teaching().label(patches, student)
    assert said.p_ct.shape == (2, 2, *PATCH)
    assert dice(said.p_ct[0, 0] > 0.5, student[0, 0] > 0.5) > 0.8


def test_ct_teacher_is_prompted_by_the_generator_when_asked_for(patches, student):
    said = teaching(Settings(ct_prompt="generator")).label(patches, torch.zeros_like(student))
    assert dice(said.p_ct[0, 0] > 0.5, patches.clean[0, 1] > 0.5) > 0.8


def test_pet_teacher_gets_points_inside_the_generators_mask(patches, student):
    pet = EchoTeacher()
    teaching(pet=pet).label(patches, student)
    coords, labels = pet.prompts[0]["coords"], pet.prompts[0]["labels"]
    assert labels[0, 0].tolist() == [1, 1, 1]
    patch_zyx = (coords[0, 0].flip(-1) + 0.5) * torch.tensor(PATCH) / 16 - 0.5
    inside = patches.clean[0, 1] > 0.5
    assert all(inside[tuple(point.round().long())] for point in patch_zyx)


def test_an_organ_the_generator_did_not_find_is_invalid_and_improbable(patches, student):
    said = teaching().label(patches, student)
    assert said.valid.tolist() == [[True, False], [False, False]]
    assert said.p_pet[0, 1].max() < 0.01
    assert said.p_pet[0, 0].max() > 0.9


def test_each_teacher_sees_its_own_channel_in_xyz_order(patches, student):
    ct, pet = EchoTeacher(), EchoTeacher()
    teaching(ct=ct, pet=pet).label(patches, student)
    bright = pet.images[0][0, 0] > pet.images[0][0, 0].mean()
    centre = bright.nonzero().float().mean(0)
    expected_zyx = (patches.clean[0, 1] > 0).nonzero().float().mean(0)
    expected_xyz = ((expected_zyx + 0.5) * 16 / torch.tensor(PATCH) - 0.5).flip(0)
    assert torch.allclose(centre, expected_xyz, atol=0.6)
    assert not torch.allclose(ct.images[0], pet.images[0])


def test_a_switched_off_teacher_is_replaced_by_the_other(patches, student):
    only_ct = teaching(pet=None).label(patches, student)
    assert only_ct.p_pet is None
    assert only_ct.streams[1] is only_ct.p_ct
    only_pet = teaching(ct=None).label(patches, student)
    assert only_pet.p_ct is None


def test_same_seed_gives_the_same_labels(patches, student):
    first, second = (teaching(Settings(point_strategy="random")).label(patches, student) for _ in range(2))
    assert torch.equal(first.p_pet, second.p_pet)


def test_published_points_are_the_first_voxels_of_the_patch_in_raster_order(patches, student):
    pet = EchoTeacher()
    teaching(Settings(point_strategy="first"), pet=pet).label(patches, student)
    patch_zyx = (pet.prompts[0]["coords"][0, 0].flip(-1) + 0.5) * torch.tensor(PATCH) / 16 - 0.5
    assert patch_zyx.round().tolist() == [[4, 6, 8], [4, 6, 9], [4, 6, 10]]


@pytest.mark.parametrize("grid", ["patch", "1.5mm"])
def test_published_points_are_the_same_voxels_however_scans_are_stored_and_plans_order_the_axes(patches, student, grid):
    def first_points(stored: str, mirrored: tuple[int, ...], axes: tuple[int, ...] = (0, 1, 2)) -> Tensor:
        def turned(volumes: Tensor) -> Tensor:
            return volumes.flip([axis + 2 for axis in mirrored]).permute(0, 1, *(axis + 2 for axis in axes))

        pet = EchoTeacher()
        given = Patches(turned(patches.clean), turned(patches.raw), orientations=[stored] * 2)
        teaching(Settings(point_strategy="first", grid=grid), axes=axes, pet=pet).label(given, turned(student))
        return pet.prompts[0]["coords"]

    expected = first_points("RAS", ())  # as the teacher knows it
    for stored, mirrored in (("LPS", (1, 2)), ("RAI", (0,)), ("LPI", (0, 1, 2))):
        for axes in ((0, 1, 2), (2, 0, 1), (1, 2, 0)):
            torch.testing.assert_close(first_points(stored, mirrored, axes), expected)
    one = expected[(expected != 0).flatten(1).any(1)][0, 0]
    assert len(one[:, 2].unique()) == 1, "one axial slice"


def test_tiles_get_points_of_their_own(patches, student):
    pet = EchoTeacher()
    said = teaching(Settings(grid="1.5mm"), pet=pet).label(patches, student)
    labels = pet.prompts[0]["labels"]
    assert len(labels) > 2
    assert (labels[:, 0] == 1).any(1).sum() > 1
    assert dice(said.p_pet[0, 0] > 0.5, patches.clean[0, 1] > 0.5) > 0.2


@pytest.mark.parametrize("ct", [EchoTeacher(), None])
def test_an_organ_too_small_for_a_point_on_the_tiles_is_invalid_not_absent(ct: EchoTeacher | None):
    asked_of_tiles = Teaching(
        ct,
        EchoTeacher(),
        prompt_generator=Generator(),
        settings=Settings(grid="1.5mm"),
        patch_size=(24, 32, 32),
        spacing_in_mm=(1.0, 1.0, 1.0),
        channels=(0, 1),
        device=torch.device("cpu"),
    )
    image = torch.zeros(2, 2, 24, 32, 32)
    image[0, 1, 11, 13, 15:17] = 1.0  # two voxels of 1 mm, less than half of any voxel of 1.5 mm
    image[1, 1, 11:17, 13:19, 13:19] = 1.0
    said = asked_of_tiles.label(Patches(image, image), torch.zeros(2, 2, 24, 32, 32))
    assert said.generator[:, 0].flatten(1).any(1).all(), "found in both patches"
    assert said.valid[:, 0].tolist() == [False, True]


def test_answers_about_something_else_than_the_prompt_are_not_used(patches, student):
    elsewhere = student.roll(8, dims=3)  # the CT teacher echoes it; the PET teacher is off
    for least, used in ((0.0, True), (0.2, False)):
        settings = Settings(min_prompt_iou=least, pet_teacher=None)
        assert bool(teaching(settings, pet=None).label(patches, elsewhere).valid[0, 0]) is used
    confirmed = teaching(Settings(min_prompt_iou=0.2, pet_teacher=None), pet=None).label(patches, student)
    assert confirmed.valid.tolist() == [[True, False], [False, False]]


def test_a_teacher_that_outlines_something_else_is_left_out_where_the_other_does_not(patches, student):
    elsewhere = student.roll(8, dims=3)  # the CT teacher echoes it; the PET teacher answers to the generator
    for fusion, used in (("mean", False), ("report", True)):
        said = teaching(Settings(min_prompt_iou=0.2, fusion=fusion)).label(patches, elsewhere)
        assert bool(said.valid[0, 0]) is used
    assert torch.equal(said.fused[0, 0], said.p_pet[0, 0] > 0.5)
    assert not said.fused[1].any()


@pytest.mark.parametrize(("share", "chosen"), [(1.0, "p_ct"), (0.0, "p_pet")])
def test_an_organ_may_be_labelled_by_one_teacher_alone_and_is_judged_by_its_answer(patches, student, share, chosen):
    elsewhere = student.roll(8, dims=3)
    asked = teaching(Settings(min_prompt_iou=0.2, fusion="report"))
    said = asked.label(patches, elsewhere, ct_share=torch.tensor([share, 0.5]))
    assert bool(said.valid[0, 0]) is (chosen == "p_pet")
    without_threshold = teaching(Settings(fusion="report")).label(patches, student, ct_share=torch.tensor([share, 0.5]))
    assert torch.equal(without_threshold.fused[0, 0], getattr(without_threshold, chosen)[0, 0] > 0.5)


@pytest.mark.parametrize("fusion", ["mean", "report"])
def test_the_prompts_may_label_an_organ_in_the_place_of_both_teachers(patches, student, fusion):
    elsewhere = student.roll(8, dims=3)  # the CT teacher echoes it: nobody's answer about the first organ is used
    asked = teaching(Settings(min_prompt_iou=0.9, fusion=fusion))
    by_teachers = asked.label(patches, elsewhere)
    by_prompts = asked.label(patches, elsewhere, by_prompts=torch.tensor([True, False]))
    assert not by_teachers.fused[0, 0].any()
    assert torch.equal(by_prompts.fused[0, 0], by_prompts.generator[0, 0])
    assert by_prompts.generator[0, 0].any()
    assert torch.equal(by_prompts.fused[:, 1], by_teachers.fused[:, 1])
    first, second = by_prompts.streams
    assert torch.equal(first[0, 0], second[0, 0]), "which the consensus filter takes for full agreement"


def test_nobody_chooses_between_a_teacher_and_none():
    assert teaching(Settings(fusion="report")).chooses
    assert not teaching(Settings(fusion="report", pet_teacher=None), pet=None).chooses
    assert not teaching(Settings(fusion="mean")).chooses


def label_at_once(asked: Teaching, patches: Patches, student: Tensor) -> tuple[Tensor, Tensor]:
    """Both teachers asked plainly, one after the other, nothing kept."""
    found = asked.prompt_generator(patches.clean)
    masks = found.argmax(1, keepdim=True) == torch.tensor([1, 2]).view(1, 2, 1, 1, 1)
    valid = masks.flatten(2).any(2).repeat_interleave(asked.ct_view.n_cubes, dim=0)
    ct_masks = found.softmax(1)[:, 1:] if asked.settings.ct_prompt == "generator" else student
    cubes = asked.ct_view.images(patches.raw[:, :1])
    answer = asked.dual.ct_logits(cubes, asked.ct_view.low_resolution_masks(ct_masks), valid=valid)
    cubes = asked.pet_view.images(patches.raw[:, 1:])
    coords, labels = asked._place_points(asked.pet_view, patches.raw[:, 1:], cubes, masks)
    by_pet = asked.dual.pet_logits(cubes, coords, labels)
    p_ct = asked.ct_view.back(answer, valid).sigmoid()
    return p_ct, asked.pet_view.back(by_pet, (labels == 1).any(2)).sigmoid()


@pytest.mark.parametrize("grid", ["patch", "1.5mm"])
@pytest.mark.parametrize("ct_prompt", ["student", "generator"])
def test_gathering_first_and_concluding_later_equals_asking_at_once(patches, student, grid, ct_prompt):
    settings = Settings(grid=grid, ct_prompt=ct_prompt, point_strategy="centroid")
    evidence = teaching(settings).gather(patches)
    assert (evidence.ct is None) is (ct_prompt == "generator")
    later = teaching(settings)
    expected = label_at_once(teaching(settings), patches, student)
    for said in (later.conclude(evidence, student), later.label(patches, student)):
        assert torch.equal(said.p_ct, expected[0])
        assert torch.equal(said.p_pet, expected[1])
        assert said.valid.tolist() == [[True, False], [False, False]]
    assert (expected[0] > 0.5).any()
    assert (expected[1] > 0.5).any()


def test_a_patch_without_organs_is_encoded_by_no_teacher(patches, student):
    ct, pet = EchoTeacher(), EchoTeacher()
    teaching(ct=ct, pet=pet).label(patches, student)
    alone = EchoTeacher()
    bare = Teaching(
        alone, None, prompt_generator=None, settings=Settings(pet_teacher=None), patch_size=PATCH,
        spacing_in_mm=(3.0, 2.0, 2.0), channels=(0, 1), device=torch.device("cpu"), seed=0,
    )  # fmt: skip
    bare.label(patches, torch.where(torch.tensor([True, False]).view(2, 1, 1, 1, 1), student, 0.0))
    assert [len(images) for images in ct.images + pet.images + alone.images] == [1, 1, 1]
    assert len(bare.gather(patches).ct.images) == 2


@pytest.mark.parametrize("axes", [(1, 0, 2), (2, 0, 1)])
@pytest.mark.parametrize("settings", [{"ct_prompt": "generator"}, {"ct_prompt": "student", "grid": "1.5mm"}])
def test_teachers_see_transposed_patches_as_they_see_others(patches, student, axes: tuple[int, ...], settings: dict):
    def turned(volumes: Tensor) -> Tensor:
        return volumes.permute(0, 1, *(axis + 2 for axis in axes))

    plain, other = teaching(Settings(**settings)), teaching(Settings(**settings), axes=axes)
    expected = plain.label(patches, student)
    found = other.label(Patches(clean=turned(patches.clean), raw=turned(patches.raw)), turned(student))
    assert torch.equal(found.valid, expected.valid)
    assert torch.equal(found.p_ct, turned(expected.p_ct))
    for mine, theirs in zip(other.dual.ct.prompts, plain.dual.ct.prompts, strict=True):
        assert torch.equal(mine["masks"], theirs["masks"])
    assert dice(found.fused, turned(expected.fused)) > 0.9  # points are spread from the other end


@pytest.mark.parametrize("grid", ["patch", "1.5mm"])
@pytest.mark.parametrize("ct_prompt", ["student", "generator"])
def test_teachers_see_mirrored_patches_as_they_see_others(patches, student, grid: str, ct_prompt: str):
    def mirrored(volumes: Tensor) -> Tensor:
        return torch.cat([volumes[:1].flip(-2, -1), volumes[1:]])  # of RAS, the teachers' own, to LPS and RAS

    settings = Settings(grid=grid, ct_prompt=ct_prompt, point_strategy="centroid")
    plain, other = teaching(settings), teaching(settings)
    expected = plain.label(patches, student)
    given = Patches(mirrored(patches.clean), mirrored(patches.raw), orientations=["LPS", "RAS"])
    found = other.label(given, mirrored(student))
    assert torch.equal(found.valid, expected.valid)
    torch.testing.assert_close(found.p_ct, mirrored(expected.p_ct), atol=1e-5, rtol=1e-5)
    assert dice(found.p_pet > 0.5, mirrored(expected.p_pet) > 0.5) > 0.8  # the middle voxel of two is the other one
    for mine, theirs in zip((other.dual.ct, other.dual.pet), (plain.dual.ct, plain.dual.pet), strict=True):
        torch.testing.assert_close(mine.images[0], theirs.images[0], atol=1e-5, rtol=1e-5)
    assert expected.valid.any()


def test_teaching_knows_what_it_has_to_mirror_and_what_no_mirror_puts_right():
    both = teaching()
    assert [both.mirrors(stored) for stored in (None, "RAS", "LPS", "SAR")] == [False, False, True, False]
    assert [both.in_other_order(stored) for stored in (None, "RAS", "LPS", "SAR")] == [False, False, False, True]
