"""All messages of the package keep to some rules, whichever module they are in; `tests.message_texts` lists them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

import click
import pytest

from tests.message_texts import Text, texts
from tests.test_readme import commands
from toolkit.cli import toolkit

# Begun first, with other tests that read all modules.
pytestmark = pytest.mark.long

# Words that paraphrase, are old, or have another meaning to most readers; and what is said in place of each.
AVOIDED = {
    r"whoever": "who, or the role of it",
    r"anew": "again",
    r"strangers?": "another user",
    r"in vain": "for how long",
    r"nobody knows": "is not known",
    r"reckon(s|ed)?( with)?": "calculate",
    r"truth values?": "boolean",
    r"is no (whole number|duration|directory|manifest|date)": "is not a",
    r"is no length of time": "is not a duration",
    r"belongs into": "belongs in",
    r"does not tell": "does not report",
    r"tells all": "lists all",
    r"the models do not know": "is not in the models",
    r", for (it|they|the|there|which|its|of|nobody) (is|are|has|have|would|cannot|models|metadata)": "because",
    r"goes? (neither )?with --": "needs, or can be combined with",
}
# What an advice begins with that is no verb in the imperative.
_ADVICE = re.compile(r"[A-Z][a-z]+(?: |:|,)|\{|Did you mean|[A-Za-z_]+ ?= |DuckDB|SQLite|PostgreSQL|--|\.\.\.")
_WITH_ADVICE = {"ConfigurationError", "MigrationError", "EncryptionError", "DatabaseUnavailableError", "PrivilegeError"}


@pytest.fixture(scope="module")
def messages() -> list[Text]:
    return texts()


def plain(text: str) -> str:
    """A text without what is put into it."""
    return re.sub(r"\{[^{}]*(\{[^{}]*\}[^{}]*)*\}", "X", text)


def wrong(messages: list[Text], is_wrong: Callable[[str], object]) -> list[str]:
    """Those that are, with where they are."""
    return [f"{each.place}: {each.text}" for each in messages if is_wrong(plain(each.text))]


def test_there_are_some_hundred_of_them(messages: list[Text]) -> None:
    assert len(messages) > 1000
    assert any(each.function == "ConfigurationError" for each in messages)


@pytest.mark.parametrize(("word", "better"), AVOIDED.items())
def test_no_message_has_a_word_that_readers_stumble_over(messages: list[Text], word: str, better: str) -> None:
    found = wrong(messages, re.compile(rf"(?<!\w){word}(?!\w)").search)
    assert found == [], f"write in place of it: {better}"


def test_no_message_has_two_spaces_or_a_space_before_a_stop(messages: list[Text]) -> None:
    # Lines of a report are indented, help has a default behind two spaces.
    in_lines = [each for each in messages if "\n" not in each.text]
    assert wrong(in_lines, lambda text: re.search(r"\w  \w|\w ,|\w \.( |$)|\.\.$(?<!\.\.\.)", text)) == []


def options() -> set[str]:
    """Every option of every command, of the pytest plugin, and of the programs that messages name."""
    found = {"--toolkit-rebuild", "--toolkit-prune", "--cache-clear", "--autogenerate", "--ddl", "--help"}
    for path in commands(toolkit):
        command: click.Command = toolkit
        for name in path:
            assert isinstance(command, click.Group)
            own = command.get_command(click.Context(toolkit), name)
            assert own is not None
            command = own
            found |= {option for each in command.params for option in (*each.opts, *each.secondary_opts)}
    return found | {option for each in toolkit.params for option in (*each.opts, *each.secondary_opts)}


def test_every_option_that_a_message_names_exists(messages: list[Text]) -> None:
    known = options()
    named = ((each, name) for each in messages for name in re.findall(r"(?<![\w-])--[a-z][a-z-]+\w", each.text))
    assert [f"{each.place}: {name}" for each, name in named if name not in known] == []


def test_names_that_a_message_puts_behind_an_option_are_quoted_for_the_shell(messages: list[Text]) -> None:
    unquoted = re.compile(r"--(exclude|exclude-column|key|match|convert|rename|where) \{(?!shell\(|_FORM|place)")
    assert [f"{each.place}: {each.text}" for each in messages if unquoted.search(each.text)] == []


def commands_in(text: str) -> Iterator[tuple[str, ...]]:
    """The commands that a text says to run."""
    for line in re.findall(
        r"\btoolkit ((?:archive|database) [a-z-]+|[a-z]+-data|sync|diff|status|inspect|init|demo)", text
    ):
        yield tuple(line.split())


def test_every_command_that_a_message_names_exists(messages: list[Text]) -> None:
    known = set(commands(toolkit))
    known |= {path[:1] for path in known}
    groups = {path[:2] for path in known}
    named = [(each, path) for each in messages for path in commands_in(each.text)]
    assert len(named) > 40
    assert [f"{each.place}: {path}" for each, path in named if path not in known | groups] == []


def test_facts_and_advice_are_sentences(messages: list[Text]) -> None:
    given = [each for each in messages if each.function in {"ConfigurationError", "MigrationError", "click.UsageError"}]
    whole = [each for each in given if re.match(r"[A-Z{-]", each.text) and not each.text.endswith(" ")]
    assert len(whole) > 200
    # An advice may end in what is to be typed.
    ends = re.compile(r"[.?:…)\"'}`]$|(toolkit|python|RENAME|--|=|\||://)[^.]*$|file$")
    assert [f"{each.place}: {each.text}" for each in whole if not ends.search(each.text)] == []
