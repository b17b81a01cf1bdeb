// usage: node embed.mjs MODEL.gguf... < PROMPTS > ANSWERS
// PROMPTS is JSON, a list of lists of token ids. One line of ANSWERS for each model and prompt: the tokens as the peer completes them and the embedding that it
// makes of them, or null for a model that does not load.
import {readFileSync} from "node:fs";
import {getLlama} from "node-llama-cpp";

const prompts = JSON.parse(readFileSync(0, "utf8"));
const llama = await getLlama({gpu: false, build: "never", progressLogs: false, logger: () => {}});
const lines = [];
for (const path of process.argv.slice(2)) {
    let model;
    try {
        model = await llama.loadModel({modelPath: path});
    } catch (error) {
        prompts.forEach(() => lines.push("null"));
        continue;
    }

    const context = await model.createEmbeddingContext({contextSize: 512, batchSize: 512, threads: 2});
    for (const prompt of prompts) {
        const tokens = [...prompt];
        context._prepareInput(tokens);
        const {vector} = await context.getEmbeddingFor(prompt);
        lines.push(JSON.stringify({tokens, vector}));
    }

    await context.dispose();
    await model.dispose();
}

process.stdout.write(lines.join("\n") + "\n", () => process.exit(0));
