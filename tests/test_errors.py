"""A few of many names in a sentence, with how many more there are."""

from nnunetv2_muduo.errors import listed, listed_reasons, shortened


def test_as_many_names_as_fit_are_all_listed():
    assert listed(["a", "b"], most=2) == "a, b"


def test_of_more_names_the_first_are_listed_and_the_others_counted():
    assert listed(iter("abc"), most=1) == "a and 2 more"


def test_no_name_is_listed_as_nothing():
    assert listed([]) == ""


def test_reasons_stand_behind_names_in_the_order_of_names():
    assert listed_reasons({"b": "too short", "a": "empty"}) == "a (empty); b (too short)"
    assert listed_reasons(dict.fromkeys("abcdefg", "no")).endswith("e (no); and 2 more")


def test_a_long_text_is_cut_and_says_so():
    assert shortened("a text", most=6) == "a text"
    assert shortened("a longer text", most=6) == "a l..."
