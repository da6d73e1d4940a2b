"""A filter that can't be read is refused in words that mend it."""

from __future__ import annotations

import pytest

from relay.filters import FilterError, compile  # noqa: A004 - as in `re.compile`


def refusal(text: str) -> FilterError:
    with pytest.raises(FilterError) as caught:
        compile(text)
    return caught.value


def test_the_refusal_shows_line_column_text_and_remedy() -> None:
    text = "type = 'microsoft.iot.telemetry'\n  AND ($body.severity == 3\n  OR id = '1')"

    expected = (
        "line 2, column 23: == is no comparison\n"
        "    AND ($body.severity == 3\n"
        "                        ^^\n"
        "Write =."
    )
    assert expected == str(refusal(text))


def test_the_refusal_says_what_was_expected() -> None:
    expected = (
        "line 1, column 12: AND, OR or the end of the filter is expected here, not type\n"
        "  type = 'a' type = 'b'\n"
        "             ^^^^\n"
        "Join conditions with AND or OR."
    )
    assert expected == str(refusal("type = 'a' type = 'b'"))


def test_the_refusal_carries_its_parts() -> None:
    error = refusal("\n typ = 'x'")

    assert (error.line, error.column) == (2, 2)
    assert error.problem == "there is no field typ"
    assert error.remedy.startswith("Did you mean type? The fields are type, source, subject,")


@pytest.mark.parametrize(
    ("text", "column", "remedy"),
    [
        ("type == 'x'", 6, "Write =."),
        ("type <> 'x'", 6, "Write !=."),
        ("$body.x => 5", 9, "Write >=."),
        ("$body.x =< 5", 9, "Write <=."),
        ("$body.x ! 5", 9, "The comparisons are"),
        ('type = "x"', 8, "straight single quotes"),
        ("type = \u2018x\u2019", 8, "straight single quotes"),
        ("type = `x`", 8, "straight single quotes"),
        ("type = 'x", 8, "never closed"),
        ("type = 'it's'", 12, "written twice"),
        (r"type = 'C:\temp'", 11, r"Write \\ for a backslash"),
        ("type = x", 8, "needs single quotes"),
        ("$body.a = $body.b", 11, "a value"),
        ("type = 'x' && id = 'y'", 12, "Write AND."),
        ("type = 'x' & id = 'y'", 12, "Write AND."),
        ("type = 'x' || id = 'y'", 12, "Write OR."),
        ("!(type = 'x')", 1, "Write NOT"),
        ("NOT NOT type = 'x'", 5, "One NOT"),
        ("subjekt = 'x'", 1, "Did you mean subject?"),
        ("Type = 'x'", 1, "Did you mean type?"),
        ("temperature = 5", 1, "$body.<name>"),
        ("$metadata.$model = 'x'", 1, "$body.$metadata.$model"),
        ("data.x = 5", 5, "begins with $body"),
        ("STARTSWITH(type, 'x')", 1, "STARTS_WITH, ENDS_WITH, CONTAINS and PATCH_TOUCHES"),
        ("type = 'x' AND IS_DEFINED($body.x)", 16, "!= null"),
        ("subject CONTAINS 'x'", 9, "CONTAINS(subject, 'text')"),
        ("CONTAINS subject, 'x'", 10, "Write the parentheses"),
        ("CONTAINS(subject, x)", 19, "needs single quotes"),
        ("CONTAINS(subject, 5)", 19, "needs single quotes"),
        ("subject LIKE 'x%'", 9, "STARTS_WITH"),
        ("subject IS NULL", 9, "= null"),
        ("subject IS NOT NULL", 9, "!= null"),
        ("$body.x BETWEEN 1 AND 2", 9, ">= and <="),
        ("type IN 'x'", 9, "Write the parentheses"),
        ("type IN ()", 10, ""),
        ("5 < $body.x", 1, "Write the field first"),
        ("'x' = type", 1, "Write the field first"),
        ("(type = 'x'", 1, "Add the missing )."),
        ("(type = 'x' AND (id = 'y')", 1, "Add the missing )."),
        ("type = 'x')", 11, "No parenthesis is open"),
        ("AND type = 'x'", 1, "condition is missing"),
        ("type = 'x' AND OR id = 'y'", 16, "condition is missing"),
        ("$body.device-id = 1", 13, "$body['device-id']"),
        ("$body.o'clock = 1", 8, "$body['device-id']"),
        ("$body[device] = 1", 7, "['name']"),
        ("$body.patch[-1] = 1", 13, "counted from 0"),
        ("$body.patch[*].path = '/x'", 13, "no wildcards"),
        ("$body.['x'] = 1", 7, "Leave out the dot"),
        ("type = 'x';", 11, "without a semicolon"),
        ("time > '2024-03-05'", 8, "'2024-03-05T08:14:22Z'"),
        ("time > 5", 8, "'2024-03-05T08:14:22Z'"),
        ("time IN (null, 'now')", 16, "'2024-03-05T08:14:22Z'"),
        ("PATCH_TOUCHES('temperature')", 15, "begins with /"),
        ("PATCH_TOUCHES('/a~b')", 15, "~0"),
        ("$body.x = 1e999", 11, ""),
        (f"$body.x = {'9' * 5000}", 11, ""),
        (f"$body[{'9' * 5000}] = 1", 7, ""),
        ("type =", 7, ""),
        ("type", 5, ""),
        ("$body.", 7, ""),
        ("$attributes = 5", 13, ""),
        ("\u200btype = 'x'", 1, ""),
    ],
)  # fmt: skip
def test_a_slip_is_found_where_it_is_and_gets_its_remedy(
    text: str, column: int, remedy: str
) -> None:
    error = refusal(text)

    assert (1, column) == (error.line, error.column)
    assert remedy in error.remedy
    assert bool(remedy) is bool(error.remedy)


def test_no_word_of_the_parser_reaches_a_person() -> None:
    texts = ["type", "type =", "type = 'x' 5", "CONTAINS", "CONTAINS(", "CONTAINS(type",
             "CONTAINS(type,", "CONTAINS(type, 'x'", "$body.", "$body[", "$body[0", "type IN",
             "type NOT", "type IN (1", "NOT", "(", "$attributes", "true true"]  # fmt: skip

    problems = [refusal(text).problem for text in texts]

    assert [each for each in problems if "_" in each or "$END" in each or "LPAR" in each] == []
    said = ("is expected here", "the filter ends where", "never closed")
    assert [each for each in problems if not any(words in each for words in said)] == []


@pytest.mark.parametrize("text", ["", " \n\t "])
def test_an_empty_filter_is_refused_and_not_taken_for_true(text: str) -> None:
    assert refusal(text).problem == "the filter is empty"


def test_the_length_is_limited() -> None:
    compile(f"type = '{'x' * 9_991}'")

    error = refusal(f"type = '{'x' * 9_992}'")

    assert error.problem == "the filter has 10,001 characters, 10,000 are allowed"


def test_nesting_is_limited_at_the_parenthesis_that_is_one_too_many() -> None:
    compile("(" * 50 + "true" + ")" * 50)

    error = refusal("(" * 51 + "true" + ")" * 51)

    assert (error.column, error.problem) == (51, "more than 50 parentheses are open")


def test_parentheses_side_by_side_are_not_nesting() -> None:
    compile(" OR ".join("(true)" for _ in range(60)))


def test_a_long_line_is_cut_around_the_place() -> None:
    text = f"type = '{'y' * 200}' & id = '{'z' * 200}'"

    _, line, caret, _ = str(refusal(text)).split("\n")

    assert line.startswith("  …yyy")
    assert line.endswith("zzz…")
    assert line[caret.index("^")] == "&"


def test_a_tab_does_not_move_the_caret() -> None:
    _, line, caret, _ = str(refusal("\ttype == 'x'")).split("\n")

    assert line == "   type == 'x'"
    assert line[caret.index("^") : len(caret)] == "=="


def test_the_end_of_a_filter_with_trailing_space_is_the_end_of_its_text() -> None:
    error = refusal("type =\n\n")

    assert (error.line, error.column) == (1, 7)


def test_a_backslash_before_a_line_break_is_refused_like_any_other() -> None:
    error = refusal("type = 'a\\\nb'")

    assert (error.line, error.column) == (1, 10)
    assert error.problem == "this backslash means nothing"
