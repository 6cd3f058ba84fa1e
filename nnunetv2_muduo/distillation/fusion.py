"""From two teachers' probabilities, and maybe the student's own, to one hard pseudo-label."""

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class StudentVote:
    """The averaged student's say in a pseudo-label, beside the teachers (not published).

    Attributes:
        probabilities: [B, K, *spatial] in [0, 1].
        share: its weight in [0, 1]; the teachers have the rest.
    """

    probabilities: Tensor
    share: float


def both_streams(p_ct: Tensor | None, p_pet: Tensor | None) -> tuple[Tensor, Tensor]:
    """Both teachers' probabilities; where one teacher is switched off (None), the other stands in for it.

    Raises:
        ValueError: when both are missing.
    """
    first = p_pet if p_ct is None else p_ct
    second = p_ct if p_pet is None else p_pet
    if first is None or second is None:
        raise ValueError("at least one teacher's probabilities are needed")
    return first, second


def mixture(p_ct: Tensor, p_pet: Tensor, mix: Tensor | None = None) -> Tensor:
    """mix * p_ct + (1 - mix) * p_pet.

    Args:
        p_ct: [B, K, *spatial] probabilities in [0, 1].
        p_pet: the same shape.
        mix: [B, K] weight of the CT teacher in [0, 1]; None: one half.
    """
    weight = 0.5 if mix is None else mix.reshape(*mix.shape, *[1] * (p_ct.ndim - 2)).to(p_ct.dtype)
    return weight * p_ct + (1 - weight) * p_pet


def fuse(p_ct: Tensor, p_pet: Tensor, mix: Tensor | None = None, *, vote: StudentVote | None = None) -> Tensor:
    """Mix the teachers and cut at one half: mix * p_ct + (1 - mix) * p_pet > 0.5 (arXiv 2606.15611, fusion).

    With a vote of the student's own the mixture is share * own + (1 - share) * teachers.

    Args:
        p_ct: [B, K, *spatial] probabilities in [0, 1].
        p_pet: the same shape.
        mix: as `mixture` takes it (published: drawn uniformly per patch and organ).
        vote: None: the teachers decide alone.

    Returns:
        [B, K, *spatial] bool.
    """
    teachers = mixture(p_ct, p_pet, mix)
    return (teachers if vote is None else vote.share * vote.probabilities + (1 - vote.share) * teachers) > 0.5
