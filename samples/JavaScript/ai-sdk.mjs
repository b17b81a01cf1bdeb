// The AI SDK with its provider for OpenAI-compatible servers, against Lamina.
//   npm install && LAMINA_URL=http://127.0.0.1:8080/v1 node ai-sdk.mjs
import { createOpenAICompatible } from '@ai-sdk/openai-compatible';
import { APICallError, generateText, streamText } from 'ai';

const lamina = createOpenAICompatible({ name: 'lamina', baseURL: process.env.LAMINA_URL ?? 'http://127.0.0.1:8080/v1', includeUsage: true });
const model = lamina(process.env.LAMINA_MODEL ?? 'lamina-tiny-q8_0');
const question = { model, prompt: 'What is 27 + 15?', temperature: 0, maxRetries: 0 };

const whole = await generateText(question);
console.log(`whole: ${whole.text}`);

const streamed = streamText(question);
let text = '';
for await (const piece of streamed.textStream) {
  text += piece;
}
console.log(`streamed: ${text}`);
console.log(`usage: ${(await streamed.usage).outputTokens > 0}`);

try {
  await generateText({ ...question, model: lamina('no-such-model') });
} catch (error) {
  console.log(`unknown model: ${APICallError.isInstance(error)} ${error.statusCode}`);
}
