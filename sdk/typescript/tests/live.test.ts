// Against a running gateway: QPQ_URL, and QPQ_ADMIN_TOKEN to make bots with.

import assert from "node:assert/strict";
import { randomBytes, randomUUID } from "node:crypto";
import { existsSync } from "node:fs";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";

import { type AnyMessage, Bot, Client, Refused, Unreachable, settle } from "../src/index.js";

const url = process.env["QPQ_URL"];
const admin = process.env["QPQ_ADMIN_TOKEN"];
const live = { skip: admin === undefined, timeout: 60_000 };

/** A new bot's client, and its identity. */
async function make(name: string): Promise<{ client: Client; identity: string }> {
  const answer = await fetch(`${url}/v1/bots`, {
    method: "POST",
    headers: { Authorization: `Bearer ${admin}`, "Content-Type": "application/json" },
    body: JSON.stringify({ name: `${name}-${randomUUID().slice(0, 8)}` }),
  });
  assert.equal(answer.status, 201);
  const { token, identity } = (await answer.json()) as { token: string; identity: string };
  return { client: new Client({ url, token }), identity };
}

async function until(condition: () => Promise<boolean>): Promise<void> {
  const deadline = performance.now() + 30_000;
  while (!(await condition())) {
    assert.ok(performance.now() < deadline, "waited in vain");
    await sleep(50);
  }
}

/** What a bot hears, from now on. */
async function ear(client: Client) {
  const messages: AnyMessage[] = [];
  const page = async (after?: string) => {
    const query = { timeout: 0, ...(after !== undefined && { after }) };
    const found = await settle(client.api.GET("/v1/events", { params: { query } }));
    assert.ok(typeof found === "object");
    return found;
  };
  let after = (await page()).next ?? "";
  const hears = async (count: number): Promise<boolean> => {
    const found = await page(after);
    after = found.next ?? after;
    for (const event of found.items) {
      if (event.type === "message.received") messages.push(event.data);
    }
    return messages.length >= count;
  };
  const texts = () => messages.map((message) => (message.content as { body: string }).body);
  return { messages, hears, texts };
}

async function serving(bot: Bot, work: () => Promise<void>): Promise<void> {
  const served = bot.serve();
  try {
    await Promise.race([work(), served.then(() => assert.fail("the bot ended"))]);
  } finally {
    await bot.stop();
  }
  await served;
}

const botOf = ({ token }: Client) => new Bot("test", { url, token, log: () => undefined });

test("a handler that fails is called again, and says nothing twice", live, async () => {
  const [{ client: alice }, { client, identity }] = [await make("alice"), await make("bot")];
  // Before the bot has ever run: it accepts what is pending.
  const group = (await alice.createGroup("pair", [identity])).group_id;
  const { hears, texts } = await ear(alice);
  const calls: string[] = [];
  const handle = (bot: Bot): Bot => {
    bot.onText(async (message) => {
      calls.push(message.text);
      await message.reply(`first to ${message.text}`);
      if (calls.length === 1) throw new Error("after the first half");
      await message.reply(`second to ${message.text}`);
    });
    return bot;
  };
  await serving(handle(botOf(client)), async () => {
    await until(async () => (await client.groups()).some((found) => found.group_id === group));
    await alice.send(group, "hello");
    await until(() => hears(1));
  });
  assert.deepEqual(calls, ["hello"]);
  // A new connection gets at once what was not acknowledged.
  await serving(handle(botOf(client)), async () => {
    await until(() => hears(2));
    await alice.send(group, "bye");
    await until(() => hears(4));
  });
  const expected = ["first to hello", "second to hello", "first to bye", "second to bye"];
  assert.deepEqual(texts(), expected);
  assert.deepEqual(calls, ["hello", "hello", "bye"]);
});

test("files, reactions and own types", live, async () => {
  const dir = await mkdtemp(join(tmpdir(), "qpq-"));
  const [{ client: alice }, { client, identity }] = [await make("alice"), await make("bot")];
  const { hears, messages } = await ear(alice);
  const big = randomBytes(3_000_000);
  const source = join(dir, "größe.bin");
  await writeFile(source, big);
  const heard: unknown[] = [];
  const bot = botOf(client);
  bot.onFile(async (message) => {
    await message.save(join(dir, "saved"));
    assert.ok(big.equals(await message.download()));
    assert.deepEqual([message.text, message.file?.name], ["look", "größe.bin"]);
    await message.replyFile(Buffer.from("small"), { name: "small.txt", mime: "text/plain" });
  });
  bot.onReaction(async (message) => void heard.push([message.reaction, message.about]));
  bot.onMessage("org.example.move", async (message) => {
    heard.push(message.content);
    await message.react("♟");
  });
  bot.onEvent("group.joined", async (event) => void heard.push(event.data.name));
  await serving(bot, async () => {
    const group = (await alice.createGroup("pair", [identity])).group_id;
    await alice.sendFile(group, source, { caption: "look" });
    await until(() => hears(1));
    const [file] = messages;
    assert.ok(file?.type === "file");
    const about = file.content as { attachment_id: string; mime: string };
    assert.equal(about.mime, "text/plain");
    assert.equal(Buffer.from(await alice.download(about.attachment_id)).toString(), "small");
    await alice.react(group, file.message_id, "👍");
    await alice.sendOwn(group, "org.example.move", { from: "e2" });
    await until(async () => heard.length === 3);
    assert.deepEqual(heard.slice(1), [
      [{ key: "👍", active: true }, file.message_id], { from: "e2" },
    ]);
  });
  assert.ok(big.equals(await readFile(join(dir, "saved"))));
  assert.ok(!existsSync(join(dir, "saved.part")));
  await rm(dir, { recursive: true });
});

test("sends are done once, and refusals say why", live, async () => {
  const [{ client: alice }, { identity }] = [await make("alice"), await make("bot")];
  const group = (await alice.createGroup("pair", [identity])).group_id;
  const first = await alice.send(group, "once", { key: "k" });
  assert.equal((await alice.send(group, "once", { key: "k" })).message_id, first.message_id);
  const edited = await alice.edit(group, first.message_id, "changed");
  assert.deepEqual(edited.content, { body: "changed" });
  await alice.delete(group, first.message_id);
  await assert.rejects(alice.send("0".repeat(64), "nobody"), (error) => {
    return error instanceof Refused && error.kind === "group-not-found" && error.problem.status === 404;
  });
  await assert.rejects(alice.save("0".repeat(32), "/nonexistent/file"), /attachment-not-found/);
});

test("what is wrong is said", live, async () => {
  const wrong = new Bot("test", { url, token: "qpq_wrong", log: () => undefined });
  await assert.rejects(wrong.serve(), /token-invalid/);
  await wrong.stop();
  const nowhere = new Client({ url: "http://127.0.0.1:1", token: "qpq_x", patience: 0 });
  await assert.rejects(nowhere.me(), (error) => error instanceof Unreachable);
  assert.throws(() => new Client({ url, token: "" }), /QPQ_TOKEN/);
  assert.throws(() => new Client({ url: "localhost:8080", token: "qpq_x" }), /QPQ_URL/);
});
