"""The environment's script: refusals, what it takes over from pip's settings, and when it does nothing."""

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("make_environment", ROOT / "scripts" / "make_environment.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


LISTING = """\
:env:.cert='/etc/ssl/ours.pem'
:env:.find-links='/srv/wheels'
global.index-url='https://mirror.example/simple'
global.extra-index-url='file:///srv/mirror/simple https://extra.example/simple ../wheels'
global.find-links='/srv/wheels'
install.index-url='https://install.example/simple'
"""


def test_old_python_is_refused_by_name(script: ModuleType):
    with pytest.raises(script.SetupError, match=r"3\.10 or newer is needed, and /usr/bin/python3 is 3\.8"):
        script.refuse_old_python((3, 8), "/usr/bin/python3")
    script.refuse_old_python((3, 10), "/usr/bin/python3")


def test_oldest_python_is_that_of_the_package(script: ModuleType):
    major, minor = script.OLDEST_PYTHON
    assert f'requires-python = ">={major}.{minor}"' in (ROOT / "pyproject.toml").read_text()


def test_wheel_folders_of_pip_are_left_out_and_registries_kept(script: ModuleType):
    assert script.parse_pip_settings(LISTING) == {
        "cert": "/etc/ssl/ours.pem",
        "index-url": "https://install.example/simple",
        "extra-index-url": "https://extra.example/simple",
    }


def test_uv_learns_the_registries_of_pip(script: ModuleType):
    assert script.uv_variables(script.parse_pip_settings(LISTING), {}) == {
        "SSL_CERT_FILE": "/etc/ssl/ours.pem",
        "UV_DEFAULT_INDEX": "https://install.example/simple",
        "UV_INDEX": "https://extra.example/simple",
        "UV_INDEX_STRATEGY": "unsafe-best-match",
    }


def test_what_is_set_for_uv_wins_over_pip(script: ModuleType):
    settings = script.parse_pip_settings(LISTING)
    assert script.uv_variables(settings, {"UV_INDEX_URL": "https://uv.example", "SSL_CERT_FILE": "/own.pem"}) == {}


def test_unchanged_environment_is_used_as_it_is(script: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture):
    root, venv = tmp_path, tmp_path / ".venv"
    (root / "pyproject.toml").write_text("[project]\n")
    (venv / "bin").mkdir(parents=True)
    (venv / "bin" / "python").symlink_to(sys.executable)
    (venv / script.STAMP).write_text(script.fingerprint(root))
    script.make_environment(root, venv)
    assert "unchanged" in capsys.readouterr().out


def test_fingerprint_changes_with_dependencies_and_place(script: ModuleType, tmp_path: Path):
    seen = set()
    for name, text in (("a", "torch"), ("b", "torch"), ("a", "torch, numpy")):
        (tmp_path / name).mkdir(exist_ok=True)
        (tmp_path / name / "pyproject.toml").write_text(text)
        seen.add(script.fingerprint(tmp_path / name))
    assert len(seen) == 3


def test_folder_that_is_no_environment_is_left_alone(script: ModuleType, tmp_path: Path):
    (tmp_path / "precious").touch()
    with pytest.raises(script.SetupError, match="not a virtual environment"):
        script.create(tmp_path)
    assert (tmp_path / "precious").exists()


def test_mismatched_torch_pair_is_fetched_once_more_and_then_reported(
    script: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    commands = []
    (tmp_path / "pyproject.toml").write_text("[project]\n")
    monkeypatch.setattr(script, "create", lambda venv: "uv")
    monkeypatch.setattr(script, "installer", lambda python, uv: (["install"], {}))
    monkeypatch.setattr(script, "run", lambda command, *rest, **named: commands.append(command))
    monkeypatch.setattr(script, "probe", lambda python: "RuntimeError: operator torchvision::nms does not exist")
    with pytest.raises(script.SetupError, match="torchvision::nms does not exist"):
        script.make_environment(tmp_path, tmp_path / ".venv")
    assert commands == [["install", "--editable", ".[dev]"], ["install", "--reinstall", "torch", "torchvision"]]
    assert not (tmp_path / ".venv" / script.STAMP).exists()
