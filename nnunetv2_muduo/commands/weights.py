"""`muduo weights`: which teachers are here, and fetch one."""

from argparse import ArgumentParser, Namespace

from nnunetv2_muduo.commands.command import Command
from nnunetv2_muduo.errors import UserError


def _add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("name", nargs="?", metavar="NAME", help="teacher to download (default: list all)")


def _run(arguments: Namespace) -> None:
    from nnunetv2_muduo.teachers.weights import find_weights

    if arguments.name is None:
        print(_list())
    else:
        print(find_weights(arguments.name, download=True))


def _list() -> str:
    """One line a known teacher: its name, what it looks at, where its weights are or how to get them."""
    from nnunetv2_muduo.teachers.weights import KNOWN_TEACHERS, weights_folder

    width = max(map(len, KNOWN_TEACHERS))
    lines = [
        f"{name:<{width}}  {teacher.modality:<3}  {_state(name, teacher.repository)}"
        for name, teacher in KNOWN_TEACHERS.items()
    ]
    return "\n".join([*lines, f"Weights folder: {weights_folder()} (MUDUO_WEIGHTS names another)"])


def _state(name: str, repository: str | None) -> str:
    from nnunetv2_muduo.teachers.weights import find_weights

    try:
        return f"found    {find_weights(name)}"
    except UserError:
        source = f"`muduo weights {name}` downloads it from {repository}" if repository else "install the package again"
        return f"missing  {source}"


COMMAND = Command(
    name="weights",
    summary="list the teachers' weights, or download one",
    description=(
        "List the known teachers and where their weights are, or download those of one teacher into the folder named\n"
        "by the environment variable MUDUO_WEIGHTS, else into your account's cache folder. Interrupted downloads go on."
    ),
    example="  muduo weights sam_med3d_turbo",
    add_arguments=_add_arguments,
    run=_run,
)
