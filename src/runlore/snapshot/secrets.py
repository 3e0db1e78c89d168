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
    r"|(?:wandb|openai|anthropic|huggingface|hf|aws|azure|gcp|comet|neptune|cohere|mistral)[_\-.]?key$"
    r"|password|secret|token|apikey|(?-i:[A-Z0-9]_KEY$)",
    re.IGNORECASE,
)
_HARMLESS = re.compile(r"tokeni[sz]|max_?(?:new_?)?tokens|num_?tokens|tokens?_?per|_tokens$|^pwd$|^oldpwd$", re.IGNORECASE)
_URL_USER = re.compile(r"(?P<scheme>[A-Za-z][A-Za-z0-9+.\-]{0,20}://)[^\s/'\"]{1,500}@")
_SHAPES = {
    literal: re.compile(pattern)
    for literal, pattern in (
        ("AKIA", r"\bAKIA[A-Z0-9]{16}\b"),
        ("ASIA", r"\bASIA[A-Z0-9]{16}\b"),
        ("gh", r"\bgh[opusr]_[A-Za-z0-9]{20,255}|\bgithub_pat_[A-Za-z0-9_]{20,255}"),
        ("glpat-", r"\bglpat-[\w\-]{16,100}"),
        ("AIza", r"\bAIza[\w\-]{35}"),
        ("ya29.", r"\bya29\.[\w\-]{20,500}"),
        ("k_", r"\b[sr]k_(?:live|test)_[A-Za-z0-9]{16,255}|\bgsk_[A-Za-z0-9]{30,255}"),
        ("SG.", r"\bSG\.[\w\-]{16,64}\.[\w\-]{16,64}"),
        ("npm_", r"\bnpm_[A-Za-z0-9]{36}"),
        ("pypi-", r"\bpypi-[\w\-]{40,255}"),
        ("dop_v1_", r"\bdop_v1_[0-9a-f]{64}"),
        ("dckr_pat_", r"\bdckr_pat_[\w\-]{20,100}"),
        ("nvapi-", r"\bnvapi-[\w\-]{20,255}"),
        ("rlt_", r"\brlt_\w{20,255}"),
        ("hooks.slack.com", r"\bhooks\.slack\.com/services/[\w/]{20,100}"),
        ("hf_", r"\bhf_[A-Za-z0-9]{20,100}"),
        ("sk-", r"\bsk-[A-Za-z0-9_\-]{20,200}"),
        ("xox", r"\bxox[abprs]-[\w\-]{10,200}"),
        ("eyJ", r"\beyJ[\w\-]{10,2000}\.[\w\-]{10,4000}\.[\w\-]{10,2000}"),
    )
}
"""Well-known tokens, each with a text that every one of them holds: most texts hold none, which is found out quickly."""
_KEY_BEGINS = re.compile(r"-----BEGIN [A-Z ]{0,30}PRIVATE KEY(?: BLOCK)?-----")
_KEY_ENDS = re.compile(r"-----END [A-Z ]{0,30}PRIVATE KEY(?: BLOCK)?-----")
_KEY_BODY = re.compile(r"[A-Za-z0-9+/=\s\\:,\-]{0,20000}")
_KEY_LENGTH = 20_000
_BEARER = re.compile(r"\b(?P<word>[Bb]earer|[Bb]asic)\s{1,4}(?=[^\s\"']{0,200}\d)[\w.~+/=\-]{8,4000}")
_QUERY = re.compile(r"(?P<name>[?&;][\w.\-]{1,60})=(?P<value>[^\s&#'\"<>]{1,4000})")
_SIGNATURE = re.compile(r"(?i:sig|signature|x-(?:amz|goog)-(?:signature|credential|security-token)|key|code)")
_WORDS = ("key", "passw", "pwd", "passphrase", "credential", "bearer", "cookie", "dsn", "auth", "secret", "token")
"""Every secret name holds one of these."""
_BEGIN = r"(?<![\w.])(?<!\w-)"
_NOT_A_PAIR = r"(?![\w.\-]{2,80}=[^=\s;&,'\"])"
_ASSIGNED = re.compile(
    rf"(?P<name>{_BEGIN}[\"']?[A-Za-z_][\w.\-]{{0,80}}[\"']?\]?)"
    r"(?P<sign>(?:\s{0,4}:\s{0,4}[A-Za-z][\w.|\[\] ]{0,40})?\s{0,4}[:=]\s{0,4})"
    r"(?P<quote>[rbfuRBFU]{0,2}(?P<mark>\"{3}|'{3}|[\"']))(?!(?P=mark))(?P<value>[^\n]{1,2000}?)(?P=mark)"
)
_BARE = re.compile(
    rf"(?P<name>{_BEGIN}[A-Za-z_][\w.\-]{{1,80}})(?P<sign>=|[ \t]{{0,4}}[:=][ \t]{{1,4}})"
    rf"{_NOT_A_PAIR}(?P<value>[^\s;&,'\"()\[\]{{}}<>]{{6,2000}})"
)
_PAIR = re.compile(rf"(?P<name>{_BEGIN}[\w.\-]{{2,80}})={_NOT_A_PAIR}(?P<value>[^\s;&,'\"]{{1,4000}})")
_LINE = re.compile(r"^(?P<name>[+\- ]?(?:export[ ]+)?[A-Z][A-Z0-9_]{2,80})=(?P<value>[^\s\"']{1,2000})$", re.MULTILINE)
SHORTEST = 8
"""Values of secret environment variables that are shorter than this are not looked for in texts: they would hit words."""


def is_secret_name(name: str) -> bool:
    """True for names such as `API_KEY`, `--auth-token`, `db.password`; false for `max_tokens` and `tokenizer`."""
    bare = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name.strip("\"' +-]"))
    return bool(_NAME.search(bare)) and not _HARMLESS.search(bare)


def mask_url(url: str) -> str:
    """A URL without the user and password in it."""
    return _URL_USER.sub(lambda found: found["scheme"], url)


def mask_text(text: str, secrets: Iterable[str] = ()) -> str:
    """A text (source code, a patch, a log) with the secrets in it masked; `secrets` are values that are known to be such."""
    for value in secrets:
        text = text.replace(value, MASK)
    if "-----BEGIN" in text:
        text = _without_keys(text)
    for literal, shape in _SHAPES.items():
        if literal in text:
            text = _by_line(text, literal, partial(shape.sub, MASK))
    if "://" in text:
        text = _by_line(text, "://", _masked_urls)
    for word in ("earer", "asic"):
        if word in text:
            text = _by_line(text, word, partial(_BEARER.sub, rf"\g<word> {MASK}"))
    lines = text.split("\n")
    for at, line in enumerate(lines):
        low = line.lower()
        if any(word in low for word in _WORDS):
            lines[at] = _BARE.sub(_masked_bare, _ASSIGNED.sub(_masked_assignment, _LINE.sub(_masked_line, line)))
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
        if expected and not argument.startswith("--") and not re.fullmatch("-[A-Za-z]", argument):
            masked.append(MASK)
        elif sign and is_secret_name(name):
            masked.append(f"{name}={MASK}")
        else:
            masked.append(_PAIR.sub(_masked_pair, mask_text(argument, known)))
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
    return f"{found['name']}{found['sign']}{found['quote']}{MASK}{found['mark']}"


def _masked_bare(found: re.Match[str]) -> str:
    """Without quotes it may as well be a variable: what has no digit, or is a number, stays."""
    value = found["value"]
    if MASK in value or not is_secret_name(found["name"]) or not any(map(str.isdigit, value)) or _is_number(value):
        return found[0]
    return f"{found['name']}{found['sign']}{MASK}"


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _masked_pair(found: re.Match[str]) -> str:
    return f"{found['name']}={MASK}" if is_secret_name(found["name"]) else found[0]


def _masked_urls(line: str) -> str:
    line = _URL_USER.sub(lambda found: f"{found['scheme']}{MASK}@", line)
    return _QUERY.sub(_masked_query, line) if "=" in line else line


def _masked_query(found: re.Match[str]) -> str:
    name = found["name"]
    return f"{name}={MASK}" if is_secret_name(name[1:]) or _SIGNATURE.fullmatch(name[1:]) else found[0]


def _without_keys(text: str) -> str:
    """Private keys are masked up to their end; one that is cut off, up to what can not be a part of it."""
    parts: list[str] = []
    at = 0
    while found := _KEY_BEGINS.search(text, at):
        end = _KEY_ENDS.search(text, found.end(), found.end() + _KEY_LENGTH) or _KEY_BODY.match(text, found.end())
        parts += text[at : found.start()], MASK
        at = end.end() if end else found.end()
    return "".join([*parts, text[at:]])
