import numpy as np
import pytest

from vijax.data.selection import parse

COLUMNS = {
    "pt": np.array([10.0, 30.0, np.nan, 50.0]),
    "eta": np.array([-1.0, 2.0, 0.5, -3.0], np.float32),
    "n": np.array([1, 2, 3, 4], np.uint8),
    "big": np.array([2**53, 2**53 + 1, 5, 6]),
    "is_tight": np.array([True, False, True, True]),
    "kind": np.array(["a", "b", "a", None], object),
    "mark": np.array(["`a`", "it's", "'`a`'", ""], object),
    "p4": np.array([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0], [7.0, 8.0]]),
    "mass [GeV]": np.array([90.0, 91.0, 92.0, 93.0]),
    "Muon.pt": np.array([1.0, 2.0, 3.0, 4.0]),
}


@pytest.mark.parametrize(
    ("text", "rows"),
    [
        ("pt > 20", [1, 3]),
        ("pt > 20 and abs(eta) < 2.5", [1]),
        ("(pt > 20) & (abs(eta) < 2.5)", [1]),
        ("pt < 20 or eta < -2", [0, 3]),
        ("(pt < 20) | (eta < -2)", [0, 3]),
        ("not is_tight", [1]),
        ("~is_tight or n == 4", [1, 3]),
        ("1 < n <= 3", [1, 2]),
        ("n in (1, 4)", [0, 3]),
        ("n not in [1, 4]", [1, 2]),
        ("kind == 'a'", [0, 2]),
        ("kind in ('b',)", [1]),
        ("isfinite(pt)", [0, 1, 3]),
        ("isnan(pt)", [2]),
        ("n - 2 < 0", [0]),  # uint8 would wrap
        ("n ** 40 > 1e24", [3]),
        ("-n < -2.5", [2, 3]),
        ("big == 9007199254740993", [1]),  # 2^53 + 1, which float64 does not hold
        ("p4[1] > 4", [2, 3]),
        ("hypot(p4[0], p4[1]) < 5.5", [0, 1]),
        ("`mass [GeV]` > 91.5", [2, 3]),
        ("mark == '`a`' and `mass [GeV]` > 1", [0]),
        ("Muon.pt >= 3", [2, 3]),
        ("log(eta) > -1", [1, 2]),  # of negative ones NaN, which fails
        ("minimum(pt, 20) + sqrt(n) == 22", [3]),
        ("n % 2 == 0 and n // 2 == 1", [1]),
        (lambda columns: columns["n"] > 2, [2, 3]),
    ],
)
def test_rows(text, rows):
    mask = parse(text).mask(COLUMNS)
    assert mask.dtype == bool
    assert np.flatnonzero(mask).tolist() == rows


def test_names():
    selection = parse("`mass [GeV]` > 91 and Muon.pt + p4[0] > n and n < 2")
    assert selection.names == ("Muon.pt", "mass [GeV]", "n", "p4")
    assert parse(None) is None
    assert parse(len).names == ()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("pt >", "is no condition"),
        ("", "is no condition"),
        ("pt > 20 and __import__('os').system('true')", "is not understood"),
        ("open('x') > 0", "open\\('x'\\)\" is not understood"),
        ("(lambda: pt)() > 0", "is not understood"),
        ("[x for x in pt]", "is not understood"),
        ("pt.__class__() > 0", "is not understood"),
        ("abs(pt, eta) > 0", "is not understood"),
        ("abs(x=pt) > 0", "is not understood"),
        ("pt is None", "is not understood|write == or !="),
        ("n in kind", "give constants"),
        ("(n := 3) > 2", "is not understood"),
        ("f'{pt}' == '1'", "is not understood"),
        ("1j * pt > 0", "is not understood"),
        ("(" * 300 + "pt" + ")" * 300, "is no condition"),
        ("pt > 0" + " + 1" * 20_000, "is no condition"),
    ],
)
def test_what_is_no_condition_is_refused(text, words):
    with pytest.raises(ValueError, match=words):
        parse(text)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("pt", "gives float64 of shape \\(4,\\)"),
        ("p4 > 2", "gives bool of shape \\(4, 2\\) for 4 rows"),
        ("True", "gives bool of shape \\(\\)"),
        ("pt > 20 & n < 2", "put parentheses around the comparisons"),
        ("pt and eta", "join conditions, found"),
        ("not pt", "join conditions, found"),
        ("kind > 2", "text \\('a'\\) is compared with numbers \\(2\\)"),
        ("abs(kind) > 2", "arithmetic with 'a'"),
        ("p4[2] > 0", "asks for one of several values per row"),
        ("pt[0] > 0", "found an array of shape \\(4,\\)"),
        (lambda columns: columns["pt"], "select = the function gives float64"),
    ],
)
def test_what_is_no_mask_is_refused(text, words):
    with pytest.raises(ValueError, match=words):
        parse(text).mask(COLUMNS)
