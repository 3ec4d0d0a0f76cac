"""Which things depend on one another in a circle."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import TypeVar

T = TypeVar("T")


def circles(needs: Mapping[T, Collection[T]]) -> dict[T, int]:
    """By thing, the number of its circle: two have the same one if each needs the other, by way of others or not.

    Strongly connected components, by two walks (Kosaraju; Sharir 1981), each edge once: what SQLAlchemy has for it
    (`topological.find_cycles`) took 0.6 s for 300 tables with two foreign keys each.
    """
    needed_by: dict[T, list[T]] = {each: [] for each in needs}
    for each, others in needs.items():
        for other in others:
            needed_by[other].append(each)
    found: dict[T, int] = {}
    seen: set[T] = set()
    left = [each for start in needs for each in _walked(start, needs, seen)]
    taken: set[T] = set()
    for number, start in enumerate(reversed(left)):
        found |= dict.fromkeys(_walked(start, needed_by, taken), number)
    return found


def _walked(start: T, to: Mapping[T, Collection[T]], seen: set[T]) -> Iterator[T]:
    """What is reached and was not seen, each when all is left that is reached from it. Without a call for each step."""
    if start in seen:
        return
    seen.add(start)
    path = [(start, iter(to[start]))]
    while path:
        here, ahead = path[-1]
        following = next((each for each in ahead if each not in seen), None)
        if following is None:
            path.pop()
            yield here
        else:
            seen.add(following)
            path.append((following, iter(to[following])))
