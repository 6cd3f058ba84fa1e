"""What the pages of the repository say, taken apart: commands, links, names in backticks."""

import re
import shlex
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")])

_COMMAND = re.compile(r"(muduo|nnUNetv2_\w+)$")
_ASSIGNMENT = re.compile(r"\w+=")
_BEFORE_A_COMMAND = ("export", "srun")


def name_of(page: Path) -> str:
    """A page as the repository's root sees it."""
    return str(page.relative_to(ROOT))


def text_of(page: Path) -> str:
    return page.read_text(encoding="utf-8")


def commands_in(text: str) -> list[list[str]]:
    """The words of each muduo and nnUNetv2 command in the indented and fenced blocks of a page."""
    return [words for line in _code_lines(text) for words in _commands_of(line)]


def python_in(text: str) -> list[str]:
    """The programs of each `python -c "..."` in the blocks of a page."""
    return [shlex.split(line)[2] for line in _code_lines(text) if line.strip().startswith("python -c ")]


def prose_of(text: str) -> str:
    """A page without its fenced and indented blocks."""
    text = re.sub(r"^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL)
    return re.sub(r"^ {4}.*$", "", text, flags=re.MULTILINE)


def backticked(text: str) -> list[str]:
    """What stands in backticks outside of blocks."""
    return re.findall(r"`([^`\n]+)`", prose_of(text))


def links_in(text: str) -> list[str]:
    """Targets of links and pictures that do not lead to the network."""
    targets = re.findall(r"\]\(([^)\s]+)\)", prose_of(text))
    return [target for target in targets if not re.match(r"[a-z]+:", target)]


def anchors_of(text: str) -> set[str]:
    """The anchors that a page's headings have, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def _code_lines(text: str) -> list[str]:
    """Lines of code, those continued with a backslash joined."""
    lines, fenced = [], False
    for line in text.splitlines():
        if line.startswith("```"):
            fenced = not fenced
        elif fenced or line.startswith("    "):
            lines.append(line)
    return re.sub(r"\\\n\s*", " ", "\n".join(lines)).splitlines()


def _commands_of(line: str) -> list[list[str]]:
    """The commands of one line of shell, those inside $( ) first; nothing for lines that are no shell."""
    inner = re.findall(r"\$\(([^)]*)\)", line)
    outer = re.sub(r"\$\([^)]*\)", "SUBSTITUTED", line)
    if inner:
        return [words for part in (*inner, outer) for words in _commands_of(part)]
    if not re.search(r"(?:^|&& |; )\s*(?:export |srun |\w+=\S* )*(?:muduo|nnUNetv2_\w+)\b", outer):
        return []
    found: list[list[str]] = [[]]
    lexer = shlex.shlex(outer, posix=True, punctuation_chars=";&|")
    lexer.whitespace_split = True
    for word in lexer:
        if set(word) <= set(";&|"):
            found.append([])
        elif found[-1] or not (_ASSIGNMENT.match(word) or word in _BEFORE_A_COMMAND):
            found[-1].append(word)
    return [words for words in found if words and _COMMAND.match(words[0])]
