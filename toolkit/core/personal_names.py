"""Which columns hold personal data, by no more than their names: for tables that nobody has said it of."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sqlalchemy import MetaData

_WORDS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[^\W\d_A-Z]+|[^\W\d_]+")
# Words as whole parts of a name: within others they mean something else ("ip" in "description").
_PARTS = re.compile(
    "mail|fax|ssn|sin|dob|pwd|pass|pin|zip|city|town|gender|sex|ip|login|mobile|cell|tel|lat|lng|lon|cvv|cvc|"
    "otp|jwt|cookie|vat|tin|iban|bic|card|salary|religion|ethnicity|race|nationality|passport|licence|"
    "license|avatar|photo|signature|contact|hash|salt|auth|credential|credentials|mnemonic"
)
# And those that are told wherever they stand, with nothing between: "emailaddress", "UserPhoneNumber".
_ANYWHERE = re.compile(
    "email|phone|password|passwd|passphrase|secret|token|address|firstname|lastname|surname|familyname|givenname|"
    "fullname|username|nickname|middlename|maidenname|displayname|realname|forename|birth|street|postal|postcode|"
    "zipcode|apikey|privatekey|accesskey|sessionkey|socialsecurity|nationalid|taxid|creditcard|cardnumber|"
    "accountnumber|bankaccount|latitude|longitude|geolocation|biometric|fingerprint|diagnosis|useragent"
)
# What is named is no person.
_THINGS = re.compile(
    "file|path|dir|directory|folder|host|domain|table|column|schema|index|constraint|database|type|class|"
    "model|module|package|event|queue|topic|tag|key|field|attribute|function|method|task|job|service|bucket|"
    "image|branch|metric|template|app|application|component|plugin|property|setting|permission|codec|font|"
    "icon|css"
)


def looks_personal(column: str) -> bool:
    """Whether a column's name is one of those that personal data and secrets are kept under."""
    words = [word.lower() for word in _WORDS.findall(column)]
    plain = "".join(words)
    if _ANYWHERE.search(plain) or any(map(_PARTS.fullmatch, words)):
        return True
    named = next((place for place, word in enumerate(words) if word in ("name", "names")), None)
    return named is not None and not any(map(_THINGS.fullmatch, words[:named]))


def personal_by_name(metadata: MetaData) -> dict[str, frozenset[str]]:
    """By table, the columns that look personal."""
    return {
        name: frozenset(column.name for column in table.columns if looks_personal(column.name))
        for name, table in metadata.tables.items()
    }
