"""Make the project's virtual environment, or do nothing when it is up to date; called by the Makefile.

Standard library only: this runs before anything is installed. Packages come with uv, which is fetched with pip when it
is not on the path: it downloads in parallel and links files from its cache instead of copying 6 GB. A second reason is
that uv does not read pip's settings. A folder of wheels named there (`find-links`) often holds a CPU build of torch;
next to the registry's torchvision it fails at import with "operator torchvision::nms does not exist". Settings that
name a registry, a certificate or a proxy are handed over.
"""

import argparse
import ast
import hashlib
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

OLDEST_PYTHON = (3, 10)
STAMP = "muduo-environment"
FIRST_TIME = "1 to 6 minutes with a fast connection: about 3 GB to download, 6 GB on disk"

# pip's setting -> uv's environment variable: only what tells how to reach a registry.
PIP_TO_UV = {
    "index-url": "UV_DEFAULT_INDEX",
    "extra-index-url": "UV_INDEX",
    "cert": "SSL_CERT_FILE",
    "proxy": "ALL_PROXY",
    "trusted-host": "UV_INSECURE_HOST",
}

PROBE = """
import torch, torchvision
torchvision.ops.nms(torch.tensor([[0.0, 0.0, 1.0, 1.0]]), torch.tensor([1.0]), 0.5)
import nnunetv2, nnunetv2_muduo.trainers
print(f"torch {torch.__version__}, torchvision {torchvision.__version__}, GPU: {torch.cuda.is_available()}")
"""


class SetupError(Exception):
    """Something the person at the keyboard has to put right; the message says what."""


def main() -> int:
    """Return 0 when the environment is ready, 2 with one sentence on stderr when it is not."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--venv", type=Path, default=Path(".venv"), help="folder of the environment (default: .venv)")
    arguments = parser.parse_args()
    root = Path(__file__).resolve().parent.parent
    try:
        refuse_old_python(sys.version_info[:2], sys.executable)
        make_environment(root, root / arguments.venv)
    except SetupError as error:
        print("ERROR: " + str(error), file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("\nStopped. Run the same command again to go on: finished downloads are kept.", file=sys.stderr)
        return 130
    return 0


def refuse_old_python(version, executable) -> None:
    """Raise SetupError when `version` (major, minor) is older than nnU-Net supports."""
    if tuple(version) < OLDEST_PYTHON:
        raise SetupError(
            "Python {}.{} or newer is needed, and {} is {}.{}; name another one, for example "
            "`make test PYTHON=python3.12`.".format(*OLDEST_PYTHON, executable, *version)
        )


def make_environment(root: Path, venv: Path) -> None:
    """Bring `venv` in line with `root`/pyproject.toml; at the end torch and torchvision are known to fit together."""
    stamp, wanted = venv / STAMP, fingerprint(root)
    python = venv / "bin" / "python"
    if python.exists() and stamp.exists() and stamp.read_text() == wanted:
        print(f"Using the environment in {venv}: pyproject.toml is unchanged.", flush=True)
        return
    started = time.monotonic()
    print(f"Making the environment in {venv}; the first time takes {FIRST_TIME}.", flush=True)
    stamp.unlink(missing_ok=True)
    uv = create(venv)
    command, environment = installer(python, uv)
    run([*command, "--editable", ".[dev]"], environment, cwd=root)
    problem = probe(python)
    if "torchvision" in problem:
        print(f"torch and torchvision do not fit together ({problem}); fetching the pair once more.", flush=True)
        run([*command, "--reinstall" if uv else "--force-reinstall", "torch", "torchvision"], environment)
        problem = probe(python)
    if problem:
        raise SetupError(
            f"the environment was installed but does not work ({problem}); remove {venv} and try again, and if that "
            "does not help, look in `python3 -m pip config list`, uv.toml and the variables UV_* and PIP_* for a "
            "setting that lets torch and torchvision come from different places."
        )
    stamp.write_text(wanted)
    print(f"The environment is ready after {time.monotonic() - started:.0f} s.", flush=True)


def fingerprint(root: Path) -> str:
    """A text that changes whenever the environment has to be made anew: dependencies, Python, place."""
    digest = hashlib.sha256((root / "pyproject.toml").read_bytes()).hexdigest()
    return f"{digest} python{sys.version_info[0]}.{sys.version_info[1]} {root}\n"


def create(venv: Path) -> "str | None":
    """Make an empty environment of this Python, and return the command of a uv that works (None: there is none)."""
    python = venv / "bin" / "python"
    uv = working("uv")
    if venv.exists():
        if not (venv / "pyvenv.cfg").exists():
            raise SetupError(f"{venv} exists and is not a virtual environment; move it away.")
        if reusable(venv):
            return uv or working(str(venv / "bin" / "uv")) or fetch_uv(python)
        shutil.rmtree(venv)
    if uv:
        run([uv, "venv", "--quiet", "--python", sys.executable, str(venv)], dict(os.environ))
        return uv
    try:
        run([sys.executable, "-m", "venv", str(venv)], dict(os.environ))
    except SetupError as error:
        raise SetupError(
            f"{sys.executable} cannot make virtual environments; install uv (https://docs.astral.sh/uv) or your "
            "system's package of Python's venv module (python3-venv on Debian and Ubuntu)."
        ) from error
    return fetch_uv(python)


def reusable(venv: Path) -> bool:
    """Whether `venv` was made at this very place with the same Python, so that a new installation can go on in it."""
    try:
        answer = subprocess.run(
            [str(venv / "bin" / "python"), "-c", "import sys; print(sys.prefix, *sys.version_info[:2], sep='\\n')"],
            capture_output=True,
            text=True,
            check=True,
        ).stdout
    except (OSError, subprocess.CalledProcessError):
        return False
    prefix, major, minor = answer.splitlines()
    return Path(prefix) == venv and (int(major), int(minor)) == sys.version_info[:2]


def working(uv: str) -> "str | None":
    """`uv` when it can be run, else None; a pyenv shim may be on the path and lead nowhere."""
    try:
        subprocess.run([uv, "--version"], capture_output=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    return uv


def fetch_uv(python: Path) -> "str | None":
    """Install uv into the environment of `python` and return its command; None where there is no uv for this system."""
    print("Fetching uv, the installer.", flush=True)
    subprocess.run([str(python), "-m", "pip", "install", "--quiet", "uv"], check=False)
    return working(str(python.parent / "uv"))


def installer(python: Path, uv: "str | None") -> "tuple[list[str], dict[str, str]]":
    """The command that installs into the environment of `python`, and the environment variables it needs."""
    settings = pip_settings(python)
    variables = dict(os.environ)
    if uv:
        return [uv, "pip", "install", "--python", str(python)], {**uv_variables(settings, variables), **variables}
    for name in ("PIP_FIND_LINKS", "PIP_NO_INDEX"):
        variables.pop(name, None)
    variables.update({"PIP_" + name.replace("-", "_").upper(): value for name, value in settings.items()})
    return [str(python), "-m", "pip", "install"], {**variables, "PIP_CONFIG_FILE": os.devnull}


def pip_settings(python: Path) -> "dict[str, str]":
    """Those of pip's settings that tell how to reach a registry; folders on this machine are left out."""
    for executable in (str(python), sys.executable):
        answer = subprocess.run(
            [executable, "-m", "pip", "config", "list"], capture_output=True, text=True, check=False
        )
        if answer.returncode == 0:
            return parse_pip_settings(answer.stdout)
    return {}


def parse_pip_settings(listing: str) -> "dict[str, str]":
    """Read `pip config list`: lines as `global.index-url='...'`; variables beat `install`, which beats `global`."""
    settings = {}
    for section in ("global", "install", ":env:"):
        for line in listing.splitlines():
            key, _, value = line.partition("=")
            name = key[len(section) + 1 :]
            if key.startswith(section + ".") and name in PIP_TO_UV:
                settings[name] = " ".join(word for word in ast.literal_eval(value).split() if not is_local(word, name))
    return {name: value for name, value in settings.items() if value}


def is_local(value: str, name: str) -> bool:
    """Whether an index is a folder of this machine."""
    return value.startswith("file:") or (name.endswith("index-url") and "://" not in value)


def uv_variables(settings: "dict[str, str]", variables: "dict[str, str]") -> "dict[str, str]":
    """What uv needs to know of pip's settings; what the user has set for uv already, comes first."""
    if "UV_INDEX_URL" in variables or "UV_EXTRA_INDEX_URL" in variables:
        settings = {name: value for name, value in settings.items() if not name.endswith("index-url")}
    translated = {PIP_TO_UV[name]: value for name, value in settings.items()}
    if "UV_INDEX" in translated:
        translated["UV_INDEX_STRATEGY"] = "unsafe-best-match"  # as pip does: the best version of all indexes
    if "HTTPS_PROXY" in variables or "https_proxy" in variables:
        translated.pop("ALL_PROXY", None)
    return {name: value for name, value in translated.items() if name not in variables}


def run(command: "list[str]", environment: "dict[str, str]", cwd: "Path | None" = None) -> None:
    """Run `command` with its output shown; SetupError when it fails."""
    try:
        subprocess.run(command, env=environment, cwd=cwd, check=True)
    except (OSError, subprocess.CalledProcessError) as error:
        raise SetupError(f"`{' '.join(command)}` failed; its own message is above.") from error


def probe(python: Path) -> str:
    """Import what everything needs; return "" when that works, else the last line of what Python had to say."""
    answer = subprocess.run([str(python), "-c", PROBE], capture_output=True, text=True, check=False)
    print(answer.stdout, end="", flush=True)
    if answer.returncode == 0:
        return ""
    return (answer.stderr.strip().splitlines() or ["Python stopped without a message"])[-1]


if __name__ == "__main__":
    sys.exit(main())
