"""The rooms of docs/architecture.md are those of the code, and imports go down the page only."""

import ast
import re
from pathlib import Path

from doc_pages import ROOT, text_of

PACKAGE = "nnunetv2_muduo"
HEAVY = {"torch": "torch", "nnU-Net": "nnunetv2"}
TABLE = re.findall(r"^\| (`.+?) \| .+ \| (.*)\|$", text_of(ROOT / "docs" / "architecture.md"), re.MULTILINE)
LEVELS = [re.findall(r"`(\w+)`", names) for names, _ in TABLE]
LEVEL_OF = {room: level for level, rooms in enumerate(LEVELS) for room in rooms}


def modules() -> dict[str, Path]:
    """Dotted name -> file of every module that is installed."""
    inner = {path: path.relative_to(ROOT) for path in (ROOT / PACKAGE).rglob("*.py")}
    outer = {path: Path(PACKAGE, path.relative_to(ROOT)) for path in (ROOT / "trainers").glob("*.py")}
    names = {".".join(place.with_suffix("").parts): path for path, place in {**inner, **outer}.items()}
    return {name.removesuffix(".__init__"): path for name, path in names.items() if name != f"{PACKAGE}.__init__"}


def imports_of(path: Path) -> set[str]:
    """Dotted names of the modules that a file imports, anywhere in it."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: a relative import"
            found.add(str(node.module))
    return found


def room_of(module: str) -> str:
    return module.split(".")[1] if module.startswith(f"{PACKAGE}.") else ""


def test_every_room_has_one_row_and_every_row_a_room():
    rooms = {room_of(name) for name in modules()}
    assert rooms == set(LEVEL_OF), "put new rooms into docs/architecture.md"
    assert len(LEVEL_OF) == sum(map(len, LEVELS))


def test_rooms_import_only_from_rooms_below():
    upwards = [
        f"{name} imports {other}"
        for name, path in modules().items()
        for other in imports_of(path)
        if (room := room_of(other)) and room != room_of(name)
        if LEVEL_OF[room] < LEVEL_OF[room_of(name)]
    ]
    assert upwards == []


def test_rooms_import_the_heavy_libraries_that_the_page_says():
    said = {room: set(re.findall("torch|nnU-Net", libraries)) for names, libraries in TABLE for room in _rooms(names)}
    found: dict[str, set[str]] = {room: set() for room in said}
    for name, path in modules().items():
        tops = {other.split(".")[0] for other in imports_of(path)}
        found[room_of(name)] |= {title for title, library in HEAVY.items() if library in tops}
    assert found == said


def _rooms(names: str) -> list[str]:
    return re.findall(r"`(\w+)`", names)
