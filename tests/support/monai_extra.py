"""The mark of tests that need the optional extra; MONAI is not imported to find out, because that takes seconds."""

from importlib.util import find_spec

import pytest

needs_monai = pytest.mark.skipif(find_spec("monai") is None, reason="needs MONAI: pip install 'nnunetv2-muduo[swin]'")
