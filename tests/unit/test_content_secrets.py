"""Keys that providers echo in their error messages are taken out."""

from __future__ import annotations

import time

import pytest

from otel_llm._secrets import MASK, scrub

ECHOES = [
    "Incorrect API key provided: sk-proj-abcDEF123*****wxyz. You can find your API key at https://platform.openai.com",
    "Incorrect API key provided: sk-SECRET.",
    "Incorrect API key provided: SECRETvalue. You can find",
    "invalid x-api-key: SECRETvalue",
    '{"x-api-key": "SECRETvalue"}',
    "{'Authorization': 'Bearer SECRETvalue', 'host': 'example.org'}",
    "Authorization: Bearer SECRETvalue",
    "authorization=Basic U0VDUkVUdmFsdWU6",
    "token 'SECRET' is bad: token=SECRETvalue&next=1",
    "api_key=SECRETvalue, model=gpt",
    "OPENAI_API_KEY=SECRETvalue",
    "AWS AKIASECRET1234567890",
    "aws_secret_access_key = SECRETvalue/abc+def",
    "Credential=ASIASECRETSECRET/20260101, Signature=SECRETvalue",
    "https://bucket.s3.amazonaws.com/a?X-Amz-Signature=SECRETvalue&X-Amz-Security-Token=SECRETvalue&x=1",
    "GET https://example.org/v1/models?key=SECRETvalue failed",
    "https://ada:SECRETvalue@example.org/v1",
    "AIzaSECRETsecretSECRETsecretSECRETsecret12",
    "ya29.SECRET-value_x",
    "ghp_SECRETsecretSECRETsecret and xoxb-SECRET-secret",
    "gsk_SECRETsecret and hf_SECRETsecret and xai-SECRETsecret and pplx-SECRETsecret",
    "eyJhbGciOiJIUzI1NiJ9.eyJTRUNSRVQiOjF9.SECRETsignature",
    "eyJSECRETvalueSECRETsecret, cut off",
    "-----BEGIN RSA PRIVATE KEY-----\nSECRET\nSECRET\n-----END RSA PRIVATE KEY-----",
    "set-cookie: session=SECRETvalue; path=/",
    "password: SECRETvalue",
    "client_secret='SECRETvalue'",
]


@pytest.mark.parametrize("text", ECHOES)
def test_a_secret_is_taken_out_and_the_rest_stays(text: str) -> None:
    scrubbed = scrub(text)

    assert MASK in scrubbed
    for piece in (
        "SECRETvalue",
        "sk-SECRET",
        "U0VDUkVU",
        "SECRETsecret",
        "abcDEF123",
        "wxyz",
        "-SECRET",
        "AKIASEC",
    ):
        assert piece not in scrubbed
    assert scrub(scrubbed) == scrubbed


@pytest.mark.parametrize(
    "text",
    [
        "The model `gpt-5` does not exist or you do not have access to it.",
        "Rate limit reached for gpt-4o in organization org-abc on tokens per min (TPM): Limit 30000, Used 29000.",
        "This model's maximum context length is 8192 tokens. However, your messages resulted in 9000 tokens.",
        "Error code: 400 - {'error': {'message': 'max_tokens: must be at least 1', 'type': 'invalid_request_error'}}",
        "max_tokens=100, prompt_tokens: 5, completion_tokens: 7",
        "see https://example.org:8080/a@b for help",
        "risk-based task-1234 desk-top",
        "",
    ],
)
def test_what_is_no_secret_stays(text: str) -> None:
    assert scrub(text) == text


def test_a_known_secret_is_found_wherever_it_stands() -> None:
    assert scrub("who is hunter2hunter2?", known=["hunter2hunter2", None, "", "is"]) == f"who is {MASK}?"


def test_long_texts_take_no_long_time() -> None:
    """Prints the time; a pattern that backtracks over these would take minutes."""
    for text in (
        "a" * 200_000,
        "sk-" * 60_000,
        "api_key " * 30_000,
        "://" * 60_000,
        "eyJ" * 60_000,
        "eyJ-" * 250_000,
        "key=" * 50_000,
    ):
        start = time.perf_counter()
        scrub(text)
        print(text[:8], round(time.perf_counter() - start, 3))
