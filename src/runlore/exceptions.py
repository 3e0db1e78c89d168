"""The one error tree. Every error has MLflow's code word, an HTTP status, and a message that says what to do."""

from __future__ import annotations

import json
from typing import Any


class RunloreError(Exception):
    """Base of every error Runlore raises on purpose.

    `error_code` is MLflow's code word on the wire; `status` is the HTTP status that goes with it
    (MLflow's `exceptions.py` maps the same words to the same numbers).
    """

    error_code: str = "INTERNAL_ERROR"
    status: int = 500

    def __init__(
        self,
        message: object,
        error_code: str | int | None = None,
        sqlstate: str | None = None,
        error_class: str | None = None,
        **json_kwargs: Any,
    ) -> None:
        if isinstance(message, dict):  # the body of an answer, of which MLflow makes a RestException
            error_code = error_code or message.get("error_code")
            self.json: dict[str, Any] = message
            message = f"{error_code}: {message.get('message') or message}"
        error_code = _BY_NUMBER.get(error_code) if isinstance(error_code, int) else error_code
        self.message = str(message)
        self.sqlstate = sqlstate
        self.error_class = error_class
        self.json_kwargs = json_kwargs
        if isinstance(error_code, str):
            kind = _BY_CODE.get(error_code)
            self.error_code = error_code
            self.status = kind.status if kind else _OTHER_STATUS.get(error_code, 500)
        super().__init__(self.message)

    def serialize_as_json(self) -> str:
        """The error as MLflow's JSON body: `{"error_code": …, "message": …}`."""
        return json.dumps({**self.json_kwargs, "error_code": self.error_code, "message": self.message})

    def get_http_status_code(self) -> int:
        """The HTTP status that goes with `error_code`."""
        return self.status

    @classmethod
    def invalid_parameter_value(
        cls, message: str, sqlstate: str | None = None, error_class: str | None = None, **kwargs: Any
    ) -> RunloreError:
        """MLflow's constructor for a refused argument."""
        return InvalidParameter(message, None, sqlstate, error_class, **kwargs)


class InvalidParameter(RunloreError):
    """The request says something that can not be done; repeating it will not help."""

    error_code = "INVALID_PARAMETER_VALUE"
    status = 400


class BadRequest(RunloreError):
    """The request could not be read (malformed JSON, wrong type)."""

    error_code = "BAD_REQUEST"
    status = 400


class NotFound(RunloreError):
    """The named object does not exist (or may not be seen by the caller)."""

    error_code = "RESOURCE_DOES_NOT_EXIST"
    status = 404


class AlreadyExists(RunloreError):
    """A name is taken. MLflow answers 400, and its clients look for the code word."""

    error_code = "RESOURCE_ALREADY_EXISTS"
    status = 400


class InvalidState(RunloreError):
    """The object is in a state that does not allow this (a deleted run, a closed version)."""

    error_code = "INVALID_STATE"
    status = 400


class ExecutionException(RunloreError):
    """A project can not be run, or has failed."""

    error_code = "INVALID_STATE"
    status = 400


class Unauthenticated(RunloreError):
    """No valid credentials came with the request."""

    error_code = "UNAUTHENTICATED"
    status = 401


class PermissionDenied(RunloreError):
    """The caller is known and may not do this."""

    error_code = "PERMISSION_DENIED"
    status = 403


class EndpointNotFound(RunloreError):
    """No such route. MLflow clients read this as "try the next spelling"."""

    error_code = "ENDPOINT_NOT_FOUND"
    status = 404


class LimitExceeded(RunloreError):
    """Too much at once; the same request succeeds later."""

    error_code = "REQUEST_LIMIT_EXCEEDED"
    status = 429


class Unavailable(RunloreError):
    """The store can not answer now (starting, disk full, database away); the same request succeeds later."""

    error_code = "TEMPORARILY_UNAVAILABLE"
    status = 503


class Damaged(RunloreError):
    """Stored bytes are not what was written: a checksum does not match. Nothing is guessed; restore from a backup."""


class Untrusted(RunloreError):
    """Loading this file could run code that nobody vouched for. The message says how to consent."""

    error_code = "PERMISSION_DENIED"
    status = 403


class MissingDependency(RunloreError, ImportError):
    """An optional package is not installed. The message names the extra that brings it."""

    error_code = "INVALID_STATE"
    status = 400


class InvalidUrlException(InvalidParameter):
    """A URL that can not be used."""


class MissingConfigException(NotFound):
    """A file of settings that is not there."""


class MlflowNotImplementedException(RunloreError):
    """Something that this side does not do."""

    error_code = "NOT_IMPLEMENTED"
    status = 501

    def __init__(self, message: str = "") -> None:
        super().__init__(message)


_BY_CODE: dict[str, type[RunloreError]] = {
    kind.error_code: kind
    for kind in (
        RunloreError, InvalidParameter, BadRequest, NotFound, AlreadyExists, InvalidState, Unauthenticated,
        PermissionDenied, EndpointNotFound, LimitExceeded, Unavailable,
    )
}  # fmt: skip
_OTHER_STATUS = {
    "NOT_FOUND": 404,
    "RESOURCE_CONFLICT": 409,
    "NOT_IMPLEMENTED": 501,
    "DEADLINE_EXCEEDED": 504,
    "CUSTOMER_UNAUTHORIZED": 401,
}
_BY_NUMBER = {
    1: "INTERNAL_ERROR", 2: "TEMPORARILY_UNAVAILABLE", 4: "BAD_REQUEST", 9: "RESOURCE_EXHAUSTED", 11: "NOT_FOUND",
    13: "UNAUTHENTICATED", 1000: "INVALID_PARAMETER_VALUE", 1003: "INVALID_STATE", 1004: "PERMISSION_DENIED",
    1007: "REQUEST_LIMIT_EXCEEDED", 1008: "RESOURCE_CONFLICT", 1010: "NOT_IMPLEMENTED", 3001: "RESOURCE_ALREADY_EXISTS",
    3002: "RESOURCE_DOES_NOT_EXIST",
}  # fmt: skip
"""MLflow's code words by the numbers that its protocol gives them."""


def get_error_code(http_status: int) -> str:
    """The code word that an HTTP status stands for; "INTERNAL_ERROR" for one that stands for none."""
    words = [(kind.status, word) for word, kind in _BY_CODE.items() if kind is not AlreadyExists]
    return dict(reversed([*words, (501, "NOT_IMPLEMENTED")])).get(http_status, "INTERNAL_ERROR")


def error_from_code(code: str, message: str) -> RunloreError:
    """The error that a server's `{"error_code", "message"}` body stands for."""
    kind = _BY_CODE.get(code)
    return kind(message) if kind else RunloreError(message, error_code=code)


MlflowException = RestException = RunloreError
"""The names under which scripts written for MLflow catch these errors."""
