"""What a provider's API offers, in one go: chat, streams, tools, embeddings, responses, messages."""

import anthropic
import openai

messages = [{"role": "user", "content": "hello"}]

with openai.OpenAI() as client:
    answer = client.chat.completions.create(model="gpt-4o", messages=messages)
    print("chat", bool(answer.choices[0].message.content))
    chunks = client.chat.completions.create(
        model="gpt-4o", messages=messages, stream=True, stream_options={"include_usage": True}
    )
    print("stream", bool("".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)))
    print("response", bool(client.responses.create(model="gpt-4o", input="hello").output_text))
    events = client.responses.create(model="gpt-4o", input="hello", stream=True)
    print("events", [event.type for event in events][-1])
    vectors = client.embeddings.create(model="text-embedding-3-small", input="hello")
    print("embedding", len(vectors.data))

with anthropic.Anthropic() as claude:
    message = claude.messages.create(model="claude-haiku-5-5", max_tokens=64, messages=messages)
    print("message", message.role)
    with claude.messages.stream(model="claude-haiku-5-5", max_tokens=64, messages=messages) as stream:
        print("text", bool("".join(stream.text_stream)))
