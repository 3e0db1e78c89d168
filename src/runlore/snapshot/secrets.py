"""Secrets do not belong in a run: what looks like one is replaced by `***` before anything is stored.

Looked at: names (`API_KEY`, `--password`), URLs with a user in them, the shapes of well-known tokens, and the values of those
environment variables whose names say that they are secret. A secret of no known shape under a harmless name is not found.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial

MASK = "***"

_NAME = re.compile(
    r"(?:api|access|account|auth|encryption|license|master|private|secret|service|session|signing|ssh|storage)[_\-.\s]?keys?(?![a-z])"
    r"|(?:^|[_\-.\s])(?:passwd|pwd|passphrase|credentials?|bearer|cookie|dsn|auth)(?:$|[_\-.\s\d])"
    r"|password|secret|token|apikey|(?-i:[A-Z0-9]_KEY$)",
    re.IGNORECASE,
)
_HARMLESS = re.compile(r"tokeni[sz]|max_?(?:new_?)?tokens|num_?tokens|tokens?_?per|_tokens$|^pwd$|^oldpwd$", re.IGNORECASE)
_URL_USER = re.compile(r"(?P<scheme>[A-Za-z][A-Za-z0-9+.\-]{0,20}://)[^\s/@'\"]{1,500}@")
_SHAPES = {
    literal: re.compile(pattern)
    for literal, pattern in (
        ("AKIA", r"\bAKIA[A-Z0-9]{16}\b"),
        ("ASIA", r"\bASIA[A-Z0-9]{16}\b"),
        ("gh", r"\bgh[opusr]_[A-Za-z0-9]{20,255}|\bgithub_pat_[A-Za-z0-9_]{20,255}"),
        ("glpat-", r"\bglpat-[\w\-]{16,100}"),
        ("hf_", r"\bhf_[A-Za-z0-9]{20,100}"),
        ("sk-", r"\bsk-[A-Za-z0-9_\-]{20,200}"),
        ("xox", r"\bxox[abprs]-[\w\-]{10,200}"),
        ("eyJ", r"\beyJ[\w\-]{10,2000}\.[\w\-]{10,4000}\.[\w\-]{10,2000}"),
    )
}
"""Well-known tokens, each with a text that every one of them holds: most texts hold none, which is found out quickly."""
_PRIVATE_KEY = re.compile(r"-----BEGIN [A-Z ]{0,30}PRIVATE KEY-----[^-]{0,20000}(?:-----END [A-Z ]{0,30}PRIVATE KEY-----)?")
_WORDS = ("key", "passw", "pwd", "passphrase", "credential", "bearer", "cookie", "dsn", "auth", "secret", "token")
"""Every secret name holds one of these."""
_ASSIGNED = re.compile(
    r"(?P<name>[\"']?[A-Za-z_][\w.\-]{0,80}[\"']?)(?P<sign>\s{0,4}[:=]\s{0,4})(?P<quote>[\"'])(?P<value>[^\"'\n]{1,2000})(?P=quote)"
)
_LINE = re.compile(r"^(?P<name>[+\- ]?(?:export[ ]+)?[A-Z][A-Z0-9_]{2,80})=(?P<value>[^\s\"']{1,2000})$", re.MULTILINE)
SHORTEST = 8
"""Values of secret environment variables that are shorter than this are not looked for in texts: they would hit words."""


def is_secret_name(name: str) -> bool:
    """True for names such as `API_KEY`, `--auth-token`, `db.password`; false for `max_tokens` and `tokenizer`."""
    bare = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name.strip("\"' +-"))
    return bool(_NAME.search(bare)) and not _HARMLESS.search(bare)


def mask_url(url: str) -> str:
    """A URL without the user and password in it."""
    return _URL_USER.sub(lambda found: found["scheme"], url)


def mask_text(text: str, secrets: Iterable[str] = ()) -> str:
    """A text (source code, a patch, a log) with the secrets in it masked; `secrets` are values that are known to be such."""
    for value in secrets:
        text = text.replace(value, MASK)
    if "-----BEGIN" in text:
        text = _PRIVATE_KEY.sub(MASK, text)
    for literal, shape in _SHAPES.items():
        if literal in text:
            text = _by_line(text, literal, partial(shape.sub, MASK))
    if "://" in text:
        text = _by_line(text, "://", lambda line: _URL_USER.sub(lambda found: f"{found['scheme']}{MASK}@", line))
    lines = text.split("\n")
    for at, line in enumerate(lines):
        low = line.lower()
        if any(word in low for word in _WORDS):
            lines[at] = _ASSIGNED.sub(_masked_assignment, _LINE.sub(_masked_line, line))
    return "\n".join(lines)


def _by_line(text: str, literal: str, masked: Callable[[str], str]) -> str:
    """Mask the lines that hold a text. Searching the others by expressions would hold up the training's own thread."""
    return "\n".join(masked(line) if literal in line else line for line in text.split("\n"))


def mask_arguments(arguments: Sequence[str], secrets: Iterable[str] = ()) -> list[str]:
    """Command line arguments with the values of `--api-key X`, `--api-key=X` and `api_key=X` masked."""
    masked: list[str] = []
    expected = False
    known = list(secrets)
    for argument in arguments:
        name, sign, _ = argument.partition("=")
        if expected and not argument.startswith("-"):
            masked.append(MASK)
        elif sign and is_secret_name(name):
            masked.append(f"{name}={MASK}")
        else:
            masked.append(mask_text(argument, known))
        expected = argument.startswith("-") and not sign and is_secret_name(argument)
    return masked


def mask_variables(environment: Mapping[str, str]) -> dict[str, str]:
    """Environment variables with the values of those with secret names masked."""
    secrets = secret_values(environment)
    return {name: MASK if is_secret_name(name) else mask_text(value, secrets) for name, value in environment.items()}


def secret_values(environment: Mapping[str, str]) -> list[str]:
    """The values of environment variables with secret names, longest first. Numbers and paths are none."""
    found = {
        value
        for name, value in environment.items()
        if is_secret_name(name) and len(value) >= SHORTEST and not value.isdigit() and not value.startswith(("/", "~", "."))
    }
    return sorted(found, key=len, reverse=True)


def _masked_line(found: re.Match[str]) -> str:
    return f"{found['name']}={MASK}" if is_secret_name(found["name"]) else found[0]


def _masked_assignment(found: re.Match[str]) -> str:
    if not is_secret_name(found["name"]):
        return found[0]
    return f"{found['name']}{found['sign']}{found['quote']}{MASK}{found['quote']}"
