"""What glibc's heap comes to hold of memory that is taken and freed again, step after step.

Measured (`benchmarks/memory.py`, docs/memory.md): between two steps of a small training on the CPU nearly all of what
the heap has grown by is free, `malloc_trim` gives all of it back, and `MALLOC_ARENA_MAX=1` changes nothing. Once an
array has been freed that was mapped, glibc takes arrays up to its size, at most 32 MiB, from the heap instead
(M_MMAP_THRESHOLD in mallopt(3)). Of the heap it gives back the end alone, and a hole between two arrays seldom serves
an array of another size: small blocks that live on, or that a thread keeps for itself when they are freed, lie between
holes, so that they do not join, and an aligned array is asked for with more room than it leaves behind.
"""

from collections import Counter

MIB = 1024**2
GIVEN_BACK_ABOVE = 32 * MIB  # glibc's largest threshold of mapping (DEFAULT_MMAP_THRESHOLD_MAX in mallopt(3))


class KeptPlaces:
    """Counts as many places for each size as there were arrays of it at once; larger arrays only while they are held.

    Attributes:
        peak: bytes of places and of arrays above 32 MiB, the most there were at any time.
    """

    def __init__(self) -> None:
        self._held: Counter[int] = Counter()
        self._places: Counter[int] = Counter()
        self._bytes = self.peak = 0

    def take(self, size: int) -> None:
        """An array of so many bytes is made."""
        self._held[size] += 1
        if size > GIVEN_BACK_ABOVE:
            self._bytes += size
        elif self._held[size] > self._places[size]:
            self._places[size] += 1
            self._bytes += size
        self.peak = max(self.peak, self._bytes)

    def free(self, size: int) -> None:
        """One of so many bytes is freed; its place is the next one's, unless it is above 32 MiB."""
        self._held[size] -= 1
        if size > GIVEN_BACK_ABOVE:
            self._bytes -= size
