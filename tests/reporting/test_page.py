import re
from html.parser import HTMLParser

import numpy as np
import pytest
from PIL import Image
from trained_folders import ORGANS, logged, write_fold, write_scans

from nnunetv2_muduo.reporting.page import write_report
from nnunetv2_muduo.reporting.training import read_training

NASTY = "<b>x&y"
DICE = {
    NASTY: {"liver": 0.912345, "spleen": 0.512345, "lesion": 0.1},
    "good": {"liver": 0.95, "spleen": 0.85, "lesion": 0.75},
}
VOID = {"meta", "img", "br", "link", "input", "hr"}


class Page(HTMLParser):
    """A page whose every element is closed in order: what it loads, its text, its tables."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.elements: list[tuple[str, dict]] = []
        self.text: list[str] = []
        self.rows: dict[str, list[float]] = {}
        self.caption = self.row = ""
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)
        if tag in ("caption", "table"):
            self.caption = ""
        if tag == "tr":
            self.row = ""
        if tag == "data":
            self.rows.setdefault(f"{self.caption}: {self.row}", []).append(float(dict(attrs)["value"]))

    def handle_startendtag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text.append(data)
        if self.open and self.open[-1] == "caption":
            self.caption += data
        if self.open[-2:] == ["tr", "th"]:
            self.row += data

    @property
    def words(self) -> str:
        return " ".join(" ".join(self.text).split())

    def attributes(self, *names: str) -> list[str]:
        return [value or "" for _, attrs in self.elements for name, value in attrs.items() if name in names]


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """Two trainings, one of them validated, with scans, pictures, a teacher report and a key nobody knows."""
    root = tmp_path_factory.mktemp("report")
    write_scans(root / "raw", (NASTY, "good"))
    report = [[0.5, 0.6, 0.7], [float("nan")] * 3, [0.8, 0.7, 0.6], [float("nan")] * 3]
    log = logged(4, report_student=report, report_fused=report, my_own_key=[1.0, 2.0, 3.0, 4.0])
    folds = [write_fold(root, dice=DICE, log=log), write_fold(root, trainer="nnUNetTrainer")]
    pixels = np.random.default_rng(0).integers(0, 255, (1600, 1600, 3), dtype=np.uint8)
    for epoch in (0, 1, 2):
        Image.fromarray(pixels).save(folds[0] / f"unlabelled_patch_epoch_{epoch:04d}.png")
    trainings = [read_training(fold, name) for fold, name in zip(folds, ("ours", "stock"), strict=True)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("nnUNet_raw", str(root / "raw"))
        notes = write_report(root / "page.html", trainings, most_picture_bytes=600_000)
    return root / "page.html", notes


@pytest.fixture(scope="module")
def page(written):
    return Page(written[0].read_text("utf-8"))


def test_page_is_in_a_language_and_every_element_is_closed(page):
    assert ("html", {"lang": "en"}) in page.elements


def test_page_loads_nothing_from_anywhere(page, written):
    assert all(value.startswith(("data:image/jpeg;base64,", "#")) for value in page.attributes("src", "href"))
    assert not page.attributes("srcset", "poster", "data", "action", "xlink:href")
    assert not {"link", "iframe", "object", "embed", "base"} & {tag for tag, _ in page.elements}
    text = re.sub(r"data:image/jpeg;base64,[^\"]+", "", written[0].read_text("utf-8"))
    assert not re.search(r"https?://|url\(|@import|fetch\(|XMLHttpRequest", text)
    assert "default-src 'none'" in " ".join(page.attributes("content"))


def test_numbers_are_those_of_summary_json(page):
    means = {organ: np.mean([case[organ] for case in DICE.values()]) for organ in ORGANS}
    caption = "Dice of the final validation"
    for organ in ORGANS:
        np.testing.assert_allclose(page.rows[f"{caption}: {organ}"], [means[organ], np.nan])
    np.testing.assert_allclose(page.rows[f"{caption}: mean"], [np.mean(list(means.values())), np.nan])


def test_names_from_files_are_escaped(page):
    assert "b" not in {tag for tag, _ in page.elements}
    assert f"case {NASTY}" in page.words
    assert any(NASTY in alt for alt in page.attributes("alt"))
    assert page.rows[f"Mean Dice of each case, worst first: {NASTY}"][0] == pytest.approx(0.508230)


def test_both_trainings_are_named_and_the_missing_validation_is_told(page, written):
    assert {"ours", "stock"} <= set(page.text)
    assert "stock: There is no validation/summary.json" in page.words
    assert any(note.startswith("stock: There is no validation/summary.json") for note in written[1])


def test_keys_nobody_knows_are_drawn(page):
    assert any(label.startswith("My own key") for label in page.attributes("aria-label"))


def test_every_picture_and_figure_has_words(page):
    images = [attrs for tag, attrs in page.elements if tag == "img"]
    assert len(images) == 2 + 2  # best and worst case, first and last patch
    assert all(image["alt"] for image in images)
    charts = [attrs for tag, attrs in page.elements if tag == "svg" and attrs.get("class") == "chart"]
    assert charts
    assert all(chart["role"] == "img" and chart["aria-label"] for chart in charts)


def test_every_table_has_a_caption(page):
    tags = [tag for tag, _ in page.elements]
    assert tags.count("table") == tags.count("caption") > 0


def test_page_stays_as_small_as_asked(written):
    assert written[0].stat().st_size < 600_000 + 200_000


def test_links_lead_somewhere(page):
    targets = {f"#{name}" for name in page.attributes("id")}
    assert set(page.attributes("href")) <= targets


@pytest.mark.parametrize("keep", ["training_log_1.txt", "checkpoint_final.pth"])
def test_page_is_written_whatever_is_missing(tmp_path, monkeypatch, keep):
    monkeypatch.delenv("nnUNet_raw", raising=False)
    fold = write_fold(tmp_path, dice=DICE)
    (fold / "training_log_1.txt").write_text("")
    for path in (*fold.parent.glob("*.json"), *fold.glob("*.*")):
        if path.name != keep:
            path.unlink()
    (fold.parent / "dataset.json").write_text('{"labels": 1}')
    write_report(tmp_path / "page.html", [read_training(fold, "mine")])
    page = Page((tmp_path / "page.html").read_text("utf-8"))
    assert "What is missing" in page.words


def test_unset_raw_folder_is_told_and_nothing_else_is_lost(tmp_path, monkeypatch):
    monkeypatch.delenv("nnUNet_raw", raising=False)
    notes = write_report(tmp_path / "page.html", [read_training(write_fold(tmp_path, dice=DICE), "mine")])
    assert any("nnUNet_raw is not set" in note for note in notes)
    assert "Dice of the final validation: liver" in Page((tmp_path / "page.html").read_text("utf-8")).rows


def test_a_pretraining_has_no_column_of_dice(tmp_path, monkeypatch):
    monkeypatch.delenv("nnUNet_raw", raising=False)
    folds = [write_fold(tmp_path, dice=DICE), write_fold(tmp_path, trainer="nnUNetTrainerPETCTMAE")]
    write_report(tmp_path / "page.html", [read_training(f, n) for f, n in zip(folds, ("ours", "mae"), strict=True)])
    table = (
        (tmp_path / "page.html")
        .read_text("utf-8")
        .partition("Dice of the final validation")[2]
        .partition("</table>")[0]
    )
    assert "ours" in table
    assert "mae" not in table
