// usage: node tokenize.mjs VOCABULARY.gguf < TEXTS > IDS
// Each line of TEXTS is JSON, [text, special]; each line of IDS the ids that llama.cpp gives it, as JSON.
import readline from "node:readline";
import {getLlama} from "node-llama-cpp";

const llama = await getLlama({gpu: false, build: "never", progressLogs: false, logger: () => {}});
const model = await llama.loadModel({modelPath: process.argv[2], vocabOnly: true});
let output = [];
for await (const line of readline.createInterface({input: process.stdin})) {
    const [text, special] = JSON.parse(line);
    output.push(JSON.stringify(text === "" ? [] : model.tokenize(text, special)));
}

process.stdout.write(output.join("\n") + "\n", () => process.exit(0));
