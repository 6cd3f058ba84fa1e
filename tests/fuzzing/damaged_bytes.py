"""Files as bad disks, broken copies and other programs leave them: any bytes in, worse bytes out."""

from random import Random


def damaged_bytes(data: bytes, rng: Random) -> tuple[bytes, str]:
    """One random damage; returns what is left and what was done."""
    if not data:
        return rng.randbytes(rng.randrange(1, 64)), "noise in an empty file"
    return rng.choice(_WAYS)(data, rng)


def reencoded(data: bytes, rng: Random) -> tuple[bytes, str]:
    """A text saved in another encoding."""
    text = data.decode("utf-8", "replace")
    encoding = rng.choice(["utf-16", "utf-16-le", "utf-32", "utf-8-sig", "latin-1", "cp500"])
    if encoding == "latin-1":
        text = text.replace("a", "ä")
    return text.encode(encoding, "replace"), f"encoded as {encoding}"


def _cut(data: bytes, rng: Random) -> tuple[bytes, str]:
    length = rng.randrange(len(data))
    return data[:length], f"cut to {length} bytes"


def _emptied(data: bytes, rng: Random) -> tuple[bytes, str]:
    return b"", "empty"


def _flipped(data: bytes, rng: Random) -> tuple[bytes, str]:
    changed = bytearray(data)
    number = rng.choice([1, 1, 2, 8, 64])
    for _ in range(number):
        changed[rng.randrange(len(changed))] ^= 1 << rng.randrange(8)
    return bytes(changed), f"{number} bit(s) flipped"


def _overwritten(data: bytes, rng: Random) -> tuple[bytes, str]:
    start, length = rng.randrange(len(data)), rng.choice([1, 4, 64, 512])
    filler = rng.choice([bytes(length), b"\xff" * length, rng.randbytes(length)])
    return data[:start] + filler + data[start + length :], f"{length} byte(s) overwritten at {start}"


def _removed(data: bytes, rng: Random) -> tuple[bytes, str]:
    start, length = rng.randrange(len(data)), rng.choice([1, 7, 100])
    return data[:start] + data[start + length :], f"{length} byte(s) missing at {start}"


def _repeated(data: bytes, rng: Random) -> tuple[bytes, str]:
    start = rng.randrange(len(data))
    return data[:start] + data[max(0, start - 50) :], f"what stands before {start} is there twice"


_WAYS = (_cut, _cut, _emptied, _flipped, _flipped, _overwritten, _removed, _repeated, reencoded)
