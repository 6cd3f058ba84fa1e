from pathlib import Path

import numpy as np
from drawn_panels import SHAPE, SPACING_IN_MM, assert_axial, assert_coronal, catch_figures, numbered, panel, sides

from nnunetv2_muduo.evaluation import figures

NAN = float("nan")
SOURCES = ("ct_teacher", "pet_teacher", "fused", "prompt_generator", "student")


def test_progress_is_drawn_with_epochs_that_logged_nothing(tmp_path: Path):
    per_organ = [[NAN, NAN], [0.5, NAN], [0.6, 0.7]]
    logged = {
        "supervised_losses": [1.0, 0.5, 0.2],
        "consistency_losses": [NAN, 0.9, 0.8],
        "consistency_weights": [0.0, 0.01, 0.1],
        "teacher_seconds": [NAN, 0.3, 0.3],
        "teacher_agreement": per_organ,
        "share_kept": per_organ,
        **{f"report_{source}": per_organ for source in SOURCES},
    }
    figures.draw_progress(tmp_path / "progress.png", logged, ["liver", "spleen"])
    assert (tmp_path / "progress.png").stat().st_size > 10_000


def test_progress_shows_what_a_trainer_logs_and_no_more(tmp_path: Path, monkeypatch):
    titles = []
    monkeypatch.setattr(
        figures, "save_figure", lambda figure, path: titles.extend(a.get_title() for a in figure.axes if a.axison)
    )
    always = {"supervised_losses": [1.0, 0.5], "consistency_losses": [0.9, 0.8], "consistency_weights": [0.0, 0.1]}
    figures.draw_progress(tmp_path / "a.png", always | {"certain_shares": [0.2, 0.9]}, ["liver"])
    assert titles == ["loss", "weight of the consistency loss", "share of voxels"]
    titles.clear()
    taught = {"teacher_seconds": [0.1, 0.1], "share_prompted": [[0.5], [1.0]], "report_student": [[0.4], [NAN]]}
    figures.draw_progress(tmp_path / "b.png", always | taught, ["liver"])
    assert len(titles) == 5
    assert titles[-1] == "mean Dice on labelled patches"
    figures.plt.close("all")


def test_of_many_organs_the_lowest_are_named_and_every_panel_keeps_its_place(tmp_path: Path, monkeypatch):
    drawn = []
    monkeypatch.setattr(figures, "save_figure", lambda figure, path: drawn.append(figure))
    agreement = [[NAN] * 40, [organ / 40 for organ in range(40)], [organ / 40 for organ in range(40)]]
    logged = {"supervised_losses": [1.0, 0.5, 0.2], "teacher_agreement": agreement}
    figures.draw_progress(tmp_path / "a.png", logged, [f"organ_{organ}_of_a_long_name" for organ in range(40)])
    drawn[0].canvas.draw()
    loss, organs = drawn[0].axes
    assert len(organs.lines) == 40
    legend = organs.get_legend()
    assert [text.get_text() for text in legend.get_texts()] == [f"organ_{n}_of_a_long_name" for n in range(10)]
    assert organs.get_title().endswith("the 10 lowest of 40 organs at the end")
    assert legend.get_window_extent().height < organs.get_window_extent().height
    assert loss.get_window_extent().height > 0.7 * drawn[0].bbox.height
    figures.plt.close("all")


def test_patch_is_drawn_with_empty_and_full_masks(tmp_path: Path):
    shape = (6, 9, 7)
    masks = {"student": np.zeros((2, *shape), bool), "pseudo-label": np.ones((2, *shape), bool)}
    masks["student"][0, 2:4, 3:6, 2:5] = True
    volume = np.zeros(shape, np.float32)
    figures.draw_patch(
        tmp_path / "a.png", volume, volume, masks, title="case a", spacing_in_mm=(3, 2, 2), oriented=True
    )
    assert (tmp_path / "a.png").stat().st_size > 10_000


def test_patient_stands_upright_in_true_proportions(tmp_path: Path, monkeypatch):
    caught = catch_figures(monkeypatch, figures)
    mask, ct = np.zeros((1, *SHAPE), bool), numbered()
    mask[0, 2, 5, 3] = True
    figures.draw_patch(
        tmp_path / "a.png", ct, -ct, {"student": mask}, title="", spacing_in_mm=SPACING_IN_MM, oriented=True
    )
    for modality, volume in {"CT": ct, "PET": -ct}.items():
        assert_axial(panel(caught[0], f"{modality}, axial"), volume, 2)
        assert_coronal(panel(caught[0], f"{modality}, coronal"), volume, 5)


def test_no_side_is_marked_where_nobody_knows_how_the_patient_lies(tmp_path: Path, monkeypatch):
    caught = catch_figures(monkeypatch, figures)
    figures.draw_patch(
        tmp_path / "a.png", numbered(), numbered(), {}, title="", spacing_in_mm=(1, 1, 1), oriented=False
    )
    assert [sides(axis) for axis in caught[0].axes] == [{}] * 4


def test_nnunets_change_of_style_does_not_reach_our_figures(tmp_path: Path):
    import matplotlib

    mask, volume = {"student": np.zeros((1, 4, 4, 4), bool)}, np.zeros((4, 4, 4), np.float32)
    figures.draw_patch(tmp_path / "plain.png", volume, volume, mask, title="", spacing_in_mm=(1, 1, 1), oriented=True)
    with matplotlib.rc_context({"font.size": 30, "axes.facecolor": "green"}):
        figures.draw_patch(
            tmp_path / "styled.png", volume, volume, mask, title="", spacing_in_mm=(1, 1, 1), oriented=True
        )
        assert matplotlib.rcParams["font.size"] == 30
    assert (tmp_path / "plain.png").read_bytes() == (tmp_path / "styled.png").read_bytes()


def test_losses_below_zero_are_in_the_picture():
    figure, (falling, positive) = figures.plt.subplots(1, 2)
    figures._draw_scalars(falling, {"loss": [0.4, -0.8]}, {"loss": "labelled"}, "loss")
    figures._draw_scalars(positive, {"loss": [0.4, 0.8]}, {"loss": "labelled"}, "loss")
    assert falling.get_ylim()[0] < -0.8
    assert positive.get_ylim()[0] == 0
    figures.plt.close(figure)
