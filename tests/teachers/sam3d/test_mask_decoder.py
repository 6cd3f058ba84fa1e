"""The mask decoder's upscaling against transposed convolutions."""

import torch
from plain_sam3d import plain_upscale

from nnunetv2_muduo.teachers.sam3d.mask_decoder import CellDivision, MaskDecoder
from nnunetv2_muduo.teachers.sam3d.transformer import TwoWayTransformer


def build_decoder() -> MaskDecoder:
    torch.manual_seed(0)
    transformer = TwoWayTransformer(24, depth=1, heads=2, mlp_width=8)
    return MaskDecoder(transformer, width=24, mask_tokens=4, iou_head_width=8).requires_grad_(False)


def test_children_are_what_the_transposed_convolution_writes():
    division = CellDivision(5, 3)
    cells = torch.randn(2, 5, 3, 3, 3)
    expected = torch.nn.functional.conv_transpose3d(cells, division.weight, division.bias, stride=2)
    children = division(cells.movedim(1, -1)).view(2, 3, 3, 3, 2, 2, 2, 3)
    sorted_children = children.permute(0, 7, 1, 4, 2, 5, 3, 6).reshape(2, 3, 6, 6, 6)
    torch.testing.assert_close(sorted_children, expected)


def test_mask_agrees_with_plain_upscaling():
    decoder = build_decoder()
    image, classifier = torch.randn(1, 24, 3, 3, 3), torch.randn(1, 1, 3)
    state = {f"{name}": tensor for name, tensor in decoder.state_dict().items()}
    expected = torch.einsum("bcxyz,bkc->bkxyz", plain_upscale(state, image), classifier)
    actual = decoder._mask(image.flatten(2).transpose(1, 2)[:, None], classifier)
    torch.testing.assert_close(actual, expected, atol=1e-5, rtol=1e-5)
