"""A small AutoPET in either layout."""

from pathlib import Path

import pytest
from autopet_folders import write_challenge, write_release
from autopet_project import CASES, STUDIES, Project


@pytest.fixture
def release(tmp_path: Path) -> Project:
    write_release(tmp_path / "source", STUDIES)
    return Project(tmp_path)


@pytest.fixture
def challenge(tmp_path: Path) -> Project:
    write_challenge(tmp_path / "source", CASES)
    return Project(tmp_path)
