// A batch by OpenAI's JavaScript SDK: many requests as one file, answered when nobody interactive wants the model.
//   npm install && LAMINA_URL=http://127.0.0.1:8080/v1 node batch.mjs
import OpenAI, { toFile } from 'openai';

const client = new OpenAI({ baseURL: process.env.LAMINA_URL ?? 'http://127.0.0.1:8080/v1', apiKey: process.env.LAMINA_KEY ?? 'none', maxRetries: 0 });
const model = process.env.LAMINA_MODEL ?? (await client.models.list()).data[0].id;
const questions = ['What is 27 + 15?', 'What is 12 + 20?'];
const lines = questions.map((content, i) => ({
  custom_id: `question-${i}`, method: 'POST', url: '/v1/chat/completions', body: { model, messages: [{ role: 'user', content }], temperature: 0 },
}));
lines.push({ custom_id: 'wrong', method: 'POST', url: '/v1/chat/completions', body: { model, messages: [], temperature: 0 } });

const file = await client.files.create({ file: await toFile(Buffer.from(lines.map((line) => JSON.stringify(line)).join('\n')), 'questions.jsonl'), purpose: 'batch' });
let batch = await client.batches.create({ input_file_id: file.id, endpoint: '/v1/chat/completions', completion_window: '24h' });
while (!['completed', 'failed', 'expired', 'cancelled'].includes(batch.status)) {
  await new Promise((resolve) => setTimeout(resolve, 200));
  batch = await client.batches.retrieve(batch.id);
}
console.log(`${batch.status}: ${batch.request_counts.completed} answered, ${batch.request_counts.failed} failed of ${batch.request_counts.total}`);

const read = async (id) => (await (await client.files.content(id)).text()).trim().split('\n').map((line) => JSON.parse(line)).sort((a, b) => a.custom_id.localeCompare(b.custom_id));
for (const line of await read(batch.output_file_id)) {
  console.log(`${line.custom_id}: ${line.response.body.choices[0].message.content}`);
}
for (const line of await read(batch.error_file_id)) {
  console.log(`${line.custom_id}: ${line.response.status_code} ${line.response.body.error.param}`);
}

for await (const known of client.files.list({ purpose: 'batch' })) {
  if (known.id === file.id) console.log(`deleted: ${(await client.files.delete(known.id)).deleted}`);
}
