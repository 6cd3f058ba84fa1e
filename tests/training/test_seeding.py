from itertools import product

from nnunetv2_muduo.training.seeding import Stream, stream_seed


def test_every_process_epoch_purpose_and_seed_has_a_stream_of_its_own():
    names = list(product(range(4), range(4), range(6), Stream))
    seeds = {stream_seed(seed, rank=rank, epoch=epoch, stream=stream) for seed, rank, epoch, stream in names}
    assert len(seeds) == len(names)
    assert all(0 <= seed < 2**32 for seed in seeds), "numpy takes no others"


def test_a_stream_is_the_same_in_every_run():
    assert [stream_seed(7, rank=1, epoch=2, stream=Stream.NOISE) for _ in range(2)] == [850689729] * 2


def test_the_seed_itself_begins_and_none_stays_none():
    assert stream_seed(7, rank=0, epoch=0, stream=Stream.LABELLED) == 7
    assert stream_seed(None, rank=1, epoch=2, stream=Stream.NOISE) is None
