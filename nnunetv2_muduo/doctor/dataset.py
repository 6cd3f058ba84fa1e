"""Is the dataset one that MuDuo can train on, planned and preprocessed?"""

from pathlib import Path

from nnunetv2_muduo.datasets.lesion_names import told_lesions_taught
from nnunetv2_muduo.datasets.sides import left_and_right, told_pairs
from nnunetv2_muduo.doctor.check import Check, fail, ok, plans_option, warn
from nnunetv2_muduo.doctor.folds import check_folds
from nnunetv2_muduo.errors import UserError
from nnunetv2_muduo.nnunet_files import OF_SCANS_AND_LABELS, read_dataset_json, read_plans_file
from nnunetv2_muduo.nnunet_folders import check_configuration
from nnunetv2_muduo.presets import planning_command
from nnunetv2_muduo.settings import Settings

_OF_TRAININGS = (*OF_SCANS_AND_LABELS, "regions_class_order")  # entries that a training goes by


def check_channels(dataset_json: dict, settings: Settings) -> Check:
    """Whether dataset.json (or the settings) tell which channel is CT and which PET, and nnU-Net takes CT for CT."""
    from nnunetv2_muduo.cases.channels import channel_names, find_channels

    try:
        ct, pet = find_channels(dataset_json, settings)
    except UserError as error:
        remedy = "give every scan a CT and a PET channel, called so in dataset.json, or name them by settings"
        return fail("channels", str(error), f"{remedy} (ct_channel, pet_channel)")
    names = channel_names(dataset_json)
    found = f"CT is channel {ct} ('{names[ct]}'), PET is channel {pet} ('{names[pet]}')"
    if names[ct].casefold() != "ct":
        found += (
            "; nnU-Net plans the normalisation of CT for channels called CT alone, for this one z-scores of each scan"
        )
        return warn("channels", found, 'call it "CT" in dataset.json before planning, unless z-scores are meant')
    return ok("channels", found)


def check_labels(dataset_json: dict) -> Check:
    """Whether there is a background, and every label is one integer: regions are not supported.

    An organ's may stand in a list, as in nnU-Net.
    """
    labels = dataset_json["labels"]
    if "background" not in labels:
        return fail("labels", "there is no background", 'add "background": 0 to the labels of dataset.json')
    regions = [
        name
        for name, value in labels.items()
        if isinstance(value, list | tuple) and (len(value) != 1 or name in ("background", "ignore"))
    ]
    if regions:
        found = f"region-based: {', '.join(regions)}"
        return fail("labels", found, "give every label of dataset.json one integer; pseudo-labels come organ by organ")
    organs = [name for name in labels if name not in ("background", "ignore")]
    return ok("labels", f"{len(organs)} organ(s): {', '.join(organs)}")


def check_sides(dataset_json: dict, settings: Settings, *, command: str) -> list[Check]:
    """Whether a training mirrors organs that have a label for each side; no check where there are none.

    Args:
        dataset_json: with the labels.
        settings: of the plans.
        command: `muduo plan` of these plans.
    """
    if not (pairs := left_and_right(dataset_json["labels"])):
        return []
    name, found = "left and right", told_pairs(pairs)
    if settings.mirroring:
        return [
            warn(name, f"{found} are mirrored into each other (setting mirroring)", f"{command} --set mirroring=false")
        ]
    return [ok(name, f"{found} are not mirrored")]


def check_lesions(dataset_json: dict, settings: Settings, *, command: str) -> list[Check]:
    """Whether lesions are learnt from teachers that nobody judges; no check where they are not. See `check_sides`."""
    told = told_lesions_taught(dataset_json["labels"], reliability=settings.reliability)
    return [warn("lesions", told, f"{command} --set reliability=report min_prompt_iou=0.2")] if told else []


def check_plans(
    preprocessed_folder: Path, plans_identifier: str, *, configuration: str, dataset_json: dict
) -> tuple[Check, dict | None]:
    """Whether there are plans with this configuration and settings that are valid; also returns the plans."""
    from nnunetv2_muduo.semisupervised.refusals import refuse_unsupported

    number = int(preprocessed_folder.name[7:10])
    file = preprocessed_folder / f"{plans_identifier}.json"
    if not file.is_file():
        return fail("plans", f"{file} is missing", planning_command(number, plans_identifier)), None
    try:
        plans = read_plans_file(file)
        check_configuration(plans, configuration)
        Settings.from_plans(plans)
        refuse_unsupported("nnUNetTrainerMuDuo", plans, configuration, dataset_json)
    except UserError as error:
        command = f"muduo plan -d {number}{plans_option('-p', plans_identifier)}"
        return fail("plans", str(error), f"name other plans (-p, -c), or change these: {command}"), None
    given = plans.get("muduo", {})
    settings = ", ".join(f"{key}={value}" for key, value in given.items()) or "all settings at their defaults"
    return ok("plans", f"{plans_identifier}, {configuration} ({settings})"), plans


def check_copy(preprocessed_folder: Path, dataset_json: dict, *, configuration: str) -> list[Check]:
    """Whether what trainings read, the copy that planning made, still is this dataset.json; no check where it is."""
    file = preprocessed_folder / "dataset.json"
    remedy = (
        f"nnUNetv2_plan_and_preprocess -d {int(preprocessed_folder.name[7:10])} -c {configuration}; "
        "new plans have no settings: repeat muduo plan"
    )
    try:
        copy, today = (
            {"channel_names": told.get("modality"), **told} for told in (read_dataset_json(file), dataset_json)
        )
    except UserError as error:
        return [fail("dataset.json", str(error), remedy)]
    if changed := [key for key in _OF_TRAININGS if copy.get(key) != today.get(key)]:
        found = f"{', '.join(changed)} changed since planning: trainings read the copy of then, {file}"
        return [fail("dataset.json", found, remedy)]
    return []


def planned_settings(preprocessed_folder: Path, plans_identifier: str) -> Settings | None:
    """The settings of plans, refused or not; the defaults where there are none yet, None where nobody can read them."""
    file = preprocessed_folder / f"{plans_identifier}.json"
    try:
        return Settings.from_plans(read_plans_file(file)) if file.is_file() else Settings()
    except UserError:
        return None


def check_preprocessed(
    preprocessed_folder: Path, plans_identifier: str, *, plans: dict, configuration: str, dataset_json: dict
) -> list[Check]:
    """Whether nnU-Net has preprocessed every labelled case for this configuration, and whether there are folds."""
    cases, total = labelled_cases(preprocessed_folder, plans, configuration), int(dataset_json["numTraining"])
    ready = len(cases)
    named = plans_option("-plans_name", plans_identifier)
    command = f"nnUNetv2_preprocess -d {int(preprocessed_folder.name[7:10])}{named} -c {configuration}"
    if ready == 0:
        return [fail("labelled preprocessed", f"0 of {total}", command)]
    check = ok("labelled preprocessed", f"{ready} of {total}")
    if ready != total:
        counted = f"{ready}, but dataset.json counts {total}"
        check = warn("labelled preprocessed", counted, f"{command}, if not intended")
    return [check, check_folds(preprocessed_folder, cases)]


def labelled_cases(preprocessed_folder: Path, plans: dict, configuration: str) -> list[str]:
    """Names of those that nnU-Net has preprocessed for this configuration."""
    from nnunetv2.utilities.plans_handling.plans_handler import PlansManager

    from nnunetv2_muduo.cases.preprocessed import preprocessed_cases

    identifier = PlansManager(plans).get_configuration(configuration).data_identifier
    return preprocessed_cases(preprocessed_folder / identifier)
