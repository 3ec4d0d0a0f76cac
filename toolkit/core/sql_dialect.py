"""What an engine's SQL means, and how it says what others say, as far as texts in a schema are translated."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct, field


class SqlDialect(Struct, frozen=True):
    """An engine's SQL. Without further words it is the standard's, of which little is certain."""

    grammar: str = ""
    """What sqlglot calls it."""

    # -- what its texts mean ---------------------------------------------------------------------------------------

    folds_ascii_alone: bool = False
    """lower() and upper() change the letters of ASCII, and no others."""
    cases_by_collation: bool = False
    """So they do of texts with a collation of bytes."""
    like_folds: bool = False
    """LIKE takes a letter of ASCII in either case for the same."""
    trims_spaces: bool = False
    """trim() takes away spaces, and no other blanks."""
    has_loose_names: bool = False
    """A quoted name that no column has is a text, and so is any word as a default."""
    has_loose_types: bool = False
    """Truth values are numbers, and times are texts or numbers."""
    byte_collations: frozenset[str] = frozenset()
    """Texts are compared by their bytes, by these, in capitals."""
    folding_collations: frozenset[str] = frozenset()
    """By these, in capitals, without regard to the case of ASCII's letters."""
    padding_collations: frozenset[str] = frozenset()
    """By these, in capitals, without regard to spaces at their end."""
    folding_type: str | None = None
    """A type, in capitals, whose texts are compared without regard to case."""
    orders_by_bytes: bool = False
    """So they are where no collation is named."""
    numeric_declarations: str | None = None
    """What matches this is the declared type of a column that makes numbers of texts that it is compared with."""
    has_short_floats: bool = True
    """A float is one of four bytes, so that a cast to it rounds."""
    pads_chars: bool = False
    """Blanks at the end of a CHAR(n) count for nothing."""

    # -- how it says what others say -------------------------------------------------------------------------------

    in_bytes: str | None = None
    """A text to be ordered by its bytes."""
    lowered: str | None = None
    """A text with the letters of ASCII, and no others, in lower case."""
    raised: str | None = None
    """The same in upper case."""
    has_glob: bool = False
    """There is GLOB, which tells letters of both cases apart."""
    length: str = "length({})"
    """How many characters a text has."""
    trimmed: str = "trim({}, ' ')"
    """A text without the spaces around it."""
    stores_doubles_as_bytes: bool = False
    """Numbers that its doubles do not hold are bytes, and have to be cast where they are compared."""
    same: str = "IS NOT DISTINCT FROM"
    bytes: str = "X'{}'"
    """A literal of bytes, from their hexadecimal digits."""
    moments: Mapping[str, str] = field(default_factory=dict)
    """By the kind of a column, what gives it the present moment, in UTC where it has no zone."""
    session_moments: Mapping[str, str] = field(default_factory=dict)
    """The same in the zone of the session."""
    seconds: str | None = None
    """The whole seconds since 1970."""
    moment_text: str | None = None
    """The present moment in UTC, as text by a format."""
    moment_codes: Mapping[str, str] = field(default_factory=dict)
    """How such a format says each of the codes of strftime."""
    moment_quotes: bool = False
    """Words are quoted in a format."""
    uuids: Mapping[str, str] = field(default_factory=dict)
    """A random UUID: for a column of UUIDs (`uuid`), as text (`dashed`), as text without dashes (`hex`)."""
    arrays: str | None = None
    """An empty array."""
