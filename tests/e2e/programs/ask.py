"""Asks every SDK that is installed, once, and says what it answered."""

try:
    import openai
except ImportError:
    openai = None  # type: ignore[assignment]
try:
    import anthropic
except ImportError:
    anthropic = None  # type: ignore[assignment]

if openai is not None:
    client = openai.OpenAI()
    answer = client.chat.completions.create(model="gpt-4o", messages=[{"role": "user", "content": "Hello"}])
    print("openai:", answer.choices[0].message.content)
if anthropic is not None:
    message = anthropic.Anthropic().messages.create(
        model="claude-haiku-5-5", max_tokens=64, messages=[{"role": "user", "content": "Hello"}]
    )
    print("anthropic:", message.content[0].text)
