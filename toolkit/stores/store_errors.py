"""What an object store's own errors mean: in our words, what to do next, and no secret in any of them."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar
from urllib.parse import quote

from toolkit.shown_text import HIDDEN, is_secret, without_secrets

_T = TypeVar("_T")

RESUMES = 5
"""How often in a row a broken connection is taken up again."""
NO_BUCKET = re.compile("NoSuchBucket|ContainerNotFound|specified container does not exist")
# ENOTDIR: a file is where a folder is looked for; EISDIR: the other way round.
NO_FILE = r"\(os error (20|21)\)"
BROKEN = "the connection broke off"
BROKEN_ADVICE = "Check the network, then run again."
BROKEN_TEXT = "request or response body error|IncompleteMessage|ConnectionReset|connection closed|connection error"
DENIED = "access is denied"
UNSUPPORTED = "it does not support the request (501 Not Implemented)"
# The first that is found in an error counts.
_BY_TEXT: Mapping[str, tuple[str, str]] = {
    "token request|169\\.254\\.169\\.254|Account must be specified|Missing AccessKeyId|Missing SecretAccessKey": (
        "there are no credentials",
        "Set them in the configuration or the environment (AWS_…, AZURE_…, GOOGLE_…).",
    ),
    "AuthorizationHeaderMalformed": ("it is in another region", "Set the region of the store (AWS_REGION)."),
    # Azure says in the text of an AuthenticationFailed that a SAS is over.
    "ExpiredToken|TokenRefreshRequired|TokenExpired|not valid in the specified time frame|token has expired": (
        "the credentials have expired",
        "Get new ones (AWS_SESSION_TOKEN, a SAS, a bearer token), then run again.",
    ),
    "RequestTimeTooSkewed|RequestExpired|Request has expired": (
        "the clock here differs too much from the store's",
        "Set the clock of this machine (NTP), then run again.",
    ),
    "SignatureDoesNotMatch|InvalidAccessKeyId|AuthenticationFailed|AuthorizationFailure|InvalidToken|"
    "Invalid Access Key|401 Unauthorized": (
        "the credentials are refused",
        "Check key and secret in the configuration or the environment (AWS_…, AZURE_…, GOOGLE_…), and the clock here.",
    ),
    # Objects that nobody may replace or remove for a while.
    "BlobImmutableDueToPolicy|BlobImmutableDueToLegalHold|RetentionPolicyNotMet": (
        DENIED,
        "A retention holds the object: wait until it ends, or take the hold away.",
    ),
    "AccessDenied|AuthorizationPermissionMismatch|403 Forbidden": (
        DENIED,
        "Check the credentials, and what they are allowed to do there.",
    ),
    "501 Not Implemented|<Code>NotImplemented": (
        UNSUPPORTED,
        "Use a store with writes If-None-Match, and without server_side_encryption or checksum_algorithm it lacks.",
    ),
    NO_BUCKET.pattern: ("there is no such bucket", "Check its name, or create it."),
    "BadScheme": ("it is not reached over https", "If it may be plain http, set allow_http = true for the store."),
    "dns error|lookup address|NameResolution": (
        "its host name cannot be resolved",
        "Check the endpoint, and the network.",
    ),
    "Connection refused|ConnectionRefused": ("nothing answers there", "Check the endpoint, and that the store runs."),
    "kind: Timeout|operation timed out|TimedOut": (
        "it does not answer in time",
        "Check the network, or raise the timeout of the store.",
    ),
    "SlowDown|503 Service Unavailable|ServerBusy": (
        "it is overloaded or out of order",
        "Try again later, or with fewer files at a time.",
    ),
    BROKEN_TEXT: (BROKEN, BROKEN_ADVICE),
    "412 Precondition Failed|Request precondition failure": ("it was replaced while it was read", "Run again."),
    "Could not parse path|Filenames containing trailing|invalid path": (
        "a name that obstore, and so Advanced Alchemy, does not take",
        "Give the file another name.",
    ),
}
_BY_NUMBER: Mapping[int, str] = {
    28: "Make room there, then run again.",
    122: "Make room there, then run again.",
    27: "Make room there, then run again.",
    30: "It is mounted read-only: mount it for writing, or choose another place.",
    13: "Check the permissions on it.",
    1: "Check the permissions on it.",
    20: "A file is where a directory should be: move it, or choose another place.",
    21: "A directory is where a file should be: move it, or choose another place.",
}


def explain(error: Exception, text: str) -> tuple[str, str]:
    """What went wrong, and what to do about it."""
    number = None if isinstance(error, FileNotFoundError) else getattr(error, "errno", None)
    if number is None and (found := re.search(r"\(os error (\d+)\)", text)) and "Local" in text:
        number = int(found[1])
    if number is not None:
        return os.strerror(number), _BY_NUMBER.get(number, "")
    for pattern, explained in _BY_TEXT.items():
        if re.search(pattern, text):
            return explained
    return text.partition("\n")[0].rstrip(". "), ""


def explain_unsupported(config: Mapping[str, Any], is_conditional: bool) -> str:
    """Which settings of a store get past its 501: those that ask for what it may lack; empty if there are none."""
    ways = ["set conditional_put = false for the store"] if is_conditional else []
    asked = [name for name in _ASKING if config.get(name, "false") != "false"]
    if asked:
        ways.append(f"take away {', '.join(asked)}")
    return f"{', or '.join(ways).capitalize()}, then run again." if ways else ""


_ASKING = (
    "server_side_encryption",
    "sse_kms_key_id",
    "sse_customer_key_base64",
    "sse_bucket_key_enabled",
    "checksum_algorithm",
    "request_payer",
)


def without(secrets: Iterable[str], text: str) -> str:
    """A text in which nobody finds a secret."""
    for secret in secrets:
        for written in (secret, quote(secret, safe="")):
            text = text.replace(written, HIDDEN)
    return without_secrets(text)


def secrets_in(config: Mapping[str, Any]) -> tuple[str, ...]:
    """The values of settings that nobody may see."""
    return tuple(str(value) for name, value in config.items() if value and is_secret(name))


def again(call: Callable[[], _T]) -> _T:
    """Repeat what may be done twice, where obstore does not: when an answer broke off after its first bytes."""
    from obstore.exceptions import GenericError

    for _ in range(RESUMES):
        try:
            return call()
        except GenericError as error:
            if not re.search(BROKEN_TEXT, str(error)):
                raise
    return call()
