import type { Message, Topic, Topics } from "./types";

type Things<T extends Topic> = ReadonlyMap<string, Topics[T]>;

interface Staged {
  left: number;
  topics: Map<Topic, Map<string, unknown>>;
}

// What a gateway has told of itself over /ws. A snapshot takes the place of what was known once all of it is there,
// so that a list of thousands never shrinks to nothing while it is sent anew.
export class World {
  gateway: string | null = null;
  dropped = 0; // messages that the gateway did not send because this client was too slow
  problem: string | null = null; // what it did not understand
  membership = 0; // is another number when there are other things than before
  #topics = new Map<Topic, Map<string, unknown>>();
  #staged: Staged | null = null;

  get<T extends Topic>(topic: T): Things<T> {
    return (this.#topics.get(topic) ?? new Map()) as Things<T>;
  }

  // Takes messages in, and returns the topics of which something is now otherwise.
  apply(messages: readonly Message[]): Set<Topic> {
    const changed = new Set<Topic>();
    for (const message of messages) this.#take(message, changed);
    return changed;
  }

  #take(message: Message, changed: Set<Topic>): void {
    switch (message.type) {
      case "snapshot":
        this.gateway = message.gateway;
        this.#staged = {
          left: message.count,
          topics: new Map(message.topics.map((topic) => [topic, new Map()])),
        };
        break;
      case "state":
        if (this.#staged) {
          this.#staged.topics.get(message.topic)?.set(message.key, message.value);
          this.#staged.left--;
        } else {
          const things = this.#of(message.topic);
          if (!things.has(message.key)) this.membership++;
          things.set(message.key, message.value);
          changed.add(message.topic);
        }
        break;
      case "gone":
        this.#of(message.topic).delete(message.key);
        this.membership++;
        changed.add(message.topic);
        break;
      case "dropped":
        this.dropped += message.count;
        break;
      case "error":
        this.problem = message.error;
        break;
    }
    if (this.#staged && this.#staged.left <= 0) {
      for (const [topic, things] of this.#staged.topics) {
        this.#topics.set(topic, things);
        changed.add(topic);
      }
      this.#staged = null;
      this.membership++;
    }
  }

  #of(topic: Topic): Map<string, unknown> {
    let things = this.#topics.get(topic);
    if (!things) {
      things = new Map();
      this.#topics.set(topic, things);
    }
    return things;
  }

  // What is known, as messages that make it known again.
  messages(): Message[] {
    const states: Message[] = [];
    for (const [topic, things] of this.#topics) {
      for (const [key, value] of things)
        states.push({ type: "state", topic, key, value: value as Topics[Topic] });
    }
    const topics = [...this.#topics.keys()];
    return [{ type: "snapshot", gateway: this.gateway ?? "", topics, count: states.length }, ...states];
  }
}
