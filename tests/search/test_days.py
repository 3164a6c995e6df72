"""Days that a question names."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import pytest

from memoria.search.days import Day, named_days, nearness, write_out
from memoria.search.languages import ENGLISH, NONE


@pytest.mark.parametrize(
    ("cue", "days"),
    [
        ("What did Ann do on 8 May 2023?", [Day(2023, 5, 8)]),
        ("What did Ann do on May 8th, 2023?", [Day(2023, 5, 8)]),
        ("the 3rd of Sep", [Day(None, 9, 3)]),
        ("between 2023-05-08 and 9.5.2023", [Day(2023, 5, 8), Day(2023, 5, 9)]),
        ("in May 2023", []),
        ("may 2023 people come?", []),
        ("am 8.5. oder 9. 5. 2023", [Day(None, 5, 8), Day(2023, 5, 9)]),
        ("version 1.2.3 of 10.0.7.31", []),
        ("31 February 2023", [Day(2023, 2, 31)]),
    ],
)
def test_days_are_found_in_a_question(cue: str, days: list[Day]) -> None:
    assert named_days(cue, ENGLISH) == days


def test_without_names_of_months_figures_are_found() -> None:
    assert named_days("8 May 2023 or 2023-05-09", NONE) == [Day(2023, 5, 9)]


def test_a_text_is_the_nearer_the_sooner_it_was_said_after() -> None:
    said = [datetime(2023, 5, day, 23, 59, tzinfo=UTC) for day in (7, 8, 9, 11, 12)]
    times = np.array([-1, *(int(one.timestamp() * 1000) for one in said)])
    wanted = [0, 0, 1, 0.75, 0.25, 0]
    assert nearness(times, [Day(2023, 5, 8)]).tolist() == wanted
    assert nearness(times, [Day(None, 5, 8)]).tolist() == wanted
    assert nearness(times, [Day(2023, 2, 31), Day(9999, 5, 8)]).tolist() == [0] * 6


def test_a_day_at_the_end_of_a_year_without_its_number() -> None:
    time = int(datetime(2024, 1, 1, tzinfo=UTC).timestamp() * 1000)
    assert nearness(np.array([time]), [Day(None, 12, 31)]).tolist() == [0.75]


def test_figures_are_written_out_as_texts_have_them() -> None:
    assert (
        write_out("on 2023-05-08 or 9.12.2023?", ENGLISH) == "on 8 May, 2023 or 9 December, 2023?"
    )
    for cue in ("on 8.5.", "in 2023-13-01", "version 1.2.3"):
        assert write_out(cue, ENGLISH) == cue
    assert write_out("on 2023-05-08", NONE) == "on 2023-05-08"
