from label_figure import ablations_in, draw, panels
from label_records import RECORDS, record
from matplotlib import pyplot


def test_figure_has_a_panel_for_budgets_where_there_are_several(tmp_path):
    more = [record("supervised", seed=0, liver=[0.9, 0.9], brain=[0.9, None], budget=10)]
    draw(RECORDS + more, tmp_path / "figure.png")
    draw(RECORDS, tmp_path / "one budget.png")
    widths = [pyplot.imread(tmp_path / f"{name}.png").shape[1] for name in ("figure", "one budget")]
    assert widths == [1540, 770]  # without an empty panel


def test_long_trainings_and_ablations_have_panels_of_their_own():
    more = [
        record(method, seed=0, liver=[0.9, 0.9], brain=[0.9, None])
        for method in ("muduo-pet-only", "cps-long", "supervised-long")
    ]
    assert panels(RECORDS + more) == {
        "5 labelled scans": ["supervised", "muduo", "cps"],
        "5 labelled scans, four times the steps": ["supervised-long", "cps-long"],
    }
    assert list(panels(RECORDS)) == ["5 labelled scans"]
    assert ablations_in(RECORDS + more) == ["muduo-pet-only"]
    assert ablations_in([run for run in RECORDS + more if run["method"] != "muduo"]) == []
