"""What shells are told where a line is to be completed: click's own, mended where it loses what was typed."""

from __future__ import annotations

from typing import Any

from click.shell_completion import (
    BashComplete,
    CompletionItem,
    FishComplete,
    ShellComplete,
    ZshComplete,
    add_completion_class,
)


class _SplitsAtEquals(BashComplete):
    """Bash hands `--from=du` over as three words, and puts what it is offered in the place of the last."""

    def get_completions(self, args: list[str], incomplete: str) -> list[CompletionItem[Any]]:
        return super().get_completions([each for each in args if each != "="], incomplete)


class _Whole(ShellComplete):
    """The others hand it over as one word, all of which what they are offered takes the place of."""

    def get_completions(self, args: list[str], incomplete: str) -> list[CompletionItem[Any]]:
        found = super().get_completions(args, incomplete)
        name, equals, _ = incomplete.partition("=")
        if not (equals and name.startswith("--")):
            return found
        return [CompletionItem(f"{name}={each.value}", each.type, each.help) for each in found]


class _Zsh(_Whole, ZshComplete):
    pass


class _Fish(_Whole, FishComplete):
    pass


def answer_shells() -> None:
    """Have shells answered so."""
    for name, answers in (("bash", _SplitsAtEquals), ("zsh", _Zsh), ("fish", _Fish)):
        add_completion_class(answers, name)
