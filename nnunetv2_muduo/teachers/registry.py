"""Which kinds of teachers there are: ours, those of other installed packages, and those a script registers."""

from collections.abc import Iterable
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from torch import nn

from nnunetv2_muduo.errors import UserError
from nnunetv2_muduo.teachers.protocol import TeacherSpec

ENTRY_POINT_GROUP = "nnunetv2_muduo.teachers"
PROTOCOL = "nnunetv2_muduo.teachers.PromptableTeacher"  # `help` of it comes with every installation
# imported when asked for: a teacher that is not used costs nothing
_OWN = {
    "Sam3D": "nnunetv2_muduo.teachers.sam3d:Sam3D",
    "ClickUNet": "nnunetv2_muduo.teachers.click_unet:ClickUNet",
}
_registered: dict[str, type[nn.Module]] = {}  # the one global of this room: a registry is one by nature


def register_architecture(model: type[nn.Module]) -> type[nn.Module]:
    """Make a promptable model known by the name of its class, for as long as this process lives; also a decorator.

    For scripts and tests. Trainers run in processes of their own: a package that adds a teacher declares an entry point
    in the group "nnunetv2_muduo.teachers" instead, whose name is that of the class.

    Args:
        model: a module that follows `PromptableTeacher`, is built as `model(config)`, keeps it as `config`, and whose
            class attribute `config_class` has `from_dict`, and its instances `to_dict` (plain numbers, texts, lists).

    Returns:
        The model, unchanged.

    Raises:
        UserError: naming what the class lacks, or when another class of this name is known.
    """
    name = model.__name__
    _check_class(model)
    other = _registered.get(name)
    if name in _OWN or (other is not None and other is not model):
        raise UserError(f"There already is a teacher architecture called {name}; give the class another name.")
    _registered[name] = model
    return model


def known_architectures() -> tuple[str, ...]:
    """Names of all architectures; those of other packages are not imported for it."""
    return tuple(dict.fromkeys([*_OWN, *_registered, *(found.name for found in _entry_points())]))


def find_architecture(name: str) -> type[nn.Module]:
    """The model class of an architecture.

    Raises:
        UserError: when none is called so, two packages offer one, it cannot be imported, or it is no teacher.
    """
    if name in _registered:
        return _registered[name]
    references = [EntryPoint(name, _OWN[name], ENTRY_POINT_GROUP)] if name in _OWN else []
    references += _entry_points(name)
    if not references:
        raise UserError(
            f"No installed package offers a teacher of kind '{name}', known are {_listed()}; install the package with "
            f"the class {name}, which needs an entry point of that name in the group {ENTRY_POINT_GROUP}."
        )
    if len({reference.value for reference in references}) > 1:
        offers = " and ".join(sorted(reference.value for reference in references))
        raise UserError(f"Teachers of kind '{name}' are offered twice, by {offers}; uninstall one of the packages.")
    return _loaded(references[0])


def check_teacher(teacher: nn.Module) -> None:
    """Refuse a model whose `spec` does not tell what it expects.

    Raises:
        UserError: naming the class.
    """
    if not isinstance(getattr(teacher, "spec", None), TeacherSpec):
        raise UserError(
            f"{type(teacher).__name__} is no teacher: its attribute `spec` must be a TeacherSpec of "
            "nnunetv2_muduo.teachers, which tells the size and spacing of its cube; set it in the class's __init__."
        )


def _entry_points(name: str | None = None) -> Iterable[EntryPoint]:
    return entry_points(group=ENTRY_POINT_GROUP) if name is None else entry_points(group=ENTRY_POINT_GROUP, name=name)


def _loaded(reference: EntryPoint) -> type[nn.Module]:
    module, _, attribute = reference.value.partition(":")
    try:
        model: Any = import_module(module)
        for part in attribute.split("."):
            model = getattr(model, part)
    except Exception as error:  # another package's code may fail in any way
        raise UserError(
            f"The teacher architecture '{reference.name}' cannot be imported from {reference.value} "
            f"({type(error).__name__}: {error}); correct or uninstall the package that offers it."
        ) from error
    _check_class(model)
    if model.__name__ != reference.name:
        raise UserError(
            f"The entry point '{reference.name}' of {reference.value} must be called like the class, {model.__name__}."
        )
    return model


def _check_class(model: object) -> None:
    """Refuse what cannot be a teacher, before it is built."""
    if not (isinstance(model, type) and issubclass(model, nn.Module)):
        raise UserError(
            f"{model!r} is no teacher: it must be a subclass of torch.nn.Module; wrap your model in one that follows "
            f"{PROTOCOL}."
        )
    lacks = [f"method `{method}`" for method in ("encode", "decode") if not callable(getattr(model, method, None))]
    config = getattr(model, "config_class", None)
    if not (callable(getattr(config, "from_dict", None)) and callable(getattr(config, "to_dict", None))):
        lacks.append("class attribute `config_class` with `from_dict` and `to_dict`")
    if lacks:
        raise UserError(
            f"{model.__name__} is no teacher: it lacks the {' and the '.join(lacks)}; add what {PROTOCOL} and "
            "register_architecture describe."
        )


def _listed() -> str:
    return ", ".join(known_architectures())
