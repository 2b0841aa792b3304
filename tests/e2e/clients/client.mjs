// Everything that the npm client does, to the server at SERVER_URL: prints what it was answered, as JSON.
import { Ollama } from "ollama";

const heard = [];
let about = "";
const recording = async (url, options) => {
  const response = await fetch(url, options);
  const copy = response.clone();
  const { pathname } = new URL(url);
  const line = `${options?.method ?? "GET"} ${pathname} ${response.status} ${response.headers.get("content-type")}`;
  heard.push({ about, text: copy.text().then((text) => `${line}\n${text}`, () => line) });
  return response;
};
const client = new Ollama({
  host: process.env.SERVER_URL,
  headers: process.env.SERVER_KEY ? { Authorization: `Bearer ${process.env.SERVER_KEY}` } : {},
  fetch: recording,
});

const model = "tiny";
const messages = [{ role: "user", content: "hello" }];
const options = { temperature: 0, seed: 1, num_predict: 8 };
const image = process.env.IMAGE;
const tools = [{ type: "function", function: { name: "add", description: "Adds.", parameters: { type: "object", properties: {} } } }];
const calls = {
  list: () => client.list(),
  show: () => client.show({ model }),
  version: () => client.version(),
  chat: () => client.chat({ model, messages, options }),
  "chat, streamed": () => client.chat({ model, messages, options, stream: true }),
  "chat with a tool": () => client.chat({ model, messages, options, tools }),
  "chat with an image": () => client.chat({ model, messages: [{ ...messages[0], images: [image] }], options }),
  "chat with no model": () => client.chat({ model: "absent", messages }),
  generate: () => client.generate({ model, prompt: "hello", options }),
  "generate, streamed": () => client.generate({ model, prompt: "hello", options, stream: true }),
  "generate in a form": () => client.generate({ model, prompt: "hello", options, format: { type: "object" } }),
  embed: () => client.embed({ model, input: ["a", "b"] }),
  embeddings: () => client.embeddings({ model, prompt: "a" }),
  ps: () => client.ps(),
  create: () => client.create({ model: "made", from: model, system: "be brief" }),
  "create, streamed": () => client.create({ model: "made", from: model, stream: true }),
  copy: () => client.copy({ source: "made", destination: "copied" }),
  delete: () => client.delete({ model: "made" }),
  "delete of the copy": () => client.delete({ model: "copied" }),
  "delete of no model": () => client.delete({ model: "absent" }),
  pull: () => client.pull({ model: "localhost:1/a/absent", insecure: true }),
  "pull, streamed": () => client.pull({ model: "localhost:1/a/absent", insecure: true, stream: true }),
  push: () => client.push({ model: "localhost:1/a/absent", insecure: true }),
  systemone: () => client.systemone({ model, state: "a", questions: {} }),
};
for (const [name, call] of Object.entries(calls)) {
  about = name;
  try {
    const result = await call();
    if (result[Symbol.asyncIterator]) for await (const part of result) void part;
  } catch {
    // What the server said is heard.
  }
}

about = "abort";
const stream = await client.generate({ model, prompt: "hello", options: { num_predict: 1000 }, stream: true });
let ended = "by itself";
try {
  for await (const part of stream) if (part) stream.abort();
} catch (error) {
  ended = error.name;
}

const answers = {};
for (const one of heard) if (one.about !== "abort") (answers[one.about] ??= []).push(await one.text);
console.log(JSON.stringify({ answers, ended }));
