"""The teachers known by name, where their weights are published and where they are kept on this machine."""

import os
from dataclasses import dataclass
from pathlib import Path

import platformdirs

from nnunetv2_muduo.errors import UserError

WEIGHTS_VARIABLE = "MUDUO_WEIGHTS"
STAND_IN_FOLDER = Path(__file__).parent / "standin"


@dataclass(frozen=True)
class ReleasedTeacher:
    """One teacher that is known by name.

    Attributes:
        file: name of the file with its weights.
        modality: "CT" or "PET", what it was trained on.
        title: the published model it is, or, for a stand-in, the one it stands in for.
        repository: the hub repository that publishes the file; None for a stand-in, which comes with this package.
    """

    file: str
    modality: str
    title: str
    repository: str | None = None

    @property
    def shipped(self) -> bool:
        """Whether it comes with this package: a stand-in, trained on simulated images."""
        return self.repository is None

    @property
    def page(self) -> str:
        """Where to find a published file with a browser."""
        return f"https://huggingface.co/{self.repository}"

    def path(self, folder: Path) -> Path:
        """Where its file belongs: in this package, or in the weights folder."""
        return (STAND_IN_FOLDER if self.shipped else folder) / self.file


KNOWN_TEACHERS = {
    "sam_med3d_turbo": ReleasedTeacher("sam_med3d_turbo.pth", "CT", "SAM-Med3D", "blueyo0/SAM-Med3D"),
    "seganypet_v1": ReleasedTeacher("seganypet_v1.pth", "PET", "SegAnyPET", "YichiZhang98/SegAnyPET"),
    "standin_ct": ReleasedTeacher("standin_ct.pth", "CT", "SAM-Med3D"),
    "standin_pet": ReleasedTeacher("standin_pet.pth", "PET", "SegAnyPET"),
}


def weights_folder() -> Path:
    """The folder named by MUDUO_WEIGHTS, else the user's cache folder for muduo; it need not exist.

    Raises:
        UserError: for an account without a home, as containers have them.
    """
    if named := os.environ.get(WEIGHTS_VARIABLE):
        return Path(os.path.expanduser(named))
    try:
        return platformdirs.user_cache_path("muduo", appauthor=False)
    except RuntimeError as error:
        raise UserError(
            f"This account has no home folder to keep teachers in; name a folder with export {WEIGHTS_VARIABLE}=FOLDER."
        ) from error
