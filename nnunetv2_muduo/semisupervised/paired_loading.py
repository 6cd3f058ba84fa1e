"""The loader that hands out one labelled and one unlabelled batch a step."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from batchgenerators.dataloading.multi_threaded_augmenter import MultiThreadedAugmenter
from batchgenerators.dataloading.nondet_multi_threaded_augmenter import NonDetMultiThreadedAugmenter

from nnunetv2_muduo.semisupervised.loading import UnlabelledDataLoader
from nnunetv2_muduo.training.workers import Augmenter, loader_inside


class PairedLoader:
    """Hands out a labelled batch with an unlabelled one in it, and shuts the workers of both down.

    Args:
        labelled: nnU-Net's own loader.
        unlabelled: what `build_unlabelled_loader` returned.
    """

    def __init__(self, labelled: Augmenter, unlabelled: Augmenter) -> None:
        self.labelled = labelled
        self.unlabelled = unlabelled

    def __iter__(self) -> "PairedLoader":
        return self

    def __next__(self) -> dict:
        """{"data", "target", "keys"} as nnU-Net's loader returns them, and "unlabelled": the other batch."""
        return {**next(self.labelled), "unlabelled": next(self.unlabelled)}

    @property
    def unlabelled_patches(self) -> UnlabelledDataLoader:
        """The loader inside the unlabelled stream, in this process."""
        return loader_inside(self.unlabelled)

    def finish(self) -> None:
        """End all worker processes; may be called more than once. nnU-Net ends only loaders of its own classes."""
        for loader in (self.labelled, self.unlabelled):
            if isinstance(loader, NonDetMultiThreadedAugmenter | MultiThreadedAugmenter):
                with _quiet(getattr(loader, "results_loop_thread", getattr(loader, "pin_memory_thread", None))):
                    loader._finish()


@contextmanager
def _quiet(thread: threading.Thread | None) -> Iterator[None]:
    """Say nothing of how this thread ends.

    A worker that has just left takes the shared memory of its last patches with it; the thread that was about to
    receive them then dies of a broken connection, which batchgenerators does not catch and which harms nobody.
    """
    usual = threading.excepthook
    threading.excepthook = lambda failure: None if failure.thread is thread else usual(failure)
    try:
        yield
    finally:
        threading.excepthook = usual
