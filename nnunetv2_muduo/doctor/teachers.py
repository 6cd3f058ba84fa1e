"""Are the teachers' weights there?"""

from collections.abc import Mapping

from nnunetv2_muduo.doctor.check import Check, fail, ok, warn
from nnunetv2_muduo.errors import UserError


def check_teachers(named: Mapping[str, str | None]) -> list[Check]:
    """One check for each teacher, by the modality it sees; one that is switched off (None) needs no weights."""
    return [check_teacher(f"{modality} teacher", name) for modality, name in named.items()]


def check_teacher(what: str, name: str | None) -> Check:
    """Whether the weights called `name` are on this machine; nothing is downloaded."""
    from nnunetv2_muduo.teachers.weights import KNOWN_TEACHERS, find_weights

    if name is None:
        return ok(what, "switched off")
    try:
        return ok(what, f"{name}: {find_weights(name)}")
    except UserError as error:
        if name not in KNOWN_TEACHERS:
            return fail(what, str(error), "correct the setting: muduo plan --set; `muduo weights` lists known teachers")
        if KNOWN_TEACHERS[name].shipped:
            return fail(what, f"{name} is missing from the installation", "install nnunetv2-muduo again")
        return warn(what, f"{name} is not there yet", f"muduo weights {name} (else the trainer downloads it)")
