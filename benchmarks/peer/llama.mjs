// One measurement with node-llama-cpp: node llama.mjs MODEL PROMPT DECODE THREADS STREAMS prints {"prompt": tokens/s, "decode": tokens/s} as JSON, of all streams together,
// {"load": seconds} and {"resident": bytes}. Parallel sequences share llama.cpp's batches.
import {getLlama, LlamaLogLevel} from "node-llama-cpp";

const [modelPath, promptTokens, decodeTokens, threads, streams] = [process.argv[2], ...process.argv.slice(3).map(Number)];
const begun = process.hrtime.bigint();
const llama = await getLlama({gpu: false, build: "never", maxThreads: threads, logLevel: LlamaLogLevel.error});
const model = await llama.loadModel({modelPath});
const contextSize = promptTokens + decodeTokens + 64;
const llamaContext = await model.createContext({contextSize, sequences: streams, batchSize: 512, threads, flashAttention: process.env.FLASH === "1"});
const load = Number(process.hrtime.bigint() - begun) / 1e9;
const sequences = Array.from({length: streams}, () => llamaContext.getSequence());

// Ids spread over the vocabulary, the same on both sides.
// CPU=1: processor time instead of the clock on the wall, for one thread beside noisy neighbours.
const now = () => process.env.CPU === "1" ? BigInt((u => u.user + u.system)(process.cpuUsage())) * 1000n : process.hrtime.bigint();
const vocabulary = model.fileInfo.metadata.tokenizer.ggml.tokens.length;
const token = (i) => 100 + (i * 7919) % Math.min(20000, vocabulary - 100);
const tokens = (first, count) => Array.from({length: count}, (_, i) => token(first + i));

const every = (work) => Promise.all(sequences.map(work));

async function timed(tokenCount, work) {
    const start = now();
    await every(work);
    return tokenCount * streams / (Number(now() - start) / 1e9);
}

async function generate(sequence, first, count) {
    let done = 0;
    for await (const _ of sequence.evaluate([token(first)], {temperature: 0, yieldEogToken: true})) {
        if (++done === count)
            break;
    }
}

const decode = (first, count) => timed(count, (sequence, stream) => generate(sequence, first + stream, count));

async function prompt(count) {
    for (const sequence of sequences)
        await sequence.clearHistory();

    return timed(count, (sequence, stream) => sequence.evaluateWithoutGeneratingNewTokens(tokens(stream * count, count)));
}

await prompt(Math.min(promptTokens, 32));
await decode(1, 2);
const promptRate = await prompt(promptTokens);
await decode(5, 1);
const decodeRate = await decode(7, decodeTokens);
console.log(JSON.stringify({prompt: promptRate, decode: decodeRate, load, resident: process.memoryUsage.rss()}));
process.exit(0);
