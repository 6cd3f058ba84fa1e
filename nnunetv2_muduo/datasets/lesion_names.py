"""Labels of lesions, told by their names: what healthy people lack, and what teachers of organs were not made for."""

from collections.abc import Iterable

_WORDS = ("lesion", "tumor", "tumour", "metasta", "nodule", "cancer")


def is_lesion(name: str) -> bool:
    """Whether a label's name says that it is a lesion."""
    return any(word in name.lower() for word in _WORDS)


def told_lesions_taught(names: Iterable[str], *, reliability: str) -> str:
    """What to tell of lesions that teachers teach unjudged; "" where there are none, or the teachers are judged.

    Args:
        names: of the labels.
        reliability: the setting.
    """
    lesions = [name for name in names if is_lesion(name)]
    if not lesions or reliability != "none":
        return ""
    return (
        f"{', '.join(lesions)}: teachers made for organs outline the organ around a lesion, and with the setting "
        "reliability=none the student learns that"
    )
