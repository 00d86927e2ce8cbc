"""Every error of the SDKs has a kind."""

from __future__ import annotations

import contextlib
import importlib
import re
import typing
from functools import cache
from pathlib import Path

import anthropic
import openai
import pytest
from anthropic.types.shared.error_type import ErrorType
from openai.types.responses.response_error import ResponseError

from otel_llm._failure import said
from otel_llm.errors import CATEGORIES, Kind, classify


@cache
def exceptions_of(package: str) -> list[type[BaseException]]:
    """Every exception class of the package: of each module whose text derives a class from an error."""
    root = importlib.import_module(package)
    folder = Path(typing.cast("str", root.__file__)).parent
    modules = [root]
    for path in folder.rglob("*.py"):
        if re.search(r"^class \w+\([^)]*(Error|Exception)\b", path.read_text(encoding="utf-8"), re.MULTILINE):
            name = ".".join((package, *path.relative_to(folder).with_suffix("").parts))
            with contextlib.suppress(ImportError):  # it needs a package that is not installed
                modules.append(importlib.import_module(name.removesuffix(".__init__")))
    found = {
        value
        for module in modules
        for value in list(vars(module).values())  # reading an SDK's module can fill it
        if isinstance(value, type)
        and issubclass(value, BaseException)
        and value.__module__.startswith(package)
    }
    return sorted(found, key=lambda cls: (cls.__qualname__, cls.__module__))


@pytest.mark.parametrize(
    "exception",
    [*exceptions_of("openai"), *exceptions_of("anthropic")],
    ids=lambda cls: f"{cls.__module__}.{cls.__name__}",
)
def test_no_exception_of_an_sdk_is_unknown(exception: type[BaseException]) -> None:
    kind = classify(exception)
    assert kind.category in CATEGORIES
    assert kind.category != "unknown"


def test_the_walk_found_what_the_sdks_export() -> None:
    for sdk in (openai, anthropic):
        public = {
            value
            for value in list(vars(sdk).values())
            if isinstance(value, type) and issubclass(value, BaseException)
        }
        assert len(public) > 10
        assert len(exceptions_of(sdk.__name__)) > 40
        assert public <= set(exceptions_of(sdk.__name__))


@pytest.mark.parametrize(
    "code", [*typing.get_args(ErrorType), *typing.get_args(ResponseError.model_fields["code"].annotation)]
)
def test_no_documented_code_is_unknown_without_class_and_status(code: str) -> None:
    assert classify(code=code).category != "unknown"


def test_no_anthropic_error_code_changes_what_its_class_says() -> None:
    types = Path(typing.cast("str", anthropic.__file__)).parent / "types"
    codes = {
        code
        for path in types.rglob("*_error_details.py")
        for code in re.findall(r'error_code: Literal\["(\w+)"\]', path.read_text())
    }
    assert len(codes) > 50
    kinds = {code: classify(anthropic.RateLimitError, status=429, code=code).category for code in codes}
    assert {code: kind for code, kind in kinds.items() if kind != "rate_limit"} == {
        "contract_spend_limit_reached": "quota",
        "enforced_spend_limit_reached": "quota",
        "linked_organization_spend_limit_reached": "quota",
        "request_body_timeout": "timeout",
    }


R, N = True, False


@pytest.mark.parametrize(
    ("name", "category", "retryable"),
    [
        ("APIConnectionError", "network", R),
        ("APIError", "server_error", R),
        ("APIResponseValidationError", "invalid_response", N),
        ("APIStatusError", "server_error", R),
        ("APITimeoutError", "timeout", R),
        ("AuthenticationError", "authentication", N),
        ("BadRequestError", "validation", N),
        ("ConflictError", "conflict", R),
        ("InternalServerError", "server_error", R),
        ("NotFoundError", "not_found", N),
        ("PermissionDeniedError", "permission_denied", N),
        ("RateLimitError", "rate_limit", R),
        ("UnprocessableEntityError", "validation", N),
    ],
)
@pytest.mark.parametrize("sdk", [openai, anthropic], ids=["openai", "anthropic"])
def test_what_both_sdks_have(sdk: typing.Any, name: str, category: str, retryable: bool) -> None:
    assert classify(getattr(sdk, name)) == Kind(category, retryable)


@pytest.mark.parametrize(
    ("exception", "category", "retryable"),
    [
        (openai.OpenAIError, "validation", N),
        (openai.OAuthError, "authentication", N),
        (openai.InvalidWebhookSignatureError, "authentication", N),
        (openai.LengthFinishReasonError, "context_length", N),
        (openai.ContentFilterFinishReasonError, "content_filter", N),
        (openai.WebSocketConnectionClosedError, "network", R),
        (anthropic.AnthropicError, "validation", N),
        (anthropic.PaymentRequiredError, "quota", N),
        (anthropic.OverloadedError, "server_error", R),
        (anthropic.GatewayTimeoutError, "timeout", R),
        (anthropic.RequestTimeoutError, "timeout", R),
        (anthropic.ClientClosedRequestError, "network", R),
        (anthropic.ContentTooLargeError, "validation", N),
        (anthropic.CredentialsError, "authentication", N),
        (anthropic.RetryableError, "server_error", R),
        (anthropic.RampLimitExceededError, "rate_limit", R),
        (anthropic.EnforcedSpendLimitReachedError, "quota", N),
        (TimeoutError, "timeout", R),
        (ConnectionResetError, "network", R),
        (UnicodeDecodeError, "invalid_response", N),
        (ZeroDivisionError, "unknown", N),
    ],
)
def test_particular_classes(exception: type[BaseException], category: str, retryable: bool) -> None:
    assert classify(exception) == Kind(category, retryable)


@pytest.mark.parametrize(
    ("exception", "status", "code", "category"),
    [
        (openai.BadRequestError, 400, "context_length_exceeded", "context_length"),
        (openai.BadRequestError, 400, "content_filter", "content_filter"),
        (openai.BadRequestError, 400, "ResponsibleAIPolicyViolation", "content_filter"),
        (openai.BadRequestError, 400, "invalid_request_error", "validation"),
        (openai.AuthenticationError, 401, "invalid_request_error", "authentication"),
        (openai.RateLimitError, 429, "insufficient_quota", "quota"),
        (openai.RateLimitError, 429, "rate_limit_exceeded", "rate_limit"),
        (openai.PermissionDeniedError, 403, "model_not_found", "not_found"),
        (openai.InternalServerError, 504, None, "timeout"),
        (openai.InternalServerError, 503, "server_error", "server_error"),
        (openai.APIStatusError, 413, "rate_limit_exceeded", "rate_limit"),
        (openai.APIStatusError, 413, None, "validation"),
        (openai.APIError, None, "rate_limit_exceeded", "rate_limit"),
        (openai.APIError, None, "invalid_request_error", "validation"),
        (anthropic.APIStatusError, 200, "overloaded_error", "server_error"),
        (anthropic.APIStatusError, 200, "rate_limit_error", "rate_limit"),
        (anthropic.EnforcedSpendLimitReachedError, 429, "rate_limit_error", "quota"),
        (None, None, "server_error", "server_error"),
        (None, None, "invalid_image_url", "validation"),
        (None, 418, None, "validation"),
        (None, 302, None, "unknown"),
        (None, None, None, "unknown"),
        (None, None, "", "unknown"),
    ],
)
def test_code_status_and_class_together(
    exception: type[BaseException] | None, status: int | None, code: str | None, category: str
) -> None:
    assert classify(exception, status=status, code=code).category == category


@pytest.mark.parametrize(
    ("message", "category"),
    [
        ("prompt is too long: 215000 tokens > 200000 maximum", "context_length"),
        ("This model's maximum context length is 8192 tokens", "context_length"),
        ("max_tokens: Field required", "validation"),
    ],
)
def test_a_prompt_that_is_too_long_is_told_by_its_message_where_there_is_no_code(
    message: str, category: str
) -> None:
    assert classify(anthropic.BadRequestError, status=400, code="invalid_request_error", message=message) == (
        category,
        False,
    )


def test_a_message_decides_nothing_else() -> None:
    said = "prompt is too long"
    assert classify(anthropic.RateLimitError, status=429, message=said).category == "rate_limit"
    assert (
        classify(openai.BadRequestError, status=400, code="content_filter", message=said).category
        == "content_filter"
    )


def test_other_sdks_of_the_family_are_known_by_the_names_of_their_classes() -> None:
    class GroqError(Exception): ...

    class APIError(GroqError): ...

    class APIStatusError(APIError): ...

    class UnprocessableEntityError(APIStatusError): ...

    class OverloadedError(APIStatusError): ...

    assert classify(UnprocessableEntityError) == Kind("validation", retryable=False)
    assert classify(OverloadedError, status=529) == Kind("server_error", retryable=True)


def test_kinds_are_from_the_list() -> None:
    assert len(CATEGORIES) == len(set(CATEGORIES))
    assert CATEGORIES[-1] == "unknown"


@pytest.mark.parametrize(
    "code",
    [
        "invalid_api_key",
        "key_expired",
        "token_expired",
        "sk_missing",
        "E-1042",
        "429",
        "Throttling.RateQuota",
    ],
)
def test_a_code_is_kept(code: str) -> None:
    assert said(code).code == code


@pytest.mark.parametrize(
    "code", ["sk-proj-Abc123Def456", "you said: hunter2", "", "x" * 200, "AKIAABCDEFGHIJKLMNOP"]
)
def test_neither_a_sentence_nor_a_key_is_a_code(code: str) -> None:
    assert (said(code).code, said(code).type) == (None, "_OTHER")
