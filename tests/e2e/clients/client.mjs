// The npm client against the platform: prints one JSON object with what it got.
import { Ollama } from "ollama";

const client = new Ollama({
  host: process.env.PLATFORM_URL,
  headers: { Authorization: `Bearer ${process.env.PLATFORM_KEY}` },
});
const model = "tiny";
const messages = [{ role: "user", content: "hello" }];
const options = { num_predict: 8 };
const collect = async (stream, pick) => {
  const pieces = [];
  for await (const part of stream) pieces.push(pick(part));
  return pieces;
};

const seen = {};
seen.list = (await client.list()).models.map((one) => one.name);
seen.show = (await client.show({ model })).details.family;
seen.chat = (await client.chat({ model, messages, options })).message.content;
seen.chatStream = await collect(
  await client.chat({ model, messages, options, stream: true }),
  (part) => part.message.content,
);
seen.generate = (await client.generate({ model, prompt: "hello", options })).response;
seen.generateStream = await collect(
  await client.generate({ model, prompt: "hello", options, stream: true }),
  (part) => part.response,
);
seen.embed = (await client.embed({ model, input: ["a", "b"] })).embeddings.map((one) => one.length);
try {
  await client.chat({ model: "absent", messages });
} catch (error) {
  seen.error = { status: error.status_code, message: error.message };
}
console.log(JSON.stringify(seen));
