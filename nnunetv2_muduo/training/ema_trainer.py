"""Trainings that average their student: to be taught by the average, to predict with it, or both."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

from nnunetv2_muduo.checkpoint_files import fill
from nnunetv2_muduo.training.configured import ConfiguredTrainer
from nnunetv2_muduo.training.ema_copy import EmaCopy
from nnunetv2_muduo.training.wrapped_network import unwrapped

STATE_KEY = "muduo_state"  # of a checkpoint: what a resumed training needs beyond nnU-Net's own entries


class EmaTrainer(ConfiguredTrainer):
    """Keeps an average of the student where the trainer needs one or `predict_with` is "ema"; else does nothing.

    With `predict_with` "ema", validation sees the average, and it is a checkpoint's `network_weights`, which
    nnUNetv2_predict and -pretrained_weights read; the student's own weights lie beside it for resuming.
    """

    ema: EmaCopy | None = None
    asks_for_an_average = ()  # means something here
    schedule = (*ConfiguredTrainer.schedule, "ema_decay", "predict_with")  # the best checkpoint is the best of one

    @property
    def needs_ema(self) -> bool:
        """Whether a training is taught by the average, whatever it predicts with."""
        return False

    def initialize(self) -> None:
        super().initialize()
        if self.needs_ema or self.settings.predict_with == "ema":
            self.ema = EmaCopy(unwrapped(self.network), decay=self.settings.ema_decay)
            average = self.ema.network  # dynamic: the student's code was compiled for larger batches already
            self.ema_network = torch.compile(average, dynamic=False) if self._do_i_compile() else average

    def ema_logits(self, image: Tensor) -> Tensor:
        """What the averaged student says, without gradients.

        Args:
            image: [B, C, Z, Y, X] on the trainer's device.

        Returns:
            [B, 1 + K, Z, Y, X] float32.
        """
        with torch.no_grad(), torch.autocast(image.device.type, enabled=image.device.type == "cuda"):
            output = self.ema_network(image)
        return (output if isinstance(output, Tensor) else output[0]).float()

    @property
    def predicts_with_ema(self) -> bool:
        return self.ema is not None and self.settings.predict_with == "ema"

    @contextmanager
    def weights_to_predict_with(self) -> Iterator[None]:
        """The network holds what the training is judged by: its own weights, or the average."""
        if self.ema is None or not self.predicts_with_ema:
            yield
            return
        with self.ema.in_place_of(unwrapped(self.network)):
            yield

    # Training

    def on_train_start(self) -> None:
        super().on_train_start()
        if self.ema is not None and self.ema.steps == 0:  # -pretrained_weights came after the copy was made
            self.ema.begin_at(unwrapped(self.network))

    def train_step(self, batch: dict) -> dict:
        outcome = super().train_step(batch)
        if self.ema is not None:
            self.ema.update(unwrapped(self.network))
        return outcome

    def on_validation_epoch_start(self) -> None:
        super().on_validation_epoch_start()
        if self.ema is not None and self.predicts_with_ema:
            self.ema.exchange(unwrapped(self.network))

    def on_validation_epoch_end(self, val_outputs: list[dict]) -> None:
        if self.ema is not None and self.predicts_with_ema:
            self.ema.exchange(unwrapped(self.network))
        super().on_validation_epoch_end(val_outputs)

    def perform_actual_validation(self, save_probabilities: bool = False) -> None:
        with self.weights_to_predict_with():
            super().perform_actual_validation(save_probabilities)

    # Checkpoints

    def save_checkpoint(self, filename: str) -> None:
        with self.weights_to_predict_with():
            super().save_checkpoint(filename)

    def checkpoint_entries(self) -> dict[str, Any]:
        state = self.state_to_save()
        return super().checkpoint_entries() | ({STATE_KEY: state} if state else {})

    def state_to_save(self) -> dict[str, Any]:
        """Plain values and tensors for `restore_state`, taken while the network holds what is saved as its weights."""
        if self.ema is None:
            return {}
        average_in_network = self.predicts_with_ema
        return {
            "ema": {
                "steps": self.ema.steps,
                "network_weights_are_the_average": average_in_network,
                "the_other_weights": self.ema.network.state_dict(),
            }
        }

    def restore_entries(self, checkpoint: dict[str, Any]) -> None:
        super().restore_entries(checkpoint)
        self.restore_state(checkpoint.get(STATE_KEY, {}))

    def restore_state(self, state: dict[str, Any]) -> None:
        """Bring back what `state_to_save` returned; the network holds the checkpoint's `network_weights` already.

        Follows today's `predict_with`, whichever weights the checkpoint offers for prediction. A checkpoint without an
        average (nnU-Net's own, say) lets it begin at the network's weights.
        """
        stored, network = state.get("ema"), unwrapped(self.network)
        if stored is None:
            if self.ema is not None:
                self.print_to_log_file("The checkpoint holds no average of weights; it begins at the network's own.")
                self.ema.begin_at(network)
            return
        steps, average_in_network = stored["steps"], stored["network_weights_are_the_average"]
        if not (type(steps) is int and steps >= 0 and type(average_in_network) is bool):
            raise ValueError("it does not tell of how many steps its average is, or where")
        if self.ema is not None:
            fill(self.ema.network, stored["the_other_weights"])
            self.ema.steps = steps
            if average_in_network:
                self.ema.exchange(network)
        elif average_in_network:
            fill(network, stored["the_other_weights"])
