// Joins two groups of one bot: what is said in one is told in the other, texts and files.
//
// QPQ_TOKEN        the bot's token
// QPQ_URL          the gateway, default http://127.0.0.1:8080
// BRIDGE_GROUPS    the ids of the two groups, separated by a comma

import { Bot, type Message } from "quicproquo";

const groups = (process.env["BRIDGE_GROUPS"] ?? "").split(",").map((id) => id.trim());
const [left, right] = groups;
if (!left || !right || groups.length !== 2 || left === right) {
  console.error("set BRIDGE_GROUPS to the ids of two groups, separated by a comma");
  process.exit(1);
}

const bot = new Bot("bridge");

/** The group on the other side, if the message came from one of the two. */
function across({ groupId }: Message): string | undefined {
  if (groupId === left) return right;
  return groupId === right ? left : undefined;
}

bot.onText(async (message) => {
  const other = across(message);
  if (other) await bot.client.send(other, `${message.senderName}: ${message.text}`);
});

bot.onFile(async (message) => {
  const { name = "file", mime } = message.file ?? {};
  const other = across(message);
  if (!other) return;
  const caption = `${message.senderName}: ${message.text || name}`;
  const about = { name, caption, ...(mime !== undefined && { mime }) };
  await bot.client.sendFile(other, await message.download(), about);
});

await bot.run();
