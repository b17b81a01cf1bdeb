// Tools, structured output and embeddings by the AI SDK. Wants a model whose chat template knows tools, and one that embeds.
//   npm install && LAMINA_URL=... LAMINA_MODEL=... LAMINA_EMBEDDER=... node ai-tools.mjs
import { createOpenAICompatible } from '@ai-sdk/openai-compatible';
import { embedMany, generateText, Output, stepCountIs, tool } from 'ai';
import { z } from 'zod';

const lamina = createOpenAICompatible({ name: 'lamina', baseURL: process.env.LAMINA_URL ?? 'http://127.0.0.1:8080/v1', supportsStructuredOutputs: true });
const model = lamina(process.env.LAMINA_MODEL);
const number = z.number().int().min(0).max(99);
const question = { model, prompt: 'What is 27 + 15?', temperature: 0, maxRetries: 0, maxOutputTokens: 128 };

const answer = await generateText({
  ...question,
  tools: {
    add: tool({
      description: 'Adds two numbers.',
      inputSchema: z.object({ a: number, b: number }),
      execute: async ({ a, b }) => {
        console.log(`called: add ${a} ${b}`);
        return a + b;
      },
    }),
  },
  // The first step must be a call; the next is the model's own choice.
  prepareStep: ({ stepNumber }) => ({ toolChoice: stepNumber === 0 ? 'required' : 'auto' }),
  stopWhen: stepCountIs(4),
});
console.log(`answer: ${answer.text}`);

const { output } = await generateText({ ...question, output: Output.object({ schema: z.object({ a: number, b: number }) }) });
console.log(`structured: ${Number.isInteger(output.a) && Number.isInteger(output.b)}`);

const { embeddings } = await embedMany({ model: lamina.textEmbeddingModel(process.env.LAMINA_EMBEDDER), values: ['a red fox', 'a blue bird'], maxRetries: 0 });
console.log(`embeddings: ${embeddings.length} of ${embeddings[0].length}`);
