"""What would carry a secret out of the machine with a run: the spellings in which secrets stand in code, files and commands."""

from __future__ import annotations

import pytest

from runlore.snapshot.secrets import mask_arguments, mask_text

S = "Zx9Qw3rT7uYp1LkM"

TEXTS = [
    f"password: {S}", f"  db_password: {S}", f"+aws_secret_access_key = {S}", f"-aws_secret_access_key={S}",
    f"export api_key={S}", f"Authorization: Bearer {S}", f'{{"Authorization": "Basic {S}=="}}',
    f"curl -H 'authorization: bearer {S}'",
    f"https://h/p?a=1&token={S}", f"https://h/p?sv=1&sig={S}&se=2", f"https://h/p?X-Amz-Signature={S}", f"https://h/p?key={S}",
    f"https://user:p@{S}@host/x", f"postgresql://u:{S}@h/db", f"redis://:{S}@h",
    f"os.environ['API_KEY'] = '{S}'", f'os.environ["DEPLOY_KEY"]="{S}"', f"os.environ['PGPASSWORD']='{S}'",
    f'token = f"{S}"', f"token = rb'{S}'", f'password = """{S}"""', f"api_key: str = '{S}'", f'api_key: str | None = "{S}"',
    f"password = \"it's {S}\"", f"wandb_key='{S}'", f"AccountKey={S}==;EndpointSuffix=x", f"Server=x;Password={S};Database=y",
    f'"password" : "{S}"', f"f(a, token='{S}', b=2)",
]  # fmt: skip

SHAPES = [
    "AIza" + "a" * 35, "sk_live_" + "a" * 24, "rk_test_" + "a" * 24, "SG." + "a" * 22 + "." + "b" * 43, "npm_" + "a" * 36,
    "pypi-AgEIcHlwaS5vcmc" + "a" * 50, "dop_v1_" + "a" * 64, "rlt_abcdefgh_" + "a" * 43, "dckr_pat_" + "a" * 27,
    "ya29." + "a" * 50, "gsk_" + "a" * 50, "nvapi-" + "a" * 60, "hooks.slack.com/services/T00000000/B00000000/" + "a" * 24,
]  # fmt: skip

HARMLESS = [
    "token = tokens[0]", "token = get_token()", "token: str", "password = args.password", "self.token = token",
    "eos_token_id: 50256", "token_count=128000", "secret_size = 1e-4", 'page_token = ""', 'f(page_token="", max_results=100)',
    "basic understanding of 2 things", "bearer of good news", "x = key2", "https://h/p?a=1&page=2", "sort_key: value1x",
    'token = ""; other = "a1b2c3d4"',
]  # fmt: skip

ARGUMENTS = [
    ["--url", f"https://h/p?a=1&token={S}"], ["-H", f"Authorization: Bearer {S}"], ["--password", f"-{S}"],
    [f"--set=db.password={S}"], ["--set", f"a=1,password={S}"], ["--set", "a=1,password=justletters"],
    ["--config", f'{{"api_key": "{S}"}}'], ["--conn", f"postgresql://u:a@{S}@h"], [f"+model.api_key={S}"],
    ["--env", f"API_KEY={S}"], ["-e", f"X=1;API_KEY={S}"], ["--wandb-key", S], ["-c", f"login(token='{S}')"],
]  # fmt: skip


@pytest.mark.parametrize("text", TEXTS)
def test_secrets_are_masked_in_every_spelling(text: str) -> None:
    for line in (text, f"+{text}", f"a\n{text}\nb"):
        assert S not in mask_text(line)
        assert "***" in mask_text(line)


@pytest.mark.parametrize("token", SHAPES)
def test_tokens_of_known_shapes_are_masked(token: str) -> None:
    assert mask_text(f"call({token!r})") == "call('***')"
    assert mask_text(f"printed {token}\n") == "printed ***\n"


@pytest.mark.parametrize("text", HARMLESS)
def test_code_without_secrets_stays_as_it_is(text: str) -> None:
    assert mask_text(text) == text


@pytest.mark.parametrize("arguments", ARGUMENTS)
def test_secrets_in_arguments_are_masked(arguments: list[str]) -> None:
    masked = " ".join(mask_arguments(arguments))
    assert S not in masked
    assert "justletters" not in masked
    assert "***" in masked


@pytest.mark.parametrize("kind", ["RSA ", "OPENSSH ", "EC ", "ENCRYPTED ", "", "PGP "])
@pytest.mark.parametrize("sign", ["", "+", "-", " ", "    "])
@pytest.mark.parametrize("end", [True, False])
def test_private_keys_are_masked_to_their_end(kind: str, sign: str, end: bool) -> None:
    """A patch puts a sign before each line, an encrypted key says so in lines with hyphens, and a text may be cut off."""
    block = " BLOCK" if kind == "PGP " else ""
    lines = [
        f"-----BEGIN {kind}PRIVATE KEY{block}-----",
        "Proc-Type: 4,ENCRYPTED",
        "DEK-Info: AES-256-CBC,00",
        "",
        S * 4,
        S * 4,
    ]
    lines += [f"-----END {kind}PRIVATE KEY{block}-----"] if end else []
    masked = mask_text("before\n" + "\n".join(sign + line for line in lines) + ("\nafter" if end else ""))
    assert S[:8] not in masked
    assert masked.startswith("before\n")
    assert masked.endswith("\nafter") == end


def test_hostile_texts_take_no_time_that_grows_with_their_square() -> None:
    for piece in (
        "token=",
        "token: ",
        "token : a",
        "token='x\"",
        "key.key-",
        "Bearer ",
        "-----BEGIN PRIVATE KEY-----",
        "?a=&",
        "a@",
    ):
        mask_text("x://" + piece * (500_000 // len(piece)))
