"""OpenAI's Python SDK against Lamina.

    pip install openai && LAMINA_URL=http://127.0.0.1:8080/v1 python openai_sdk.py
"""
import os

from openai import NotFoundError, OpenAI

client = OpenAI(base_url=os.environ.get("LAMINA_URL", "http://127.0.0.1:8080/v1"), api_key=os.environ.get("LAMINA_KEY", "none"))
model = client.models.list().data[0].id
messages = [{"role": "user", "content": "What is 27 + 15?"}]

whole = client.chat.completions.create(model=model, messages=messages, temperature=0)
print("whole:", whole.choices[0].message.content)

with client.chat.completions.create(model=model, messages=messages, temperature=0, stream=True) as stream:
    for chunk in stream:
        print(chunk.choices[0].delta.content or "", end="", flush=True)
print()

try:
    client.chat.completions.create(model="no-such-model", messages=messages)
except NotFoundError as error:
    print("unknown model:", error.code)
