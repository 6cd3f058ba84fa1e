"""What every benchmark states about where and when it ran, and how it writes its results."""

import json
import os
import platform
import re
from collections.abc import Sequence
from datetime import date
from pathlib import Path

import torch

_INNERMOST_LIST = re.compile(r"\[\n([^\[\]{}]*)\n\s*\]")


def describe_machine(device: torch.device) -> dict[str, str]:
    """Processor or accelerator, threads, versions and date."""
    processor = platform.processor() or platform.machine()
    information = Path("/proc/cpuinfo")
    if information.is_file():
        models = [
            line.split(":", 1)[1].strip() for line in information.read_text().splitlines() if "model name" in line
        ]
        processor = models[0] if models else processor
    accelerator = torch.cuda.get_device_name(device) if device.type == "cuda" else "none"
    return {
        "processor": f"{processor}, {os.cpu_count()} cores, {torch.get_num_threads()} threads",
        "accelerator": accelerator,
        "load_at_end": f"{os.getloadavg()[0]:.1f}",
        "python": platform.python_version(),
        "torch": torch.__version__,
        "date": date.today().isoformat(),
    }


def write_results(
    path: Path, *, title: str, header: Sequence[str], rows: Sequence[Sequence[str]], record: dict, machine: dict
) -> None:
    """Print a markdown table and write it to `path`.md, with everything measured in `path`.json."""
    write_table(path.with_suffix(".md"), title=title, header=header, rows=rows, machine=machine)
    content = json.dumps({"title": title, "machine": machine, **record}, indent=2)
    path.with_suffix(".json").write_text(_INNERMOST_LIST.sub(_on_one_line, content) + "\n")


def write_table(path: Path, *, title: str, header: Sequence[str], rows: Sequence[Sequence[str]], machine: dict) -> None:
    """Print a markdown table and write it, with the machine and the date below it."""
    lines = [f"# {title}", "", "| " + " | ".join(header) + " |", "|---" * len(header) + "|"]
    lines += ["| " + " | ".join(row) + " |" for row in rows]
    lines += ["", "; ".join(f"{key.replace('_', ' ')}: {value}" for key, value in machine.items()), ""]
    text = "\n".join(lines)
    print(text)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def _on_one_line(found: re.Match[str]) -> str:
    """A list of numbers or names without its line breaks; a line break is never part of a JSON string."""
    return "[" + ", ".join(line.strip().removesuffix(",") for line in found[1].splitlines()) + "]"
