"""Teachers whose answers are known, for tests of what stands around them."""

import torch
from torch import Tensor, nn

from nnunetv2_muduo.teachers.protocol import TeacherSpec


class EchoTeacher(nn.Module):
    """Answers a mask prompt with itself and points with a blob at the first of them; remembers what it was asked."""

    def __init__(self, size: int = 16) -> None:
        super().__init__()
        self.spec = TeacherSpec(cube_size=size, mask_size=size, spacing_in_mm=1.5)
        self.weight = nn.Parameter(torch.zeros(1))
        self.images: list[Tensor] = []
        self.prompts: list[dict] = []

    def encode(self, image: Tensor) -> Tensor:
        self.images.append(image.clone())
        return image

    def decode(
        self, embedding: Tensor, coords: Tensor | None = None, labels: Tensor | None = None, masks: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        self.prompts.append({"coords": coords, "labels": labels, "masks": masks})
        if coords is None:
            logits = masks.float()
        else:
            size = self.spec.cube_size
            grid = torch.stack(torch.meshgrid(*[torch.arange(size)] * 3, indexing="ij"), dim=-1).float()
            distance = (grid - coords[:, :, 0, None, None, None]).norm(dim=-1)
            logits = 3.0 - distance
        return logits, torch.ones(logits.shape[:2])
