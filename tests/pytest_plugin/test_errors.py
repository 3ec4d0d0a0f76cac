"""What is wrong with a setting or a marker is said in two lines."""

from __future__ import annotations

import pytest

from tests.pytest_plugin.conftest import Project

TEST = "def test_it(toolkit_session): pass"


@pytest.mark.parametrize(
    ("line", "fact", "advice"),
    [
        ("toolkit_databases = sqlite oracle", "toolkit_databases: there is no database 'oracle'.", "Known: sqlite, *"),
        ("toolkit_databases =", "toolkit_databases: [] is not a list of databases.", "Write it like *"),
        ("toolkit_fixtures = nowhere", "toolkit_fixtures: there is not a directory nowhere in *", "Make it, *"),
        ("toolkit_metadata = shop", "toolkit_metadata: 'shop' is not of the form *", "Write it like *"),
    ],
)
def test_a_wrong_setting_stops_the_run(project: Project, line: str, fact: str, advice: str) -> None:
    project.settings(line)
    project.test(TEST)
    result = project.run()
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([f"ERROR: {fact.replace('[', '[[]')}", advice])
    assert len(result.errlines) <= 3


@pytest.mark.parametrize(
    ("marker", "fact", "advice"),
    [
        (
            "'item'",
            "@pytest.mark.toolkit does not take 'item'.",
            "It takes tables, fixtures, databases, match, mode, exclude by name.",
        ),
        ("table=['item']", "@pytest.mark.toolkit does not take table.", "It takes *"),
        ("databases=['oracle']", "*databases=…): there is no database 'oracle'.", "Known: *"),
        ("databases='sqlite'", "*databases=…): 'sqlite' is not a list of databases.", "Write it like *"),
        ("fixtures='nowhere'", "There is not a directory of fixtures *nowhere.", "Make it, *"),
        ("tables=['itme']", "There is no table 'itme'*", "Did you mean 'item'?*"),
        ("tables=['price']", "*there is no file for price.", "*"),
    ],
)
def test_a_wrong_marker_is_that_tests_error(project: Project, marker: str, fact: str, advice: str) -> None:
    project.settings()
    project.test(f"@pytest.mark.toolkit({marker})\n{TEST}\n\ndef test_other(toolkit_session): pass")
    result = project.run("--continue-on-collection-errors")
    # A wrong marker is found when the module's tests are collected, a wrong name in it when the test begins.
    result.assert_outcomes(errors=1, passed=result.parseoutcomes().get("passed", 0))
    result.stdout.fnmatch_lines([fact, advice])
    result.stdout.no_fnmatch_line("*Traceback*")
    result.stdout.no_fnmatch_line("*toolkit/*.py:*")
    result.stdout.no_fnmatch_line("During handling*")


def test_metadata_that_cannot_be_loaded(project: Project) -> None:
    project.settings("toolkit_metadata = shop:metdata")
    project.test(TEST)
    result = project.run()
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["shop has no attribute 'metdata'*", "Did you mean 'metadata'?*"])
