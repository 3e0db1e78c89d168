"""What is taken for a secret, and what is not."""

from __future__ import annotations

import pytest

from runlore.snapshot.secrets import is_secret_name, mask_arguments, mask_text, mask_url, secret_values

SECRET = ["API_KEY", "apiKey", "--api-key", "WANDB_API_KEY", "db.password", "AWS_SECRET_ACCESS_KEY", "GH_TOKEN",
          "auth-token", "clientSecret", "SENTRY_DSN", "DEPLOY_KEY", "privateKey"]  # fmt: skip
HARMLESS = ["key", "sort_key", "max_tokens", "tokenizer", "monkey", "author", "PWD", "keys", "num_tokens",
            "TOKENIZERS_PARALLELISM", "hotkeys", "passes"]  # fmt: skip


@pytest.mark.parametrize("name", SECRET)
def test_names_of_secrets(name: str) -> None:
    assert is_secret_name(name)


@pytest.mark.parametrize("name", HARMLESS)
def test_names_that_are_harmless(name: str) -> None:
    assert not is_secret_name(name)


@pytest.mark.parametrize(
    "secret",
    ["AKIAIOSFODNN7EXAMPLE", "ghp_" + "a" * 36, "hf_" + "B" * 34, "sk-proj-" + "c" * 40, "xoxb-123456789012-abcdefghij"],
)
def test_tokens_are_known_by_their_shape(secret: str) -> None:
    assert mask_text(f"call({secret!r})  # ok") == "call('***')  # ok"


def test_texts() -> None:
    assert mask_text("x = 1\npassword: 'abc'\nlr = '0.1'\n") == "x = 1\npassword: '***'\nlr = '0.1'\n"
    assert mask_text("+DB_PASSWORD=abc\n DB_HOST=abc\n") == "+DB_PASSWORD=***\n DB_HOST=abc\n"
    assert mask_text("-----BEGIN RSA PRIVATE KEY-----\nabc\n-----END RSA PRIVATE KEY-----\nend") == "***\nend"
    assert mask_text("git clone https://u:p@h/x.git") == "git clone https://***@h/x.git"
    assert mask_url("https://u:p@h/x.git") == "https://h/x.git"
    assert mask_url("git@github.com:team/x.git") == "git@github.com:team/x.git"


def test_arguments() -> None:
    given = ["--token", "abc", "--lr", "0.1", "--password=x", "db.password=y", "--api-key", "--verbose", "z"]
    assert mask_arguments(given) == [
        "--token",
        "***",
        "--lr",
        "0.1",
        "--password=***",
        "db.password=***",
        "--api-key",
        "--verbose",
        "z",
    ]


def test_values_of_the_environment() -> None:
    environment = {
        "A_TOKEN": "longer secret",
        "B_TOKEN": "short",
        "KEY_PATH": "x",
        "SSH_KEY": "/home/ada/.ssh/id",
        "C_SECRET": "12345678",
    }
    assert secret_values(environment) == ["longer secret"]


def test_large_texts_take_no_time_that_grows_with_their_square() -> None:
    assert mask_text("a_" * 500_000) == "a_" * 500_000
    assert mask_text("'" * 500_000) == "'" * 500_000
    assert mask_text("x://" * 200_000) == "x://" * 200_000
