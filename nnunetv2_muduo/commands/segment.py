"""`muduo segment`: one scan, one teacher, and what you point at."""

from argparse import Action, ArgumentParser, Namespace
from pathlib import Path
from typing import Any

from nnunetv2_muduo.commands.command import Command, add_device_argument, chosen_device
from nnunetv2_muduo.errors import UserError


def _add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("scan", type=Path, help="NIfTI, MHA or NRRD file, or a folder with one DICOM series; HU or SUV")
    parser.add_argument(
        "-o", type=Path, required=True, metavar="MASK", help="label map to write, on the scan's own grid"
    )
    parser.add_argument(
        "--teacher", required=True, metavar="NAME", help="a name that `muduo weights` lists, or a file with weights"
    )
    _add_prompt_arguments(parser)
    parser.add_argument("--modality", choices=("CT", "PET"), help="needed for weights that do not say theirs")
    parser.add_argument("--series", metavar="UID", help="DICOM series, where the folder holds several")
    parser.add_argument("--figure", type=Path, metavar="PNG", help="draw the targets into this file")
    parser.add_argument("--most-windows", type=int, default=64, metavar="N", help="of one target (default: 64)")
    parser.add_argument(
        "--no-follow", action="store_true", help="one cube only, as published, whatever the target's size"
    )
    add_device_argument(parser)


def _add_prompt_arguments(parser: ArgumentParser) -> None:
    parser.add_argument(
        "--target", dest="target", action=_BeginTarget, metavar="NAME", help="the points after it belong to this target"
    )
    parser.add_argument(
        "--point",
        action=_AddPoint,
        nargs="+",
        metavar="X",
        help="x y z of a point inside the target, or x y z:0 of one outside; repeatable; --point=-12,40,7 also works",
    )
    parser.add_argument(
        "--space",
        choices=("voxel", "ras", "lps"),
        default="voxel",
        help="what --point means: voxel indices from 0 (default), mm as NIfTI viewers and 3D Slicer show them (ras), "
        "or mm as ITK and DICOM have them (lps)",
    )
    parser.add_argument(
        "--prompts", type=Path, metavar="FILE", help="points as JSON, or markups of 3D Slicer (.mrk.json)"
    )
    parser.add_argument(
        "--mask",
        type=Path,
        help="rough label map on the scan's grid; each label is a target. Points beside it say what is wrong with it: "
        "they belong to the label that their --target is called like, such as --target 3",
    )


class _BeginTarget(Action):
    """--target NAME: a new, empty list of points."""

    def __call__(self, parser: Any, namespace: Namespace, values: Any, option_string: str | None = None) -> None:
        namespace.target = [*(namespace.target or []), (values, [])]


class _AddPoint(Action):
    """--point: into the newest list; a first one is made where there is none."""

    def __call__(self, parser: Any, namespace: Namespace, values: Any, option_string: str | None = None) -> None:
        namespace.target = namespace.target or [("target", [])]
        namespace.target[-1][1].append(values)


def _run(arguments: Namespace) -> None:
    from nnunetv2_muduo.datasets.plausibility import intensity_warnings
    from nnunetv2_muduo.datasets.scan_header import tells_orientation
    from nnunetv2_muduo.datasets.scan_io import check_ending, read_intensities, read_label_map, write_image
    from nnunetv2_muduo.files import check_can_write, clear_away_left_behind_of

    check_ending(arguments.o)
    if arguments.figure is not None and arguments.figure.suffix.lower() != ".png":
        raise UserError(f"--figure {arguments.figure} is drawn as PNG; let its name end in .png.")
    if arguments.o.exists() and arguments.scan.exists() and arguments.o.samefile(arguments.scan):
        raise UserError(f"-o {arguments.o} is the scan itself, which would be lost; choose another name for the mask.")
    for file in filter(None, (arguments.o, arguments.figure)):
        clear_away_left_behind_of(file)
        check_can_write(file)
    device = chosen_device(arguments.device)
    targets = _targets(arguments)
    image = read_intensities(arguments.scan, series=arguments.series)
    rough = None if arguments.mask is None else read_label_map(arguments.mask)

    import SimpleITK as sitk

    from nnunetv2_muduo.interactive.segment import as_table, segment_scan
    from nnunetv2_muduo.teachers.weights import load_teacher, locate_teacher, modality_of

    name, folder = locate_teacher(arguments.teacher)
    modality = modality_of(name, folder=folder, given=arguments.modality)
    if modality == "PET" and arguments.scan.is_dir():
        image = _in_suv(image, arguments.scan, arguments.series)
    for warning in intensity_warnings(sitk.GetArrayViewFromImage(image), modality=modality):
        print(f"WARNING: {warning}")
    segmentation = segment_scan(
        image,
        load_teacher(name, folder=folder),
        modality=modality,
        targets=targets,
        rough_masks=rough,
        follow=not arguments.no_follow,
        most_windows=arguments.most_windows,
        device=device,
    )
    write_image(segmentation.labels, arguments.o)
    print(as_table(segmentation))
    print(f"Written: {arguments.o} ({segmentation.encoded} encoder passes)")
    if arguments.figure is not None:
        _draw(arguments.figure, image, segmentation, modality, oriented=tells_orientation(arguments.scan))
        print(f"Drawn: {arguments.figure}")


def _in_suv(pet: Any, folder: Path, series: str | None) -> Any:
    """A DICOM series by its tags; as it is, with a warning, where they do not tell: teachers z-score their input."""
    import SimpleITK as sitk

    from nnunetv2_muduo.datasets.dicom_suv import suv_factor_of_series
    from nnunetv2_muduo.datasets.scan_io import dicom_files

    try:
        factor = suv_factor_of_series([Path(file) for file in dicom_files(folder, series)])
    except UserError as error:
        print(f"WARNING: not converted to SUV, because {error}.")
        return pet
    return sitk.Cast(pet, sitk.sitkFloat32) * factor


def _targets(arguments: Namespace) -> list:
    """Everything that was pointed at; nothing where there is a rough mask alone."""
    from nnunetv2_muduo.interactive.prompts import Target, parse_point, read_prompts

    targets = [
        Target(name, [parse_point(words, space=arguments.space) for words in points])
        for name, points in arguments.target or []
    ]
    if arguments.prompts is not None:
        targets += read_prompts(arguments.prompts)
    if not targets and arguments.mask is None:
        raise UserError("Say what to segment: with points (--point, --prompts), with a rough --mask, or with both.")
    return targets


def _draw(path: Path, image: Any, segmentation: Any, modality: str, *, oriented: bool) -> None:
    import SimpleITK as sitk

    from nnunetv2_muduo.datasets.turning import Turn
    from nnunetv2_muduo.evaluation.mask_figure import draw_masks
    from nnunetv2_muduo.interactive.jobs import positions_of
    from nnunetv2_muduo.interactive.prompts import Target
    from nnunetv2_muduo.interactive.segment import names_of

    turn = Turn.of(image.GetDirection(), "LPS")
    scan, labels = (turn.there(sitk.GetArrayFromImage(which)) for which in (image, segmentation.labels))
    draw_masks(
        path,
        scan,
        labels,
        names=names_of(segmentation),
        points={
            target.label: positions_of(image, turn, Target(target.name, list(target.points)))
            for target in segmentation.targets
        },
        spacing_in_mm=turn.spacing(image.GetSpacing()[::-1]),
        modality=modality,
        oriented=oriented,
    )


COMMAND = Command(
    name="segment",
    summary="segment one scan from points or a rough mask with a promptable teacher",
    description=(
        "Segment what you point at in one CT (HU) or PET (SUV) scan and write a label map on the scan's own grid. The\n"
        "teacher sees a cube around the points at its own resolution, as published; masks that reach the cube's edge\n"
        "are followed into further cubes. Targets, in the order given, get the labels 1, 2, ...; those of a rough\n"
        "mask keep theirs."
    ),
    example=(
        "  muduo segment ct.nii.gz --teacher sam_med3d_turbo --target liver --point 200 180 95 -o mask.nii.gz\n"
        "  muduo segment ct.nii.gz --teacher sam_med3d_turbo --mask mask.nii.gz --point 120 170 90:0 -o better.nii.gz"
    ),
    add_arguments=_add_arguments,
    run=_run,
)
