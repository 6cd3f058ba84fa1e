"""Names of files with voxels, as headers of images tell them."""

from pathlib import PurePosixPath


def leads_away(name: str) -> bool:
    """Whether a file's name leads out of a folder."""
    return name.startswith(("/", "\\", "~")) or ".." in PurePosixPath(name.replace("\\", "/")).parts or ":" in name
