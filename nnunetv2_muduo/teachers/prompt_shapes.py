"""Whether what a teacher is given has the shapes that it takes."""

from torch import Tensor


def check_shape(name: str, tensor: Tensor, expected: tuple[int | None, ...]) -> None:
    """Raise ValueError for another shape than the expected one, where None stands for any length."""
    fits = len(tensor.shape) == len(expected) and all(
        length in (None, actual) for length, actual in zip(expected, tensor.shape, strict=True)
    )
    if not fits:
        wanted = ", ".join("any" if length is None else str(length) for length in expected)
        raise ValueError(f"{name} has shape {list(tensor.shape)}; expected [{wanted}]")


def check_prompts(
    coords: Tensor | None, labels: Tensor | None, masks: Tensor | None, *, images: int, mask_size: int
) -> int:
    """The number K of targets in each image, of prompts as `PromptableTeacher.decode` takes them.

    Args:
        coords, labels, masks: [B, K, N, 3], [B, K, N] and [B, K, M, M, M]; with points also [B, 1, M, M, M].
        images: B.
        mask_size: M.

    Raises:
        ValueError: if neither points nor masks are given, or shapes do not fit.
    """
    if masks is not None:
        check_shape("masks", masks, (images, None, *3 * (mask_size,)))
    if coords is not None and labels is not None:
        check_shape("labels", labels, (images, None, None))
        check_shape("coords", coords, (*labels.shape, 3))
        if masks is not None and masks.shape[1] not in (1, labels.shape[1]):
            raise ValueError(f"masks are for {masks.shape[1]} targets, points for {labels.shape[1]}")
        return labels.shape[1]
    if coords is not None or labels is not None:
        raise ValueError("coords and labels come together: one of them is missing")
    if masks is None:
        raise ValueError("nothing to decode: give coords and labels, or masks, or both")
    return masks.shape[1]
