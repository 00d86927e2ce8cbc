"""The fake provider as the real SDKs see it: every endpoint, validated strictly, by sync and async clients."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import anthropic
import openai
import pytest
from dirty_equals import IsPartialDict
from pydantic import BaseModel

from otel_llm.testing import FakeProvider, RecordedRequest, Reply, ToolCall
from support.sdk_calls import call_async, call_sync

if TYPE_CHECKING:
    from collections.abc import Callable

MESSAGES: list[Any] = [{"role": "user", "content": "hi"}]
CHAT: dict[str, Any] = {"model": "gpt-4o", "messages": MESSAGES}
CLAUDE: dict[str, Any] = {"model": "claude-x", "max_tokens": 100, "messages": MESSAGES}
TOOLS = [ToolCall("weather", {"city": "Graz"}), ToolCall("time", "{}", id="call_own")]


@pytest.fixture(params=["sync", "async"])
def gpt(request: Any, fake_provider: FakeProvider) -> Callable[..., Any]:
    """Calls a method of an OpenAI client that accepts nothing which its types do not allow."""
    call, made = (call_sync, openai.OpenAI) if request.param == "sync" else (call_async, openai.AsyncOpenAI)
    url = fake_provider.openai_url

    def do(method: str, *, strict: bool = True, **kwargs: Any) -> Any:
        options: dict[str, Any] = {"api_key": "k", "max_retries": 0, "_strict_response_validation": strict}
        return call(lambda: made(base_url=url, **options), method, **kwargs)

    return do


@pytest.fixture(params=["sync", "async"])
def claude(request: Any, fake_provider: FakeProvider) -> Callable[..., Any]:
    """The same for Anthropic."""
    sync = request.param == "sync"
    call, made = (call_sync, anthropic.Anthropic) if sync else (call_async, anthropic.AsyncAnthropic)
    url = fake_provider.anthropic_url

    def do(method: str, *, strict: bool = True, **kwargs: Any) -> Any:
        options: dict[str, Any] = {"api_key": "k", "max_retries": 0, "_strict_response_validation": strict}
        return call(lambda: made(base_url=url, **options), method, **kwargs)

    return do


def plain(model: BaseModel) -> dict[str, Any]:
    return model.model_dump(exclude_none=True, warnings="error")


# -- chat completions


def test_chat(fake_provider: FakeProvider, gpt: Callable[..., Any]) -> None:
    answer = gpt("chat.completions.create", **CHAT)
    assert plain(answer) == {
        "id": "chatcmpl-000001",
        "object": "chat.completion",
        "created": 1_700_000_000,
        "model": "gpt-4o",
        "service_tier": "default",
        "system_fingerprint": "fp_fake",
        "choices": [
            {
                "index": 0,
                "finish_reason": "stop",
                "message": {"role": "assistant", "content": "word1 word2 word3", "annotations": []},
            }
        ],
        "usage": {
            "prompt_tokens": 12,
            "completion_tokens": 8,
            "total_tokens": 20,
            "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0},
            "completion_tokens_details": {
                "reasoning_tokens": 0,
                "audio_tokens": 0,
                "accepted_prediction_tokens": 0,
                "rejected_prediction_tokens": 0,
            },
        },
    }
    (request,) = fake_provider.requests
    assert (request.number, request.method, request.path, request.query) == (
        1,
        "POST",
        "/v1/chat/completions",
        "",
    )
    assert request.headers["authorization"] == "Bearer k"
    assert request.json == {"model": "gpt-4o", "messages": MESSAGES}


def test_chat_stream(gpt: Callable[..., Any]) -> None:
    chunks = gpt("chat.completions.create", **CHAT, stream=True)
    assert [chunk.choices[0].delta.content for chunk in chunks] == ["", "word1", " word2", " word3", None]
    assert [chunk.choices[0].delta.role for chunk in chunks] == ["assistant", None, None, None, None]
    assert [chunk.choices[0].finish_reason for chunk in chunks] == [None, None, None, None, "stop"]
    assert [chunk.usage for chunk in chunks] == [None] * 5
    assert {chunk.id for chunk in chunks} == {"chatcmpl-000001"}


def test_chat_stream_with_usage(fake_provider: FakeProvider, gpt: Callable[..., Any]) -> None:
    fake_provider.reply(
        Reply(
            input_tokens=100, output_tokens=50, cached_tokens=30, cache_write_tokens=20, reasoning_tokens=10
        )
    )
    chunks = gpt("chat.completions.create", **CHAT, stream=True, stream_options={"include_usage": True})
    assert [len(chunk.choices) for chunk in chunks] == [1, 1, 1, 1, 1, 0]
    assert [chunk.usage is None for chunk in chunks] == [True] * 5 + [False]
    usage = chunks[-1].usage
    assert (usage.prompt_tokens, usage.completion_tokens, usage.total_tokens) == (100, 50, 150)
    assert usage.prompt_tokens_details.cached_tokens == 30
    assert usage.prompt_tokens_details.cache_write_tokens == 20
    assert usage.completion_tokens_details.reasoning_tokens == 10


@pytest.mark.parametrize("stream", [False, True])
def test_usage_can_be_left_out_or_given(
    fake_provider: FakeProvider, gpt: Callable[..., Any], stream: bool
) -> None:
    given = {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 4}
    fake_provider.script(Reply(usage=False), Reply(usage=given))
    options: dict[str, Any] = {"stream": True, "stream_options": {"include_usage": True}} if stream else {}
    for expected in (None, given):
        answer = gpt("chat.completions.create", **CHAT, **options)
        usage = answer[-1].usage if stream else answer.usage
        assert (usage and plain(usage)) == expected


def test_chat_with_several_choices(fake_provider: FakeProvider, gpt: Callable[..., Any]) -> None:
    answer = gpt("chat.completions.create", **CHAT, n=2)
    assert [(choice.index, choice.message.content) for choice in answer.choices] == [
        (0, "word1 word2 word3"),
        (1, "word1 word2 word3"),
    ]
    chunks = gpt("chat.completions.create", **CHAT, n=2, stream=True)
    assert [chunk.choices[0].index for chunk in chunks] == [0, 1] * 5
    assert [chunk.choices[0].finish_reason for chunk in chunks][-2:] == ["stop", "stop"]


def test_chat_tool_calls(fake_provider: FakeProvider, gpt: Callable[..., Any]) -> None:
    fake_provider.reply(Reply(tool_calls=TOOLS))
    (choice,) = gpt("chat.completions.create", **CHAT).choices
    assert (choice.finish_reason, choice.message.content) == ("tool_calls", None)
    told = [(call.id, call.function.name, call.function.arguments) for call in choice.message.tool_calls]
    assert told == [("call_000001_0", "weather", '{"city": "Graz"}'), ("call_own", "time", "{}")]

    chunks = gpt("chat.completions.create", **CHAT, stream=True)
    pieces = [call for chunk in chunks for call in chunk.choices[0].delta.tool_calls or ()]
    joined = {
        index: "".join(call.function.arguments for call in pieces if call.index == index) for index in (0, 1)
    }
    assert joined == {0: '{"city": "Graz"}', 1: "{}"}
    assert [call.function.name for call in pieces if call.id] == ["weather", "time"]


def test_chat_refusal_and_reasoning(fake_provider: FakeProvider, gpt: Callable[..., Any]) -> None:
    fake_provider.reply(Reply(refusal="I will not.", thinking="Should I?"))
    message = gpt("chat.completions.create", **CHAT).choices[0].message
    assert (message.content, message.refusal, message.reasoning_content) == (None, "I will not.", "Should I?")
    deltas = [chunk.choices[0].delta for chunk in gpt("chat.completions.create", **CHAT, stream=True)]
    assert "".join(delta.refusal or "" for delta in deltas) == "I will not."
    assert "".join(getattr(delta, "reasoning_content", "") for delta in deltas) == "Should I?"


def test_chat_logprobs(gpt: Callable[..., Any]) -> None:
    whole = gpt("chat.completions.create", **CHAT, logprobs=True).choices[0].logprobs
    assert [(token.token, token.logprob) for token in whole.content] == [
        ("word1", -0.1),
        (" word2", -0.1),
        (" word3", -0.1),
    ]
    chunks = gpt("chat.completions.create", **CHAT, logprobs=True, stream=True)
    told = [chunk.choices[0].logprobs for chunk in chunks]
    assert [logprobs and logprobs.content[0].token for logprobs in told] == [
        None,
        "word1",
        " word2",
        " word3",
        None,
    ]


class Boss(BaseModel):
    name: str


class Person(BaseModel):
    name: str
    age: int
    tags: list[str]
    boss: Boss | None


FITTING = Person(name="text", age=1, tags=["text"], boss=Boss(name="text"))


def test_structured_answers_fit_the_schema(
    fake_provider: FakeProvider, gpt: Callable[..., Any], claude: Callable[..., Any]
) -> None:
    parsed = gpt("chat.completions.parse", **CHAT, response_format=Person).choices[0].message.parsed
    assert parsed == FITTING
    assert gpt("responses.parse", model="gpt-4o", input="hi", text_format=Person).output_parsed == FITTING
    assert claude("messages.parse", **CLAUDE, output_format=Person).parsed_output == FITTING
    loose = gpt("chat.completions.create", **CHAT, response_format={"type": "json_object"})
    assert loose.choices[0].message.content == '{"answer":"text"}'
    fake_provider.reply(Reply(text='{"name":"mine"}', chunks=1))
    parsed = gpt("chat.completions.parse", **CHAT, response_format=Boss).choices[0].message.parsed
    assert parsed == Boss(name="mine")


# -- Responses


def test_responses(fake_provider: FakeProvider, gpt: Callable[..., Any]) -> None:
    fake_provider.reply(
        Reply(input_tokens=40, output_tokens=30, cached_tokens=10, cache_write_tokens=5, reasoning_tokens=20)
    )
    answer = gpt(
        "responses.create", model="gpt-5", input="hi", instructions="be brief", conversation="conv_1"
    )
    assert (answer.id, answer.status, answer.output_text) == ("resp_000001", "completed", "word1 word2 word3")
    assert (answer.instructions, answer.conversation.id, answer.model) == ("be brief", "conv_1", "gpt-5")
    assert plain(answer.usage) == {
        "input_tokens": 40,
        "input_tokens_details": {"cached_tokens": 10, "cache_write_tokens": 5},
        "output_tokens": 30,
        "output_tokens_details": {"reasoning_tokens": 20},
        "total_tokens": 70,
    }


def test_responses_stream_has_every_event(fake_provider: FakeProvider, gpt: Callable[..., Any]) -> None:
    fake_provider.reply(Reply(thinking="Let me see.", text="Hello", chunks=2, tool_calls=TOOLS[:1]))
    events = gpt("responses.create", model="gpt-5", input="hi", stream=True)
    assert [event.type.removeprefix("response.") for event in events] == [
        "created",
        "in_progress",
        "output_item.added",
        "reasoning_summary_part.added",
        "reasoning_summary_text.delta",
        "reasoning_summary_text.delta",
        "reasoning_summary_text.done",
        "reasoning_summary_part.done",
        "output_item.done",
        "output_item.added",
        "content_part.added",
        "output_text.delta",
        "output_text.delta",
        "output_text.done",
        "content_part.done",
        "output_item.done",
        "output_item.added",
        "function_call_arguments.delta",
        "function_call_arguments.delta",
        "function_call_arguments.done",
        "output_item.done",
        "completed",
    ]
    assert [event.sequence_number for event in events] == list(range(len(events)))
    first, last = events[0].response, events[-1].response
    assert (first.status, first.output, first.usage) == ("in_progress", [], None)
    assert (last.status, last.usage.total_tokens) == ("completed", 20)
    assert [item.type for item in last.output] == ["reasoning", "message", "function_call"]
    assert [item.id for item in last.output] == ["rs_000001", "msg_000001", "fc_000001_0"]
    assert last.output[2].arguments == '{"city": "Graz"}'


def test_responses_helper_accumulates_what_was_sent(fake_provider: FakeProvider) -> None:
    fake_provider.reply(Reply(refusal="No.", tool_calls=TOOLS))
    with (
        openai.OpenAI(base_url=fake_provider.openai_url, api_key="k", max_retries=0) as client,
        client.responses.stream(model="gpt-5", input="hi") as stream,
    ):
        final = stream.get_final_response()
    message, *calls = final.output
    assert message.content[0].refusal == "No."
    assert [call.name for call in calls] == ["weather", "time"]


@pytest.mark.parametrize(
    ("reply", "told"),
    [
        (
            Reply(response_status="failed", error_code="rate_limit_exceeded", error_message="slow down"),
            {
                "status": "failed",
                "error": {"code": "rate_limit_exceeded", "message": "slow down"},
                "output": [],
            },
        ),
        (
            Reply(response_status="incomplete", finish_reason="content_filter"),
            {"status": "incomplete", "incomplete_details": {"reason": "content_filter"}},
        ),
        (Reply(response_status="incomplete"), {"incomplete_details": {"reason": "max_output_tokens"}}),
    ],
)
def test_responses_that_do_not_complete(
    fake_provider: FakeProvider, gpt: Callable[..., Any], reply: Reply, told: dict[str, Any]
) -> None:
    fake_provider.reply(reply)
    answer = gpt("responses.create", model="gpt-5", input="hi")
    assert plain(answer) == IsPartialDict(told)
    events = gpt("responses.create", model="gpt-5", input="hi", stream=True)
    assert events[-1].type == f"response.{reply.response_status}"
    assert plain(events[-1].response) == IsPartialDict(told)


def test_background_responses(fake_provider: FakeProvider, gpt: Callable[..., Any]) -> None:
    started = gpt("responses.create", model="gpt-5", input="hi", background=True)
    assert (started.status, started.background, started.usage, started.output) == ("queued", True, None, [])
    fake_provider.script(Reply(response_status="in_progress", model="gpt-5"), Reply(model="gpt-5"))
    assert gpt("responses.retrieve", response_id=started.id).status == "in_progress"
    done = gpt("responses.retrieve", response_id=started.id)
    assert (done.id, done.status, done.usage.total_tokens) == (started.id, "completed", 20)
    assert gpt("responses.cancel", response_id=started.id).status == "cancelled"

    events = gpt("responses.create", model="gpt-5", input="hi", background=True, stream=True)
    assert [event.type for event in events[:3]] == [
        "response.created",
        "response.queued",
        "response.in_progress",
    ]
    rest = gpt("responses.retrieve", response_id="resp_x", stream=True, starting_after=4)
    assert [event.sequence_number for event in rest] == list(range(5, 11))
    assert (rest[-1].type, rest[-1].response.id) == ("response.completed", "resp_x")
    assert fake_provider.requests[-1].query == "starting_after=4&stream=true"


# -- the other endpoints of OpenAI


def test_embeddings(fake_provider: FakeProvider, gpt: Callable[..., Any]) -> None:
    # The SDK asks for base64 by itself, though its type allows a list of numbers alone.
    packed = gpt("embeddings.create", strict=False, model="e", input=["a", "b"], dimensions=3)
    loose = gpt("embeddings.create", model="e", input=["a", "b"], dimensions=3, encoding_format="float")
    assert [request.json["encoding_format"] for request in fake_provider.requests] == ["base64", "float"]
    for answer in (packed, loose):
        assert [item.index for item in answer.data] == [0, 1]
        assert [item.embedding for item in answer.data] == [
            pytest.approx([1.0, 1 / 2, 1 / 3]),
            pytest.approx([2.0, 1.0, 2 / 3]),
        ]
        assert plain(answer.usage) == {"prompt_tokens": 12, "total_tokens": 12}
    assert len(gpt("embeddings.create", strict=False, model="e", input=[1, 2, 3]).data) == 1
    assert len(gpt("embeddings.create", strict=False, model="e", input=[[1, 2], [3]]).data) == 2


def test_completions(gpt: Callable[..., Any]) -> None:
    answer = gpt("completions.create", model="davinci", prompt="hi", n=2)
    assert [choice.text for choice in answer.choices] == ["word1 word2 word3"] * 2
    assert answer.usage.total_tokens == 20
    # The API's chunks have no reason to finish but the last, though the SDK's type wants one.
    ask: dict[str, Any] = {"model": "davinci", "prompt": "hi", "stream": True, "strict": False}
    chunks = gpt("completions.create", **ask)
    assert [chunk.choices[0].text for chunk in chunks] == ["word1", " word2", " word3", ""]
    assert [chunk.choices[0].finish_reason for chunk in chunks][-1] == "stop"
    chunks = gpt("completions.create", **ask, stream_options={"include_usage": True})
    assert (chunks[-1].choices, chunks[-1].usage.total_tokens) == ([], 20)


def test_models(fake_provider: FakeProvider, gpt: Callable[..., Any], claude: Callable[..., Any]) -> None:
    assert gpt("models.retrieve", model="gpt-4o").id == "gpt-4o"
    assert claude("models.retrieve", model_id="claude-x").display_name == "claude-x"
    with openai.OpenAI(base_url=fake_provider.openai_url, api_key="k") as client:
        assert [model.id for model in client.models.list()] == ["fake-model"]
    with anthropic.Anthropic(base_url=fake_provider.url, api_key="k") as client:
        assert [model.id for model in client.models.list()] == ["fake-model"]


# -- Anthropic


def test_messages(fake_provider: FakeProvider, claude: Callable[..., Any]) -> None:
    answer = claude("messages.create", **CLAUDE)
    assert plain(answer) == {
        "id": "msg_000001",
        "type": "message",
        "role": "assistant",
        "model": "claude-x",
        "content": [{"type": "text", "text": "word1 word2 word3"}],
        "stop_reason": "end_turn",
        "usage": {
            "input_tokens": 12,
            "output_tokens": 8,
            "cache_creation_input_tokens": 0,
            "cache_read_input_tokens": 0,
            "cache_creation": {"ephemeral_1h_input_tokens": 0, "ephemeral_5m_input_tokens": 0},
            "service_tier": "standard",
        },
    }
    assert fake_provider.requests[0].path == "/v1/messages"
    assert claude("beta.messages.create", **CLAUDE, betas=["x"]).content[0].text == "word1 word2 word3"


CACHED = Reply(
    input_tokens=100,
    output_tokens=50,
    cached_tokens=30,
    cache_write_tokens=20,
    cache_write_1h_tokens=5,
    reasoning_tokens=10,
)


def test_messages_count_cached_tokens_apart(fake_provider: FakeProvider, claude: Callable[..., Any]) -> None:
    fake_provider.reply(CACHED)
    usage = plain(claude("messages.create", **CLAUDE).usage)
    assert usage == {
        "input_tokens": 50,
        "cache_read_input_tokens": 30,
        "cache_creation_input_tokens": 20,
        "cache_creation": {"ephemeral_5m_input_tokens": 15, "ephemeral_1h_input_tokens": 5},
        "output_tokens": 50,
        "output_tokens_details": {"thinking_tokens": 10},
        "service_tier": "standard",
    }
    events = claude("messages.create", **CLAUDE, stream=True)
    opening = {name: value for name, value in usage.items() if name != "output_tokens_details"}
    assert plain(events[0].message.usage) == {**opening, "output_tokens": 1}
    del usage["cache_creation"], usage["service_tier"]
    assert plain(events[-2].usage) == usage


def test_messages_stream_has_every_event(fake_provider: FakeProvider, claude: Callable[..., Any]) -> None:
    fake_provider.reply(
        Reply(thinking="Let me see.", redacted_thinking="zzz", text="Hello", chunks=2, tool_calls=TOOLS[:1])
    )
    events = claude("messages.create", **CLAUDE, stream=True)
    told = [
        (event.type, getattr(getattr(event, "delta", None), "type", None) or getattr(event, "index", None))
        for event in events
    ]
    assert told == [
        ("message_start", None),
        ("content_block_start", 0),
        ("content_block_delta", "thinking_delta"),
        ("content_block_delta", "thinking_delta"),
        ("content_block_delta", "signature_delta"),
        ("content_block_stop", 0),
        ("content_block_start", 1),
        ("content_block_stop", 1),
        ("content_block_start", 2),
        ("content_block_delta", "text_delta"),
        ("content_block_delta", "text_delta"),
        ("content_block_stop", 2),
        ("content_block_start", 3),
        ("content_block_delta", "input_json_delta"),
        ("content_block_delta", "input_json_delta"),
        ("content_block_delta", "input_json_delta"),
        ("content_block_stop", 3),
        ("message_delta", None),
        ("message_stop", None),
    ]
    assert events[-2].delta.stop_reason == "tool_use"


def test_messages_helper_accumulates_what_was_sent(fake_provider: FakeProvider) -> None:
    fake_provider.reply(Reply(thinking="Hm.", redacted_thinking="zzz", text="Hello", tool_calls=TOOLS[:1]))
    with anthropic.Anthropic(base_url=fake_provider.url, api_key="k", max_retries=0) as client:
        whole = client.messages.create(**CLAUDE)
        with client.messages.stream(**CLAUDE) as stream:
            final = stream.get_final_message()
    assert [block.type for block in final.content] == ["thinking", "redacted_thinking", "text", "tool_use"]
    assert final.content[3].input == {"city": "Graz"}
    assert [plain(block) for block in final.content][:3] == [plain(block) for block in whole.content][:3]
    assert final.usage == whole.usage


def test_a_ping_is_sent(fake_provider: FakeProvider) -> None:
    with anthropic.Anthropic(base_url=fake_provider.url, api_key="k") as client:
        raw = client.messages.with_raw_response.create(**CLAUDE, stream=True)
        raw.http_response.read()
        assert 'event: ping\ndata: {"type":"ping"}\n\n' in raw.http_response.text


def test_refusal_and_token_counts(fake_provider: FakeProvider, claude: Callable[..., Any]) -> None:
    fake_provider.script(Reply(refusal="I will not."))
    answer = claude("messages.create", **CLAUDE)
    assert (answer.stop_reason, answer.content[0].text) == ("refusal", "I will not.")
    assert answer.stop_details.explanation == "I will not."
    counted = claude("messages.count_tokens", model="claude-x", messages=MESSAGES)
    assert counted.input_tokens == 12


# -- hosts


def test_azure(fake_provider: FakeProvider) -> None:
    with openai.AzureOpenAI(
        azure_endpoint=fake_provider.url, api_version="2024-10-21", azure_deployment="mine", api_key="k"
    ) as client:
        answer = client.chat.completions.create(**CHAT)
        chunks = list(client.chat.completions.create(**CHAT, stream=True))
    assert answer.model_extra is not None
    assert answer.model_extra["prompt_filter_results"][0]["prompt_index"] == 0
    assert [len(chunk.choices) for chunk in chunks] == [0, 1, 1, 1, 1, 1]
    assert fake_provider.requests[0].target == (
        "/openai/deployments/mine/chat/completions?api-version=2024-10-21"
    )


@pytest.mark.parametrize("stream", [False, True])
def test_bedrock(fake_provider: FakeProvider, stream: bool) -> None:
    fake_provider.reply(Reply(tool_calls=TOOLS[:1]))
    with anthropic.AnthropicBedrock(
        base_url=fake_provider.url, aws_region="eu-west-1", api_key="k", max_retries=0
    ) as client:
        answer = client.messages.create(**CLAUDE, stream=stream)
        if stream:
            types = [event.type for event in answer]
            assert types[0] == "message_start"
            assert types[-2:] == ["message_delta", "message_stop"]
            assert "ping" not in types
        else:
            assert answer.content[0].input == {"city": "Graz"}
    (request,) = fake_provider.requests
    verb = "invoke-with-response-stream" if stream else "invoke"
    assert request.path == f"/model/claude-x/{verb}"


def test_an_error_in_a_stream_of_bedrock(fake_provider: FakeProvider) -> None:
    fake_provider.reply(Reply(error_after=1, error_type="rate_limit_error", error_message="slow"))
    with (
        anthropic.AnthropicBedrock(
            base_url=fake_provider.url, aws_region="eu-west-1", api_key="k", max_retries=0
        ) as client,
        pytest.raises(anthropic.APIStatusError, match="throttlingException"),
    ):
        list(client.messages.create(**CLAUDE, stream=True))


def test_vertex(fake_provider: FakeProvider) -> None:
    with anthropic.AnthropicVertex(
        base_url=f"{fake_provider.url}/v1", region="eu", project_id="p", access_token="t", max_retries=0
    ) as client:
        answer = client.messages.create(**CLAUDE)
        events = list(client.messages.create(**CLAUDE, stream=True))
        counted = client.messages.count_tokens(model="claude-x", messages=MESSAGES)
    assert (answer.model, answer.content[0].text) == ("claude-x", "word1 word2 word3")
    assert events[-1].type == "message_stop"
    assert counted.input_tokens == 12
    prefix = "/v1/projects/p/locations/eu/publishers/anthropic/models/"
    assert [request.path.removeprefix(prefix) for request in fake_provider.requests] == [
        "claude-x:rawPredict",
        "claude-x:streamRawPredict",
        "count-tokens:rawPredict",
    ]


# -- the script


def test_replies_come_in_order_and_then_the_default(
    fake_provider: FakeProvider, gpt: Callable[..., Any]
) -> None:
    fake_provider.reply(Reply(text="default"))
    fake_provider.script(Reply(text="first"), Reply(chunks=["sec", "ond"]))
    texts = [gpt("chat.completions.create", **CHAT).choices[0].message.content for _ in range(4)]
    assert texts == ["first", "second", "default", "default"]


def test_a_reply_can_depend_on_the_request(fake_provider: FakeProvider, gpt: Callable[..., Any]) -> None:
    def echo(request: RecordedRequest) -> Reply:
        return Reply(text=request.json["messages"][0]["content"], model=f"{request.json['model']}-2024")

    fake_provider.reply(echo)
    answer = gpt("chat.completions.create", **CHAT)
    assert (answer.model, answer.choices[0].message.content) == ("gpt-4o-2024", "hi")


def test_default_headers_are_known_and_can_be_changed(fake_provider: FakeProvider) -> None:
    fake_provider.script(
        Reply(),
        Reply(headers={"X-Ratelimit-Remaining-Tokens": "7", "openai-organization": None, "x-own": "1"}),
    )
    with openai.OpenAI(base_url=fake_provider.openai_url, api_key="k") as client:
        first = client.chat.completions.with_raw_response.create(**CHAT).headers
        second = client.chat.completions.with_raw_response.create(**CHAT).headers
    assert dict(first) == {
        "content-type": "application/json",
        "content-length": first["content-length"],
        "x-request-id": "req_000001",
        "openai-organization": "org-fake",
        "openai-processing-ms": "42",
        "openai-project": "proj_fake",
        "openai-version": "2020-10-01",
        "x-ratelimit-limit-requests": "10000",
        "x-ratelimit-limit-tokens": "200000",
        "x-ratelimit-remaining-requests": "9999",
        "x-ratelimit-remaining-tokens": "199980",
        "x-ratelimit-reset-requests": "8.64s",
        "x-ratelimit-reset-tokens": "6ms",
    }
    assert (second["x-request-id"], second["x-ratelimit-remaining-tokens"], second["x-own"]) == (
        "req_000002",
        "7",
        "1",
    )
    assert "openai-organization" not in second
    with anthropic.Anthropic(base_url=fake_provider.url, api_key="k") as client:
        headers = client.messages.with_raw_response.create(**CLAUDE).headers
    assert headers["request-id"] == "req_000003"
    assert headers["anthropic-organization-id"] == "org-fake"
    assert headers["anthropic-ratelimit-requests-remaining"] == "3999"
    assert headers["anthropic-ratelimit-tokens-reset"].endswith("Z")


def test_the_oldest_requests_are_forgotten() -> None:
    with FakeProvider(keep=2) as server, openai.OpenAI(base_url=server.openai_url, api_key="k") as client:
        for _ in range(3):
            client.chat.completions.create(**CHAT)
        assert [request.number for request in server.wait_for(3)] == [2, 3]
        server.script(Reply())
        server.clear()
        assert (server.requests, server.unused) == ([], [])
