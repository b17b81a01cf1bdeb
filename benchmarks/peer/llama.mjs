// One measurement with node-llama-cpp: node llama.mjs MODEL PROMPT DECODE THREADS CONTEXT prints {"prompt": tokens/s, "decode": tokens/s} as JSON.
import {getLlama, LlamaLogLevel} from "node-llama-cpp";

const [modelPath, promptTokens, decodeTokens, threads, context] = [process.argv[2], ...process.argv.slice(3).map(Number)];
const llama = await getLlama({gpu: false, build: "never", maxThreads: threads, logLevel: LlamaLogLevel.error});
const model = await llama.loadModel({modelPath});
const contextSize = Math.max(promptTokens, context) + decodeTokens + 64;
const llamaContext = await model.createContext({contextSize, batchSize: 512, threads, flashAttention: process.env.FLASH === "1"});
const sequence = llamaContext.getSequence();

// Ids spread over the vocabulary, the same on both sides.
// CPU=1: processor time instead of the clock on the wall, for one thread beside noisy neighbours.
const now = () => process.env.CPU === "1" ? BigInt((u => u.user + u.system)(process.cpuUsage())) * 1000n : process.hrtime.bigint();
const vocabulary = model.fileInfo.metadata.tokenizer.ggml.tokens.length;
const token = (i) => 100 + (i * 7919) % Math.min(20000, vocabulary - 100);
const tokens = (first, count) => Array.from({length: count}, (_, i) => token(first + i));

async function decode(first, count) {
    const start = now();
    let done = 0;
    for await (const _ of sequence.evaluate([token(first)], {temperature: 0, yieldEogToken: true})) {
        if (++done === count)
            break;
    }

    return done / (Number(now() - start) / 1e9);
}

async function prompt(count) {
    await sequence.clearHistory();
    const start = now();
    await sequence.evaluateWithoutGeneratingNewTokens(tokens(0, count));
    return count / (Number(now() - start) / 1e9);
}

await prompt(Math.min(promptTokens, 32));
await decode(1, 2);
const promptRate = await prompt(promptTokens);
if (context > promptTokens)
    await sequence.evaluateWithoutGeneratingNewTokens(tokens(promptTokens, context - promptTokens));

await decode(5, 1);
const decodeRate = await decode(7, decodeTokens);
console.log(JSON.stringify({prompt: promptRate, decode: decodeRate}));
process.exit(0);
