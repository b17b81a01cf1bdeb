// Tools, structured output and embeddings by OpenAI's JavaScript SDK. Wants a model whose chat template knows tools, and one that embeds.
//   npm install && LAMINA_URL=... LAMINA_MODEL=... LAMINA_EMBEDDER=... node openai-tools.mjs
import OpenAI from 'openai';

const client = new OpenAI({ baseURL: process.env.LAMINA_URL ?? 'http://127.0.0.1:8080/v1', apiKey: process.env.LAMINA_KEY ?? 'none', maxRetries: 0 });
const model = process.env.LAMINA_MODEL;
const number = { type: 'integer', minimum: 0, maximum: 99 };
const parameters = { type: 'object', properties: { a: number, b: number }, required: ['a', 'b'], additionalProperties: false };
const tools = [{ type: 'function', function: { name: 'add', description: 'Adds two numbers.', parameters } }];
const messages = [{ role: 'user', content: 'What is 27 + 15?' }];

// Until the model answers in words: call what it asks for, and tell it the result. The first turn must be a call.
for (let turn = 0; turn < 4; turn++) {
  const { message } = (await client.chat.completions.create({ model, messages, tools, tool_choice: turn === 0 ? 'required' : 'auto', temperature: 0, max_tokens: 128 })).choices[0];
  messages.push(message);
  if (!message.tool_calls) {
    console.log(`answer: ${message.content}`);
    break;
  }
  for (const call of message.tool_calls) {
    const { a, b } = JSON.parse(call.function.arguments);
    console.log(`called: ${call.function.name} ${a} ${b}`);
    messages.push({ role: 'tool', tool_call_id: call.id, content: `${a + b}` });
  }
}

const structured = await client.chat.completions.create({
  model, messages: messages.slice(0, 1), temperature: 0, response_format: { type: 'json_schema', json_schema: { name: 'sum', strict: true, schema: parameters } },
});
const value = JSON.parse(structured.choices[0].message.content);
console.log(`structured: ${Number.isInteger(value.a) && Number.isInteger(value.b)}`);

const { data } = await client.embeddings.create({ model: process.env.LAMINA_EMBEDDER, input: ['a red fox', 'a blue bird'] });
console.log(`embeddings: ${data.length} of ${data[0].embedding.length}`);
