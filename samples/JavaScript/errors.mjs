// How refusals arrive in OpenAI's JavaScript SDK and in the AI SDK. Wants a server that asks for keys, a sound key, and one whose quota is used up.
//   npm install && LAMINA_URL=... LAMINA_KEY=... LAMINA_LIMITED_KEY=... node errors.mjs
import OpenAI from 'openai';
import { createOpenAICompatible } from '@ai-sdk/openai-compatible';
import { APICallError, generateText } from 'ai';

const baseURL = process.env.LAMINA_URL ?? 'http://127.0.0.1:8080/v1';
const model = process.env.LAMINA_MODEL ?? 'lamina-tiny-q8_0';
const cases = [
  { status: 401, apiKey: 'lam_000000000000_wrong' },
  { status: 404, apiKey: process.env.LAMINA_KEY, model: 'no-such-model' },
  { status: 400, apiKey: process.env.LAMINA_KEY, temperature: 9 },
  { status: 429, apiKey: process.env.LAMINA_LIMITED_KEY },
];

for (const { status, apiKey, ...wrong } of cases) {
  try {
    await new OpenAI({ baseURL, apiKey, maxRetries: 0 }).chat.completions.create({ model, messages: [{ role: 'user', content: 'hi' }], max_tokens: 8, ...wrong });
  } catch (error) {
    console.log(`openai ${error.status}: ${error.constructor.name} ${error.code}`);
  }
}

for (const { status, apiKey, model: name = model, temperature = 0 } of cases) {
  try {
    await generateText({ model: createOpenAICompatible({ name: 'lamina', baseURL, apiKey })(name), prompt: 'hi', temperature, maxOutputTokens: 8, maxRetries: 0 });
  } catch (error) {
    console.log(`ai ${error.statusCode}: ${APICallError.isInstance(error)} ${error.isRetryable}`);
  }
}
