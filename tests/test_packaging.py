"""Wheel, source archive and editable install: complete, tidy, and nnU-Net finds the trainers in each. Works offline."""

import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
NOT_COPIED = {".git", ".venv", "build", "dist", "demo"}
TRAINERS = sorted(path.stem for path in (ROOT / "trainers").glob("nnUNetTrainer*.py"))
DATA = sorted(
    [f"plans/{path.name}" for path in (ROOT / "plans").glob("*.json")]
    + [f"teachers/standin/{path.name}" for path in (ROOT / "nnunetv2_muduo" / "teachers" / "standin").glob("*.pth")]
    + [f"reporting/{path.name}" for path in (ROOT / "nnunetv2_muduo" / "reporting").glob("page.[!p]*")]
)

BUILD = "import sys; from setuptools import build_meta; getattr(build_meta, sys.argv[1])(sys.argv[2])"
LOOK_UP = """
import sys
from nnunetv2.utilities.find_objects import recursive_find_trainer_class_by_name
for name in sys.argv[1:]:
    print("found:", recursive_find_trainer_class_by_name(name).__name__)
"""


def test_every_package_of_the_tree_is_listed():
    tomllib = pytest.importorskip("tomllib")  # Python 3.11
    listed = set(tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"])
    inner = {".".join(path.parent.relative_to(ROOT).parts) for path in (ROOT / "nnunetv2_muduo").rglob("__init__.py")}
    assert listed == inner | {"nnunetv2_muduo.plans", "nnunetv2_muduo.trainers"}


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the tree, so that building leaves nothing behind in it and finds nothing of earlier builds."""
    folder = tmp_path_factory.mktemp("checkout") / "muduo"

    def ignored(where: str, names: list[str]) -> set[str]:
        clutter = {name for name in names if re.fullmatch(r"__pycache__|.*\.egg-info|\..*_cache", name)}
        return clutter | (NOT_COPIED & set(names) if Path(where) == ROOT else set())

    shutil.copytree(ROOT, folder, ignore=ignored)
    return folder


@pytest.fixture(scope="module")
def sdist(checkout: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build("build_sdist", checkout, tmp_path_factory.mktemp("sdist"))


@pytest.fixture(scope="module")
def wheel(sdist: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built from the source archive, which therefore has to be complete."""
    folder = tmp_path_factory.mktemp("wheel")
    with tarfile.open(sdist) as archive:
        archive.extractall(folder, filter="data")
    return build("build_wheel", next(folder.iterdir()), folder)


def build(hook: str, source: Path, folder: Path) -> Path:
    """Run a build hook of setuptools as pip would, without fetching anything."""
    subprocess.run([sys.executable, "-c", BUILD, hook, str(folder)], cwd=source, check=True, capture_output=True)
    return next(path for path in folder.iterdir() if path.suffix in (".whl", ".gz"))


@pytest.fixture(scope="module")
def dependencies(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Links to everything this environment has, but for this package itself."""
    folder = tmp_path_factory.mktemp("dependencies")
    for place in {sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}:
        for path in Path(place).iterdir():
            ours = "nnunetv2_muduo" in path.name or path.suffix == ".pth" or path.name.startswith("pip")
            if not ours and not (folder / path.name).exists():
                (folder / path.name).symlink_to(path)
    return folder


class CleanEnvironment:
    """A new virtual environment that sees the dependencies and nothing of this package."""

    def __init__(self, folder: Path, dependencies: Path) -> None:
        self.folder = folder
        venv.create(folder, with_pip=True)
        site_packages = next((folder / "lib").glob("python*/site-packages"))
        shutil.rmtree(site_packages / "setuptools", ignore_errors=True)  # older Pythons bring one that is too old
        (site_packages / "dependencies.pth").write_text(f"{dependencies}\n")

    def run(self, program: str, *arguments: str, **variables: str) -> str:
        environment = {key: value for key, value in os.environ.items() if not key.startswith(("PYTHON", "nnUNet_"))}
        done = subprocess.run(
            [str(self.folder / "bin" / program), *arguments],
            cwd=self.folder,
            env={**environment, **variables},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def install(self, *what: str) -> None:
        self.run("python", "-m", "pip", "install", "--no-deps", "--no-index", "--no-build-isolation", *what)


@pytest.fixture(scope="module", params=["wheel", "editable"])
def installed(
    request: pytest.FixtureRequest, dependencies: Path, tmp_path_factory: pytest.TempPathFactory
) -> CleanEnvironment:
    pytest.importorskip("ensurepip")
    environment = CleanEnvironment(tmp_path_factory.mktemp(request.param) / "venv", dependencies)
    if request.param == "wheel":
        environment.install(str(request.getfixturevalue("wheel")))
    else:
        environment.install("--editable", str(request.getfixturevalue("checkout")))
    return environment


def names_in_wheel(wheel: Path) -> set[str]:
    with zipfile.ZipFile(wheel) as archive:
        return set(archive.namelist())


def names_in_sdist(sdist: Path) -> set[str]:
    with tarfile.open(sdist) as archive:
        return {name.partition("/")[2] for name in archive.getnames()}


@pytest.mark.slow
def test_wheel_holds_trainers_presets_and_stand_in_teachers(wheel: Path):
    wanted = {f"nnunetv2_muduo/trainers/{name}.py" for name in TRAINERS} | {f"nnunetv2_muduo/{name}" for name in DATA}
    assert wanted | {"nnunetv2_muduo/py.typed", "nnunetv2_muduo/cli.py"} <= names_in_wheel(wheel)


@pytest.mark.slow
def test_wheel_holds_this_one_package_and_nothing_else(wheel: Path):
    assert {name.split("/")[0].split("-")[0] for name in names_in_wheel(wheel)} == {"nnunetv2_muduo"}


@pytest.mark.slow
def test_source_archive_holds_what_a_build_needs_and_no_tests(sdist: Path):
    names = names_in_sdist(sdist)
    assert {"pyproject.toml", "README.md", "LICENSE", *(f"trainers/{name}.py" for name in TRAINERS)} <= names
    assert not [name for name in names if name.startswith(("tests", "benchmarks", ".ci", "scripts"))]


@pytest.mark.slow
def test_nnunet_finds_every_trainer_in_the_folder_that_muduo_prints(installed: CleanEnvironment):
    folder = installed.run("muduo", "trainers").rstrip("\n")
    found = installed.run("python", "-c", LOOK_UP, *TRAINERS, nnUNet_extTrainer=folder)
    assert [line[7:] for line in found.splitlines() if line.startswith("found: ")] == TRAINERS


@pytest.mark.slow
def test_installed_package_is_the_one_under_test(installed: CleanEnvironment):
    place = Path(installed.run("python", "-c", "import nnunetv2_muduo as m; print(m.__file__)").strip())
    assert ROOT not in place.parents


@pytest.mark.slow
def test_installed_data_is_found(installed: CleanEnvironment):
    code = (
        "import sys; from importlib.resources import files\n"
        "for name in sys.argv[1:]:\n"
        "    package, _, file = name.partition('/')\n"
        "    assert files(f'nnunetv2_muduo.{package}').joinpath(file).is_file(), name"
    )
    installed.run("python", "-c", code, *DATA)
