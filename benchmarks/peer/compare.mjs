// Prints medians and ratios of a log that benchmarks/peer/run wrote.
import {readFileSync} from "node:fs";

const rows = readFileSync(process.argv[2], "utf8").trim().split("\n").map((line) => [line.split(" ")[0], JSON.parse(line.slice(line.indexOf("{")))]);
const median = (values) => values.sort((a, b) => a - b)[values.length >> 1];
const of = (engine, field) => median(rows.filter(([name]) => name === engine).map(([, row]) => row[field]));
const mib = (bytes) => Math.round(bytes / 1048576);
const [prompt, decode] = [of("lamina", "promptTokensPerSecond"), of("lamina", "tokensPerSecond")];
const [peerPrompt, peerDecode] = [of("llama", "prompt"), of("llama", "decode")];
const {promptTokens, generatedTokens, concurrency} = rows.find(([name]) => name === "lamina")[1];
const seconds = (promptRate, decodeRate) => concurrency * (promptTokens / promptRate + generatedTokens / decodeRate);
const whole = seconds(peerPrompt, peerDecode) / seconds(prompt, decode);
console.log(
    `${process.argv[3]}: prompt ${prompt.toFixed(1)} tokens/s (llama.cpp ${peerPrompt.toFixed(1)}, ratio ${(prompt / peerPrompt).toFixed(2)}), ` +
    `decode ${decode.toFixed(2)} (llama.cpp ${peerDecode.toFixed(2)}, ratio ${(decode / peerDecode).toFixed(2)})` +
    `, loaded in ${of("lamina", "loadSeconds").toFixed(2)} s (llama.cpp ${of("llama", "load").toFixed(2)}), ` +
    `resident at most ${mib(of("lamina", "peakResidentBytes"))} MiB (llama.cpp ${mib(of("llama", "resident"))} at the end)` +
    (concurrency > 1 ? `, whole work of ${concurrency} streams ratio ${whole.toFixed(2)}` : "")
);
