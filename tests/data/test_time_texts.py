"""Texts of times: reading them by columns changes no value and no message."""

import calendar
import time

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from fastautorec.data import _columns as columns
from fastautorec.data import _readers as readers
from fastautorec.data import _time_texts as time_texts
from fastautorec.data import read_ratings

NUMBERS = [
    "0", "-0", "007", "+5", "-12", "1.5", "1e3", " 5 ", "5\n", "1_0", "٣", "٣٣٣٣-٠١-٠١", "20240131", "1700000000",
    "1700000000000000100", "9007199254740993", "9223372036854775807", "9223372036854775808", "9999999999999999999",
    "-9223372036854775807", "-9223372036854775808", "-9223372036854775809", "18446744073709551615", "-", "--1", "nan",
    "1e999",
]  # fmt: skip
OTHERS = [
    "", " ", "soon", "NaT", "2024", "2024-01", "2024-W05-3", "20240131T123456", "2024-01-31Z", "2024-01-31T12",
    "2024-01-31 12:34:56TUTC", "2024-01-31 12:34:56  UTC", "2024-01-31 12:34:56 UTC", " 2024-01-31 ", "31.01.2024",
    "2024/01/31", "2024-1-31", "2024-01-31  12:34", "2024-01-31t12:34:56z", "2024-01-31 24:00:00", "é024-01-31",
    "2024-01-31 23:59:60", "2024-01-31 12:34:56.", "2024-01-31 12:34.5", "2024-01-31 12:34:56+24:00",
    "2024-01-31 12:34:56+02:60", "2024-01-31 12:34:56+02:00:30", "0000-01-01", "10000-01-01", "-2024-01-31",
    "2024-01-31é12:34:56", "2024-01-31 1é:34:56", "2024-01-31 12:34:56\u00a0", "2024-01-3\ud800",
    "2024-01-31\x0012:34", "0001-01-01 00:00:00+02:00", "9999-12-31 23:59:59.999999-23:59",
    "0001-01-01 00:00:00.000001",
]  # fmt: skip
TWO = st.one_of(st.integers(0, 61), st.sampled_from([0, 23, 24, 59, 60])).map("{:02}".format)
YEARS = st.one_of(
    st.integers(0, 9999), st.integers(1950, 2050), st.sampled_from([0, 1, 4, 100, 1600, 1900, 1970, 2000, 9999])
)
DAYS = st.builds(
    "{:04}-{:02}-{:02}".format, YEARS, st.integers(0, 13), st.one_of(st.integers(0, 32), st.integers(28, 31))
)
FRACTIONS = st.one_of(
    st.just(""), st.builds("{}{}".format, st.sampled_from(".,"), st.text("0123456789", min_size=1, max_size=12))
)
CLOCKS = st.one_of(
    st.builds("{}:{}".format, TWO, TWO),
    st.builds("{}:{}:{}{}".format, TWO, TWO, TWO, FRACTIONS),
)
ZONES = st.one_of(
    st.sampled_from(["", "Z", " UTC", "z", "UTC", "+0", "ZZ"]),
    st.builds("{}{}{}{}".format, st.sampled_from("+-"), TWO, st.sampled_from(["", ":"]), st.one_of(st.just(""), TWO)),
)
TEXTS = st.one_of(
    DAYS,
    st.builds("{}{}{}{}".format, DAYS, st.sampled_from([" ", "T", "T", "t", "_", ""]), CLOCKS, ZONES),
    st.sampled_from(NUMBERS + OTHERS),
    st.integers(-(10**20), 10**20).map(str),
)


def nearly(text: str, place: int, character: str) -> str:
    return text[: place % (len(text) + 1)] + character + text[place % (len(text) + 1) + 1 :]


NEARLY = st.one_of(TEXTS, st.builds(nearly, TEXTS, st.integers(0, 40), st.sampled_from("0123456789-+:., TZé٣")))


def outcome(act):
    try:
        values = act()
        return values.dtype, values.tobytes()
    except ValueError as error:
        return type(error), str(error)


def one_by_one(act):
    """Return what comes out where no text is read by columns."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(time_texts, "_read", lambda *_: None)
        return outcome(act)


def check(column):
    assert outcome(lambda: columns.times("t", column)) == one_by_one(lambda: columns.times("t", column))


@settings(max_examples=400)
@given(st.lists(NEARLY, max_size=6))
@example(["2024-01-31", "5", "6", "soon"])
@example(["5", "2024-01-31"])
@example(["5", "2024-01-31", "7.5"])
@example(["2024-01-31", " 2024-01-31 12:00 ", "2024-01-30"])
@example(["1", "9223372036854775808", "9007199254740993"])
@example(["1", "+9007199254740993"])
@example(["2024-01-31", "b\x00", "a\x00", "2024-01-31"])
def test_columns_of_texts(texts):
    check(texts)
    check(np.array(texts, object))
    if not any("\ud800" in text for text in texts):
        pl = pytest.importorskip("polars", reason="polars is not installed")
        check(pl.Series(texts, dtype=pl.String))


@settings(max_examples=2000)
@given(NEARLY)
def test_texts(text):
    check([text])


@pytest.mark.parametrize("text", NUMBERS + OTHERS)
def test_texts_at_the_edge(text):
    for first in ("2024-01-31 12:34:56", "2024-01-31", "17", "1.5"):
        for texts in ([text], [first, text], [first, first, text, first], [text, first]):
            check(texts)


@pytest.mark.parametrize("year", [1, 4, 100, 400, 1582, 1900, 1969, 1970, 2000, 2023, 2024, 2100, 9999])
def test_all_days_of_a_year(year):
    days = [f"{year:04}-{month:02}-{day:02}" for month in range(1, 13) for day in range(1, 32)]
    read = time_texts.read(days)
    good = [int(day[8:]) <= calendar.monthrange(year, int(day[5:7]))[1] for day in days]
    assert (read.kinds == time_texts.DATE).tolist() == good
    check([day for day, is_good in zip(days, good, strict=True) if is_good])


def test_all_usual_layouts_are_read_by_columns():
    clocks = ["", *(f"{t}{clock}" for t in " T" for clock in ("12:34", "12:34:56"))]
    fractions = [f" 12:34:56{point}{'123456789'[:n]}" for point in ".," for n in range(1, 10)]
    zones = ["", "Z", " UTC", "+02", "-02", "+0230", "+02:30", "-23:59"]
    texts = ["2024-02-29" + clock + zone for clock in clocks[1:] + fractions for zone in zones] + ["2024-02-29"]
    assert (time_texts.read(texts).kinds == time_texts.DATE).all()
    check(texts)


@pytest.mark.parametrize("layout", ["{} {}", "{}T{}Z", "{} {}.125", "{}T{}+02:00"])
def test_many_texts_in_several_layouts(layout, rng):
    seconds = rng.integers(-(10**10), 10**10, 3 * time_texts._BLOCK // 2).astype("M8[s]")
    texts = [layout.format(*str(second).split("T")) for second in seconds]
    texts[::7] = [text[:16] for text in texts[::7]]
    check(texts)
    check([*texts[:-1], "later"])
    check([text + " " for text in texts[:99]])
    check([*("  " + text for text in texts[:9]), " 7 "])


def test_a_million_texts_take_little_time():
    texts = [str(second) for second in np.arange(10**9, 10**9 + 300_000).astype("M8[s]")]
    begin = time.process_time()
    columns.times("t", texts)
    columns.times("t", [f" {text} " for text in texts])  # as in columns of fixed width
    assert time.process_time() - begin < 3  # .5; one by one 4 and more for each


# -- files ------------------------------------------------------------------------------------------------------------


def in_a_file(texts):
    return not any(set(text) & set('\n\r\x00"\ud800') for text in texts)


@settings(max_examples=300)
@given(
    st.lists(NEARLY, min_size=1, max_size=6).filter(in_a_file),
    st.sampled_from(["", "2024-01-31 12:34:56", "17"]),
    st.sampled_from(["", "1;2", "1;;3"]),
)
@example(["2024-01-31 12:34:56"] * 25 + ["soon", "2024-01-31", "later"], "", "1;2")
def test_files(tmp_path_factory, texts, before, last):
    path = tmp_path_factory.getbasetemp() / "times.csv"
    rows = ([before] * 25 if before else []) + texts
    path.write_text("".join(f"{row};{row % 3};{text}\n" for row, text in enumerate(rows)) + last, encoding="utf-8")
    found = []
    for polars in (False, True) if readers._POLARS else (False,):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(readers, "_POLARS", polars)

            def read():
                return read_ratings(path, header=False, user=0, item=1, rating=False, timestamp=2).timestamps

            found += [one_by_one(read), outcome(read)]
    assert found == found[:1] * len(found)
