"""Patterns of ECMA-262 in Python's `re`, and the formats that are enforced."""

from __future__ import annotations

import re
from datetime import date

import pytest
from generator.patterns import FORMATS, PatternError, combine, translate


@pytest.mark.parametrize(
    ("pattern", "matching", "others"),
    [
        ("^ab$", ["ab"], ["ab\n", "xab", "abx"]),
        (r"^\d+$", ["12"], ["", "١٢", "1a"]),
        (r"^\w$", ["a", "_"], ["é", "-"]),
        (r"^\s$", [" ", "\u2003", "\ufeff"], ["a", ""]),
        (r"^\S$", ["a", "é", "\U0001f600"], [" ", "\u00a0"]),
        (r"^[\s\S]$", ["\n", "a"], [""]),
        ("^.$", ["a", "é"], ["\n", "\u2028", ""]),
        (r"^[\w.-]+@[\w-]+$", ["a.b@c-d"], ["a b@c", "@c"]),
        (r"^(?<x>a|b)\k<x>$", ["aa", "bb"], ["ab"]),
        (r"^(a|b)\1$", ["aa"], ["ab"]),
        (r"^(\")?[a-z]+\1$", ["abc", '"abc"'], ['"abc', 'abc"']),
        (r"^(?:(a)|b)\1c$", ["bc", "aac"], ["ac", "bac"]),
        (r"^(?<q>')?x\k<q>$", ["x", "'x'"], ["'x"]),
        (r"^(?:(.)(?!.*\1))*$", ["abc", ""], ["aba"]),
        (r"^(?!.*(.)\1{2}).*$", ["aab"], ["aaab"]),
        (r"^(a)(b)(c)(d)(e)(f)(g)(h)(i)(j)\10$", ["abcdefghijj"], ["abcdefghija0"]),
        (r"^\B$", [""], ["a", "-"]),
        (r"^[--/]$", ["-", ".", "/"], [",", "0"]),
        (r"^[a-z--b]$", ["-", "z", "A"], [",", "{"]),
        (r"^[\w-.]$", ["a", "-", "."], ["/"]),
        (r"^[a-]$", ["a", "-"], ["b"]),
        (r"^[-a]$", ["a", "-"], ["b"]),
        (r"^[+--]$", ["+", ",", "-"], ["."]),
        (r"^[^^]$", ["a"], ["^"]),
        (r"^[\\-\]]$", ["\\", "]"], ["a", "-"]),
        (r"^\u00e9\x41$", ["éA"], ["eA"]),
        (r"^\u{1F600}$", ["\U0001f600"], ["u"]),
        (r"^\ud83d\ude00$", ["\U0001f600"], [""]),
        (r"^[[\]&&~~||]+$", ["[]&~|"], ["a"]),
        ("^a{,2}$", ["a{,2}"], ["a", "aa"]),
        ("^a{1,2}$", ["a", "aa"], ["", "aaa"]),
        (r"^\/\-$", ["/-"], ["\\/"]),
        ("[^]", ["\n"], [""]),
        ("[]", [], ["", "a"]),
        (r"^\cJ$", ["\n"], ["J"]),
        (r"^[\b]$", ["\x08"], ["b"]),
        (r"\Aa\z", ["a"], ["ba", "a\n"]),
        (r"^(?=.*\d)(?!.*x).+$", ["a1"], ["a", "1x"]),
        ("", ["", "a"], []),
    ],
)
def test_a_pattern_matches_what_ecmascript_matches(
    pattern: str, matching: list[str], others: list[str]
) -> None:
    translated = re.compile(translate(pattern))
    assert [text for text in matching if not translated.search(text)] == []
    assert [text for text in others if translated.search(text)] == []


@pytest.mark.parametrize(
    "pattern",
    [
        r"^(?:(a)|b)+\1$",
        r"^(?:(a)?b){2}\1$",
        r"\100",
        "[a",
        "[a-",
        "[z-a]",
        r"\p{L}",
        "(?i)a",
        "a)",
        "(a",
        "a**",
        "\\",
        r"(?<=a*)b",
        r"\q",
        r"\u12",
    ],
)
def test_a_pattern_without_an_equal_is_refused(pattern: str) -> None:
    with pytest.raises(PatternError):
        translate(pattern)


def test_several_patterns_in_one() -> None:
    both = combine([translate("^a"), translate("b$"), translate(r"\d")])
    assert both is not None
    assert [text for text in ("a1b", "axb", "1ab", "a1b\n") if re.search(both, text)] == ["a1b"]
    assert combine([translate(r"(a)\1"), translate("b")]) is None
    assert combine(["x", "x"]) == "x"


class TestFormats:
    @pytest.mark.parametrize("year", [1, 1600, 1900, 2000, 2023, 2024, 2100, 9999])
    def test_a_date_is_one_of_the_calendar(self, year: int) -> None:
        pattern = re.compile(FORMATS["date"])
        for month in range(14):
            for day in range(33):
                try:
                    date(year, month, day)
                    exists = True
                except ValueError:
                    exists = False
                text = f"{year:04}-{month:02}-{day:02}"
                assert bool(pattern.search(text)) is exists, text

    @pytest.mark.parametrize(
        ("name", "valid", "invalid"),
        [
            (
                "date-time",
                [
                    "2024-02-29T23:59:60Z",
                    "2026-01-02t03:04:05.123456789z",
                    "2026-01-02T03:04:05-11:30",
                ],
                [
                    "2026-01-02T03:04:05",
                    "2026-02-29T00:00:00Z",
                    "2026-01-02 03:04:05Z",
                    "2026-01-02T24:00:00Z",
                ],
            ),
            ("time", ["10:00:00", "23:59:60.5Z", "01:02:03+04:00"], ["24:00:00", "10:00", "x"]),
            (
                "duration",
                ["PT5S", "P1Y2M3DT4H5M6.7S", "P2W", "-P1D"],
                ["P", "PT", "5S", "P1S", "P1W2D"],
            ),
            (
                "uuid",
                ["6f9619ff-8b86-4d01-b42d-00cf4fc964ff", "6F9619FF-8B86-4D01-B42D-00CF4FC964FF"],
                ["6f9619ff8b864d01b42d00cf4fc964ff", "6f9619ff-8b86-4d01-b42d-00cf4fc964fg", ""],
            ),
        ],
    )
    def test_a_format(self, name: str, valid: list[str], invalid: list[str]) -> None:
        pattern = re.compile(FORMATS[name])
        assert [text for text in valid if not pattern.search(text)] == []
        assert [text for text in invalid if pattern.search(text)] == []
        assert not any(pattern.search(text + "\n") for text in valid)
