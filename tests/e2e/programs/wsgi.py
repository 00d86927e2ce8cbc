"""An application for gunicorn: one call per request, by a client that the parent process made."""

import openai

client = openai.OpenAI()


def application(environ, start_response):
    path = environ["PATH_INFO"].strip("/")
    messages = [{"role": "user", "content": "Hello"}]
    text = client.chat.completions.create(model=f"gpt-{path}", messages=messages).choices[0].message.content
    start_response("200 OK", [("content-type", "text/plain")])
    return [text.encode()]
