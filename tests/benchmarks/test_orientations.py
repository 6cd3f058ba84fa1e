import numpy as np
from orientations import EDGE, OF_TEACHERS, STORED, TRUNK, table_rows, trunk


def test_the_patch_that_teachers_see_shows_each_organ():
    images, masks = trunk(0)
    assert images.shape == (2, EDGE, EDGE, EDGE)
    assert (masks.shape, masks.any((1, 2, 3)).all()) == ((len(TRUNK), EDGE, EDGE, EDGE), True)
    assert images[0][masks[TRUNK.index("lungs")]].mean() < images[0][masks[TRUNK.index("liver")]].mean() - 500
    assert images[0, 0, 0, 0] == -1000


def test_a_line_tells_means_over_scans_and_organs():
    teachers = [
        {"stored": stored, "turned": turned, "dice": {name: [[0.9 if turned else 0.5, 0.7]] for name in OF_TEACHERS}}
        for stored in STORED
        for turned in (False, True)
    ]
    network = {stored: [[0.25, np.nan], [0.35, 0.3]] for stored in STORED}
    rows = table_rows(teachers, network)
    assert rows == [[stored, *["0.60"] * 3, *["0.80"] * 3, "0.30"] for stored in STORED]
