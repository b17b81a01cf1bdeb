"""A batch by OpenAI's Python SDK: many requests as one file, answered when nobody interactive wants the model.

    pip install openai && LAMINA_URL=http://127.0.0.1:8080/v1 python batch.py
"""
import json
import os
import time

from openai import OpenAI

client = OpenAI(base_url=os.environ.get("LAMINA_URL", "http://127.0.0.1:8080/v1"), api_key=os.environ.get("LAMINA_KEY", "none"))
model = client.models.list().data[0].id
lines = [
    {
        "custom_id": f"question-{i}",
        "method": "POST",
        "url": "/v1/chat/completions",
        "body": {"model": model, "messages": [{"role": "user", "content": question}], "temperature": 0},
    }
    for i, question in enumerate(["What is 27 + 15?", "What is 12 + 20?"])
]
file = client.files.create(file=("questions.jsonl", "\n".join(json.dumps(line) for line in lines).encode()), purpose="batch")
batch = client.batches.create(input_file_id=file.id, endpoint="/v1/chat/completions", completion_window="24h")
while batch.status not in ("completed", "failed", "expired", "cancelled"):
    time.sleep(0.2)
    batch = client.batches.retrieve(batch.id)

print(f"{batch.status}: {batch.request_counts.completed} answered of {batch.request_counts.total}")
for line in sorted(map(json.loads, client.files.content(batch.output_file_id).text.splitlines()), key=lambda line: line["custom_id"]):
    print(f"{line['custom_id']}: {line['response']['body']['choices'][0]['message']['content']}")
