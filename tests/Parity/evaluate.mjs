// usage: node evaluate.mjs STEPS MODEL.gguf... < PROMPTS > ANSWERS
// PROMPTS is JSON, a list of lists of token ids. One line of ANSWERS for each model and prompt: a list of steps, each the ten likeliest next
// tokens as [id, log-probability], where every step feeds the likeliest token of the one before. Null for a model that does not load.
// MODEL.gguf+ADAPTER.gguf+SCALE answers through an adapter.
import {readFileSync} from "node:fs";
import {getLlama} from "node-llama-cpp";

const [steps, ...paths] = process.argv.slice(2);
const prompts = JSON.parse(readFileSync(0, "utf8"));
const llama = await getLlama({gpu: false, build: "never", progressLogs: false, logger: () => {}});
const options = {temperature: 1, topK: 0, topP: 1, minP: 0};
const lines = [];
for (const argument of paths) {
    const [path, adapter, scale] = argument.split("+");
    let model;
    try {
        model = await llama.loadModel({modelPath: path});
    } catch (error) {
        prompts.forEach(() => lines.push("null"));
        continue;
    }

    const context = await model.createContext({contextSize: 512, threads: 2, ...(adapter ? {lora: {adapters: [{filePath: adapter, scale: Number(scale)}]}} : {})});
    const sequence = context.getSequence();
    for (const prompt of prompts) {
        await sequence.clearHistory();
        const answer = [];
        for (let feed = prompt; answer.length < steps; feed = [answer.at(-1)[0][0]]) {
            const input = feed.map((token, i) => i < feed.length - 1 ? token : [token, {generateNext: {probabilities: true, options}}]);
            const {probabilities} = (await sequence.controlledEvaluate(input)).at(-1).next;
            const likeliest = [...probabilities].sort((a, b) => b[1] - a[1]).slice(0, 10);
            answer.push(likeliest.map(([token, probability]) => [token, Math.log(probability)]));
        }

        lines.push(JSON.stringify(answer));
    }

    await context.dispose();
    await model.dispose();
}

process.stdout.write(lines.join("\n") + "\n", () => process.exit(0));
