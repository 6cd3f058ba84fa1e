"""Sam3D: the promptable teacher of SAM-Med3D and SegAnyPET, under the released tensor names."""

from torch import Tensor, nn

from nnunetv2_muduo.teachers.prompt_shapes import check_prompts, check_shape
from nnunetv2_muduo.teachers.protocol import TeacherSpec
from nnunetv2_muduo.teachers.sam3d.config import Sam3DConfig
from nnunetv2_muduo.teachers.sam3d.image_encoder import EncoderBlock, ImageEncoder, PatchEmbedding
from nnunetv2_muduo.teachers.sam3d.mask_decoder import MaskDecoder
from nnunetv2_muduo.teachers.sam3d.prompt_encoder import PromptEncoder
from nnunetv2_muduo.teachers.sam3d.transformer import TwoWayTransformer


class Sam3D(nn.Module):
    """SAM-Med3D (arXiv 2310.15161) and SegAnyPET (arXiv 2502.14351), one architecture, exact and fast.

    `Sam3D()` has the released size; smaller ones are built from a configuration. Use it under `torch.autocast` for
    bfloat16: positions stay in float32 there. A new model has random weights until a state dictionary is loaded.
    """

    config_class = Sam3DConfig

    def __init__(self, config: Sam3DConfig | None = None) -> None:
        super().__init__()
        config = config or Sam3DConfig()
        self.config = config
        self.spec = TeacherSpec(
            cube_size=config.image_size,
            mask_size=config.mask_size,
            spacing_in_mm=config.spacing_in_mm,
            orientation=config.orientation,
        )
        self.image_encoder = _build_image_encoder(config)
        self.prompt_encoder = PromptEncoder(
            config.prompt_width,
            image_size=config.image_size,
            grid_size=config.grid_size,
            mask_width=config.mask_width,
        )
        self.mask_decoder = _build_mask_decoder(config)

    def encode(self, image: Tensor) -> Tensor:
        """Encode each image once; any number of targets can be decoded from the result.

        Args:
            image: [B, 1, S, S, S], z-normalised over the voxels whose raw intensity is > 0, axes (x, y, z).

        Returns:
            embedding [B, C, g, g, g]; released: S = 128, C = 384, g = 8.

        Raises:
            ValueError: if the image is not a cube of one channel and the model's size.
        """
        check_shape("image", image, (None, 1, *3 * (self.spec.cube_size,)))
        return self.image_encoder(image)

    def decode(
        self,
        embedding: Tensor,
        coords: Tensor | None = None,
        labels: Tensor | None = None,
        masks: Tensor | None = None,
    ) -> tuple[Tensor, Tensor]:
        """Decode K targets of each image in one pass.

        A target's result does not depend on its unused slots nor on the other targets. With `masks=None` the learned
        no-mask vector stands in. A target whose slots are all unused is decoded as if no points were given at all:
        from its mask alone, or, without masks, from nothing (a result to ignore).

        Args:
            embedding: [B, C, g, g, g] from `encode`.
            coords: [B, K, N, 3] points in voxels of the S-cube, axes (x, y, z).
            labels: [B, K, N] 1 foreground, 0 background, -1 unused slot (no influence, whatever its coordinates).
            masks: [B, K, M, M, M] mask prompts (logits), or [B, 1, M, M, M] with points: the same for all targets,
                which is then embedded once (so is one mask expanded to K).

        Returns:
            logits [B, K, M, M, M] and predicted IoU [B, K], both float32.

        Raises:
            ValueError: if neither points nor masks are given, or shapes do not fit.
        """
        check_shape("embedding", embedding, (None, self.config.prompt_width, *3 * (self.config.grid_size,)))
        check_prompts(coords, labels, masks, images=len(embedding), mask_size=self.spec.mask_size)
        tokens, usable = None, None
        if coords is not None and labels is not None:
            tokens, usable = self.prompt_encoder.embed_points(coords, labels)
            if masks is not None and masks.stride(1) == 0:
                masks = masks[:, :1]
        dense = self.prompt_encoder.embed_no_mask() if masks is None else self.prompt_encoder.embed_masks(masks)
        return self.mask_decoder(
            embedding.flatten(start_dim=2).transpose(1, 2)[:, None] + dense,
            image_positions=self.prompt_encoder.grid_positions(),
            prompt_tokens=tokens,
            usable=usable,
        )


def _build_image_encoder(config: Sam3DConfig) -> ImageEncoder:
    blocks = [
        EncoderBlock(
            config.encoder_width,
            config.encoder_heads,
            mlp_width=config.encoder_mlp_width,
            window_size=config.grid_size if index in config.global_blocks else config.window_size,
        )
        for index in range(config.encoder_depth)
    ]
    return ImageEncoder(
        PatchEmbedding(config.patch_size, config.encoder_width),
        blocks,
        grid_size=config.grid_size,
        out_width=config.prompt_width,
    )


def _build_mask_decoder(config: Sam3DConfig) -> MaskDecoder:
    transformer = TwoWayTransformer(
        config.prompt_width,
        depth=config.decoder_depth,
        heads=config.decoder_heads,
        mlp_width=config.decoder_mlp_width,
    )
    return MaskDecoder(
        transformer,
        width=config.prompt_width,
        mask_tokens=config.mask_tokens,
        iou_head_width=config.iou_head_width,
    )
