// OpenAI's JavaScript SDK against Lamina.
//   npm install && LAMINA_URL=http://127.0.0.1:8080/v1 node openai-sdk.mjs
import OpenAI, { BadRequestError, NotFoundError } from 'openai';

const client = new OpenAI({ baseURL: process.env.LAMINA_URL ?? 'http://127.0.0.1:8080/v1', apiKey: process.env.LAMINA_KEY ?? 'none', maxRetries: 0 });
const model = process.env.LAMINA_MODEL ?? (await client.models.list()).data[0].id;
const messages = [{ role: 'user', content: 'What is 27 + 15?' }];

const whole = await client.chat.completions.create({ model, messages, temperature: 0 });
console.log(`whole: ${whole.choices[0].message.content}`);

let text = '';
for await (const chunk of await client.chat.completions.create({ model, messages, temperature: 0, stream: true })) {
  text += chunk.choices[0]?.delta?.content ?? '';
}
console.log(`streamed: ${text}`);

try {
  await client.chat.completions.create({ model: 'no-such-model', messages });
} catch (error) {
  console.log(`unknown model: ${error instanceof NotFoundError} ${error.code}`);
}

try {
  await client.chat.completions.create({ model, messages, temperature: 9 });
} catch (error) {
  console.log(`bad value: ${error instanceof BadRequestError} ${error.param}`);
}

// Leaving the loop aborts the request, which ends the generation at the server.
const story = await client.chat.completions.create({ model, messages: [{ role: 'user', content: 'Tell me a story about a red fox in the forest.' }], stream: true });
let events = 0;
for await (const _ of story) {
  if (++events === 3) break;
}
console.log(`aborted after ${events} events: ${story.controller.signal.aborted}`);
