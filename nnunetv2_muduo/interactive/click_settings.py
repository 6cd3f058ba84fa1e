"""What the interactive benchmark measures."""

from dataclasses import dataclass

from nnunetv2_muduo.errors import UserError

PROTOCOLS = ("scan", "crop")


@dataclass(frozen=True)
class ClickSettings:
    """What is measured.

    Attributes:
        clicks: after how many clicks to compare, ascending.
        seed: of the clicks; each organ of each case has randomness of its own.
        protocol: "scan" is what a user of `muduo segment` gets: the window is centred on the first click, the mask is
            followed beyond it, Dice counts the whole scan. "crop" is the papers': one window centred on the target's
            bounding box; clicks and Dice stay within it.
        share_windows: with "scan", lay the windows around the middle of the scan, the same for all organs, so that each
            is encoded once a case; the first click then lies up to a quarter of a window off the middle of its window.

    Raises:
        UserError: if one of them is out of range, or they do not go together.
    """

    clicks: tuple[int, ...] = (1, 3, 5, 10)
    seed: int = 0
    protocol: str = "scan"
    share_windows: bool = False

    def __post_init__(self) -> None:
        if not self.clicks or min(self.clicks) < 1:
            raise UserError(f"Numbers of clicks must be at least 1, not {', '.join(map(str, self.clicks)) or 'none'}.")
        if self.protocol not in PROTOCOLS:
            raise UserError(f"There is no protocol '{self.protocol}'; use one of: {', '.join(PROTOCOLS)}.")
        if self.share_windows and self.protocol == "crop":
            raise UserError("Protocol crop centres a window on each target, so organs cannot share windows; use scan.")
        object.__setattr__(self, "clicks", tuple(sorted(set(self.clicks))))
