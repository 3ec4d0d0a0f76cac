"""What a text may hold where somebody sees it: no secret, and nothing that moves a terminal's cursor.

Data, such as `--json`, fixtures and scripts, is never changed by it: JSON has escapes of its own.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from urllib.parse import unquote

HIDDEN = "***"

# Names end so of which the value is a secret wherever they stand before a `=`: not secret_id, password_file, account.
_SECRET_NAME = re.compile(
    "(password|passwd|passphrase|passwordhash|pwd|secret|apikey|(access|account|private|secret|sas|signing|encryption|"
    "serviceaccount|sharedaccess|customer)key|(access|auth|session|security|bearer|refresh|id|api|sas)token|"
    r"sharedaccesssignature|pgpass)(base64|s?\d*)$"
)
# And those that are one in an address only: rows have columns of such names, and messages name rows by them.
_SECRET_PARAMETER = re.compile(
    "(key|token|sig|(?<!skip)signature|sas|credentials?|auth|authorization|jwt|assertion|code|options)$"
)
# A signed URL's: the parameters of a signature, all of them.
_SIGNED = ("xamz", "xgoog")
# What only the parameters of a connection are called.
_DSN = re.compile(r"\b(hostaddr|dbname|sslmode)\s*=")

# Lengths are bounded, so that a long line takes no longer than its length. A password may hold spaces and slashes, but
# another URL ends it; behind user@domain, it is told from host:port.
_USERINFO = re.compile(
    r"""(?<=://) (?P<user>[^\s/:@]*) : (?: [^@\s] | [^\S\n] (?![a-z][\w+.-]{0,99}://) ){0,2000}
             (?: @ \S{0,2000} (?=@) )? (?=@)
      | (?<=://) (?P<at>[^\s/:@]*@[^\s/:@]*) : (?!\d*(?:[/?'",:)\s]|$)) [^@\s]{0,2000}
             (?: @ \S{0,2000} (?=@) )? (?=@)
      | (?<=%3A%2F%2F) (?P<encoded> (?:(?!%3A|%40|%2F)\S){0,200} ) %3A \S{0,2000}? (?=%40)
    """,
    re.VERBOSE | re.IGNORECASE,
)
_NAMED = re.compile(
    r"""(?: (?<![\w.%-]) | (?<=%3D) | (?<=%26) | (?<=%3B) | (?<=%3F) | (?<=%20) )
        (?P<name> (?: [\w.-] | %[0-9a-f]{2} ){1,200}? )
        (?: \s*=\s* | %3D | (?P<quoted>['"]\s*:\s*) )
    """,
    re.VERBOSE | re.IGNORECASE,
)
_VALUE = re.compile(
    r"""\*\*\* (?= [\s&:;,.)'"\]}] | $ )          # hidden already
      | (?P<slashed> \\['"] ) .*? (?: (?P=slashed) | $ )
      | ' (?: [^'\\\n] | \\. )* (?: ' | $ )
      | " (?: [^"\\\n] | \\. )* (?: " | $ )
      | (?: \\. | [^\s&'"\\] | ['"](?=\w) )+
    """,
    re.VERBOSE | re.MULTILINE,
)


def is_secret(name: str, in_address: bool = True) -> bool:
    """Whether the value of a setting or a parameter is nobody's to see; `in_address`: of a URL, or a store's option."""
    plain = re.sub("[^a-z0-9]", "", unquote(name).lower())
    if _SECRET_NAME.search(plain) or plain.startswith(_SIGNED):
        return True
    return in_address and bool(_SECRET_PARAMETER.search(plain))


def without_secrets(text: str) -> str:
    """A text with `***` in place of every secret that a URL, a DSN or a setting in it holds."""
    return "".join(_hidden(_USERINFO.sub(_without_password, text)))


def address_without_secrets(address: str) -> str:
    """The same of a text that is one address: what follows a `?` are parameters, whatever their values hold."""
    place, mark, query = address.partition("?")
    place = re.sub(r"^(\w[\w+.-]*://[^/:@]*):.*@", rf"\1:{HIDDEN}@", place, count=1, flags=re.DOTALL)
    parameters = [part.partition("=") for part in query.split("&")]
    shown = "&".join(name + sign + (HIDDEN if sign and is_secret(name) else value) for name, sign, value in parameters)
    return without_secrets(place + mark + shown)


def printable(text: str) -> str:
    """One line of text, with the escapes of Python in place of control, direction and other signs that do not show."""
    return text if text.isprintable() else "".join(sign if _shows(sign) else ascii(sign)[1:-1] for sign in text)


def json_escaped(document: str) -> str:
    """The same JSON document, with JSON's escapes in place of signs that do not show; its lines stay."""
    return "\n".join(map(_json_line, document.split("\n")))


def _without_password(found: re.Match[str]) -> str:
    if found["encoded"] is not None:
        return f"{found['encoded']}%3A{HIDDEN}"
    return f"{found['at'] or found['user']}:{HIDDEN}"


def _hidden(text: str) -> Iterator[str]:
    done, is_dsn = 0, bool(_DSN.search(text))
    for found in _NAMED.finditer(text):
        before = text[max(found.start() - 3, 0) : found.start()]
        is_parameter = is_dsn or before.endswith(("?", "&", ";", "%3F", "%26", "%3B"))
        if found.start() < done or not is_secret(found["name"], is_parameter):
            continue
        if found["quoted"] and before[-1:] != found["quoted"][0]:
            continue
        value = _VALUE.match(text, found.end())
        if value is not None and value[0]:
            yield text[done : found.end()]
            yield HIDDEN
            done = value.end()
    yield text[done:]


def _shows(sign: str) -> bool:
    # Spaces of other widths are no harm: servers that speak French put them before a colon.
    return sign.isprintable() or unicodedata.category(sign) == "Zs"


def _json_line(line: str) -> str:
    return line if line.isprintable() else "".join(sign if _shows(sign) else _json_escape(sign) for sign in line)


def _json_escape(sign: str) -> str:
    units = sign.encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{units[place : place + 2].hex()}" for place in range(0, len(units), 2))
