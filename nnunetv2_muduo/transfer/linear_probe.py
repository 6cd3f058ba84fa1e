"""Linear probing: a pretrained network is frozen, and one layer on top learns to segment."""

from torch import nn

from nnunetv2_muduo.errors import UnsupportedError, UserError
from nnunetv2_muduo.training.wrapped_network import unwrapped
from nnunetv2_muduo.transfer.downstream import DownstreamTrainer


class LinearProbeTrainer(DownstreamTrainer):
    """nnU-Net's training of the output layer alone, on top of -pretrained_weights, which it insists on.

    Deep supervision is off: below a frozen network it would only train layers that prediction does not use.
    """

    schedule = ("iterations_per_epoch", "optimizer", "initial_lr")  # but not num_epochs: it may go on for longer
    has_weights = False  # whether any were loaded

    def output_layer(self) -> nn.Module:
        """The layer that is trained.

        Raises:
            UnsupportedError: for a network that does not keep it where nnU-Net's U-Nets do.
        """
        network = unwrapped(self.network)
        layers = getattr(getattr(network, "decoder", None), "seg_layers", None)
        if layers is None:
            raise UnsupportedError(
                f"{type(self).__name__} looks for the output layer in decoder.seg_layers, which a "
                f"{type(network).__name__} does not have; plan a U-Net."
            )
        return layers[-1]

    def initialize(self) -> None:
        super().initialize()
        # nnU-Net does not tell a trainer of -pretrained_weights; both it and --c end in this call
        unwrapped(self.network).register_load_state_dict_post_hook(self._note_weights)

    def configure_optimizers(self):
        """nnU-Net's optimiser of the output layer; everything else is frozen, before DDP looks which is not."""
        self.network.requires_grad_(False)
        self.output_layer().requires_grad_(True)
        optimizer, schedule = super().configure_optimizers()
        for group in optimizer.param_groups:
            group["params"] = [parameter for parameter in group["params"] if parameter.requires_grad]
        return optimizer, schedule

    def on_train_start(self) -> None:
        if not self.has_weights:
            raise UserError(
                f"{type(self).__name__} got no weights, and a linear probe of random ones tells nothing: add "
                "-pretrained_weights FILE (muduo import-mae makes one), or --c to continue an interrupted probe."
            )
        super().on_train_start()

    def on_train_epoch_start(self) -> None:
        super().on_train_epoch_start()
        self.network.eval()  # frozen norms keep their statistics, nothing drops out; the output layer knows no modes

    def _note_weights(self, *_) -> None:
        self.has_weights = True
