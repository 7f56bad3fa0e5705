// A bot on matrix-bot-sdk, unmodified, and a bot of the native API talk in the same groups.
//
// QPQ_URL is the gateway's, MATRIX_TOKEN and NATIVE_TOKEN are bot tokens, STORAGE is a file for
// what the bot keeps. Whatever is not as it should be ends the program with a sentence.
"use strict";

const assert = require("node:assert/strict");
const crypto = require("node:crypto");
const {
  AutojoinRoomsMixin,
  LogLevel,
  LogService,
  MatrixAuth,
  MatrixClient,
  RichReply,
  SimpleFsStorageProvider,
} = require("matrix-bot-sdk");

const URL = process.env.QPQ_URL;
const PATIENCE = 60_000;

LogService.setLevel(LogLevel.ERROR);

// A bot of the native API.
class Native {
  constructor(token) {
    this.token = token;
  }

  async call(method, path, body, headers = { "Content-Type": "application/json" }) {
    const raw = body === undefined || Buffer.isBuffer(body) ? body : JSON.stringify(body);
    headers = { Authorization: `Bearer ${this.token}`, ...headers };
    const response = await fetch(URL + path, { method, headers, body: raw });
    const bytes = Buffer.from(await response.arrayBuffer());
    assert.ok(response.ok, `${method} ${path}: ${response.status} ${bytes}`);
    const json = (response.headers.get("content-type") || "").startsWith("application/json");
    return json ? JSON.parse(bytes) : bytes;
  }

  async start() {
    this.name = (await this.call("GET", "/v1/me")).name;
    this.cursor = (await this.call("GET", "/v1/events?timeout=0")).next;
  }

  // The first event that is wanted, from where the last search ended.
  async until(what, wanted) {
    const end = Date.now() + PATIENCE;
    while (Date.now() < end) {
      const page = await this.call("GET", `/v1/events?after=${this.cursor}&timeout=5000&limit=1`);
      this.cursor = page.next;
      const found = page.items.find(wanted);
      if (found) return found;
    }
    throw new Error(`the native bot waited in vain for ${what}`);
  }

  async message(type) {
    const is = (e) => e.type === "message.received" && e.data.type === type;
    return (await this.until(type, is)).data;
  }

  say(group, body, type = "text", more = {}) {
    return this.call("POST", `/v1/groups/${group}/messages`, { type, content: body, ...more });
  }
}

// What a client emits, to be waited for.
class Heard {
  constructor(client) {
    this.events = [];
    this.waiting = [];
    for (const name of ["room.message", "room.event", "room.invite", "room.join", "room.leave"]) {
      client.on(name, (room, event) => {
        this.events.push({ name, room, event });
        this.waiting.splice(0).forEach((wake) => wake());
      });
    }
  }

  // The first that is wanted; it and all before it are forgotten.
  async until(what, wanted) {
    const end = Date.now() + PATIENCE;
    while (Date.now() < end) {
      const at = this.events.findIndex(wanted);
      if (at >= 0) return this.events.splice(0, at + 1).pop();
      await new Promise((wake) => {
        const timer = setTimeout(wake, 1000);
        this.waiting.push(() => (clearTimeout(timer), wake()));
      });
    }
    throw new Error(`the Matrix bot waited in vain for ${what}: ${JSON.stringify(this.events)}`);
  }

  async text(body) {
    const is = ({ name, event }) => name === "room.message" && event.content?.body === body;
    return (await this.until(body, is)).event;
  }

  async type(type, own) {
    const is = ({ name, event }) =>
      name === "room.event" && event.type === type && event.sender !== own;
    return (await this.until(type, is)).event;
  }
}

async function logIn(token) {
  await assert.rejects(new MatrixAuth(URL).passwordLogin("echo", "qpq_wrong", "a test"), (error) => {
    return error.errcode === "M_FORBIDDEN";
  });
  const client = await new MatrixAuth(URL).passwordLogin("echo", token, "a test");
  assert.equal(await client.getUserId(), "@echo:localhost");
  const body = { type: "m.login.token", token };
  const other = await client.doRequest("POST", "/_matrix/client/v3/login", null, body);
  const gone = new MatrixClient(URL, other.access_token);
  assert.equal(await gone.getUserId(), "@echo:localhost");
  await gone.doRequest("POST", "/_matrix/client/v3/logout", null, {});
  await assert.rejects(gone.getWhoAmI(), (error) => error.errcode === "M_UNKNOWN_TOKEN");
  return client.accessToken;
}

function start(accessToken) {
  const storage = new SimpleFsStorageProvider(process.env.STORAGE);
  const client = new MatrixClient(URL, accessToken, storage);
  AutojoinRoomsMixin.setupOnClient(client);
  return { client, heard: new Heard(client) };
}

async function conversation({ client, heard }, native) {
  const me = await client.getUserId();
  const { group_id: group } = await native.call("POST", "/v1/groups", {
    name: "talk",
    members: ["echo"],
  });
  const room = `!${group}:localhost`;
  await heard.until("joining", (it) => it.name === "room.join" && it.room === room);
  assert.deepEqual(await client.getJoinedRooms(), [room]);
  await client.joinRoom(room);

  const said = await native.say(group, { body: "hello <b>" });
  let event = await heard.text("hello <b>");
  assert.equal(event.sender, `@${native.name}:localhost`);
  const reply = RichReply.createFor(room, event, "hello yourself", "<b>hello</b> yourself");
  await client.sendMessage(room, reply);
  let got = await native.message("text");
  assert.equal(got.content.body, "hello yourself");
  assert.equal(got.content.formatted_body, "<b>hello</b> yourself");
  assert.deepEqual(got.relates_to, { rel: "reply", message_id: said.message_id });
  await client.replyNotice(room, event, "noted");
  got = await native.message("text");
  assert.deepEqual([got.content.body, got.content.msgtype], ["noted", "m.notice"]);
  await client.sendHtmlText(room, "<i>so</i>");
  assert.equal((await native.message("text")).content.formatted_body, "<i>so</i>");

  const content = { "m.relates_to": { rel_type: "m.annotation", event_id: event.event_id, key: "👍" } };
  const reaction = await client.sendEvent(room, "m.reaction", content);
  assert.equal((await native.message("reaction")).relates_to.message_id, said.message_id);
  await client.redactEvent(room, reaction);
  assert.deepEqual((await native.message("reaction")).content, { key: "👍", active: false });
  await native.call("PUT", `/v1/groups/${group}/messages/${said.message_id}/reactions/x`, {});
  const theirs = await heard.type("m.reaction", me);
  assert.equal(theirs.content["m.relates_to"].event_id, event.event_id);

  const first = await client.sendText(room, "tpyo");
  const id = (await native.message("text")).message_id;
  await client.sendMessage(room, {
    msgtype: "m.text",
    body: "* typo",
    "m.new_content": { msgtype: "m.text", body: "typo" },
    "m.relates_to": { rel_type: "m.replace", event_id: first },
  });
  const edit = await native.message("edit");
  assert.deepEqual([edit.content, edit.relates_to.message_id], [{ body: "typo" }, id]);
  assert.equal((await client.getEvent(room, first)).content.body, "typo");
  await client.redactEvent(room, first, "rude");
  assert.equal((await native.message("delete")).relates_to.message_id, id);
  await native.call("PATCH", `/v1/groups/${group}/messages/${said.message_id}`, {
    content: { body: "hello" },
  });
  event = await heard.text("* hello");
  assert.equal(event.content["m.new_content"].body, "hello");
  await native.call("DELETE", `/v1/groups/${group}/messages/${said.message_id}`);
  const redaction = await heard.type("m.room.redaction", me);
  assert.equal(redaction.redacts, event.content["m.relates_to"].event_id);

  await client.sendEvent(room, "com.example.move", { from: "e2" });
  assert.deepEqual((await native.message("com.example.move")).content, { from: "e2" });
  await native.say(group, [1, 2], "com.example.list");
  const list = await heard.type("com.example.list", me);
  assert.deepEqual(list.content, { "org.quicproquo.value": [1, 2] });

  await client.setTyping(room, true);
  await native.until("typing", (it) => it.type === "member.typing" && it.data.active);
  const read = await native.say(group, { body: "read this" });
  await client.sendReadReceipt(room, (await heard.text("read this")).event_id);
  assert.equal((await native.message("read")).relates_to.message_id, read.message_id);
  return { room, group };
}

async function files({ client, heard }, native, { room, group }) {
  const data = crypto.randomBytes(200_000);
  const url = await client.uploadContent(data, "image/png", "cat.png");
  await client.sendMessage(room, { msgtype: "m.image", body: "a cat", filename: "cat.png", url });
  const { content } = await native.message("file");
  assert.deepEqual([content.name, content.body, content.mime], ["cat.png", "a cat", "image/png"]);
  const path = `/v1/attachments/${content.attachment_id}`;
  assert.ok(data.equals(await native.call("GET", path)), "the image arrives whole");

  const other = crypto.randomBytes(100_000);
  const type = { "Content-Type": "audio/ogg" };
  const upload = await native.call("POST", "/v1/attachments?filename=a.ogg", other, type);
  await native.say(group, { attachment_id: upload.attachment_id }, "file");
  const event = await heard.text("a.ogg");
  assert.equal(event.content.msgtype, "m.audio");
  const downloaded = await client.downloadContent(event.content.url);
  assert.ok(other.equals(downloaded.data), "the sound arrives whole");
  assert.equal(downloaded.contentType, "audio/ogg");
}

async function rooms({ client, heard }, native) {
  const other = `@${native.name}:localhost`;
  const room = await client.createRoom({
    name: "made",
    topic: "by a bot",
    invite: [other],
    preset: "private_chat",
    initial_state: [{ type: "m.room.encryption", state_key: "", content: { algorithm: "m.x" } }],
  });
  const group = room.slice(1).split(":")[0];
  await heard.until("the new room", (it) => it.name === "room.join" && it.room === room);
  const invited = (it) => it.type === "invitation.received" && it.data.group_id === group;
  await native.until("an invitation", invited);
  await native.call("POST", `/v1/invitations/${group}/accept`, {});
  assert.deepEqual((await client.getJoinedRoomMembers(room)).sort(), ["@echo:localhost", other]);
  assert.equal((await client.getRoomStateEvent(room, "m.room.topic", "")).topic, "by a bot");
  const state = await client.getRoomState(room);
  assert.ok(!state.some((event) => event.type === "m.room.encryption"), "no claim of encryption");
  const security = state.find((event) => event.type === "org.quicproquo.security").content;
  assert.equal(security.protocol, "mls-1.0");
  assert.ok(await client.userHasPowerLevelFor("@echo:localhost", room, "m.room.name", true));
  await client.sendStateEvent(room, "m.room.name", "", { name: "renamed" });
  assert.equal((await heard.type("m.room.name")).content.name, "renamed");
  await client.kickUser(other, room, "a test");
  await native.until("the kick", (it) => it.type === "group.left" && it.group_id === group);
  await client.inviteUser(other, room);
  await native.until("an invitation", invited);
  await native.call("POST", `/v1/invitations/${group}/accept`, {});
  await client.setUserPowerLevel(other, room, 100);
  await client.leaveRoom(room);
  await heard.until("leaving", (it) => it.name === "room.leave" && it.room === room);
  assert.ok(!(await client.getJoinedRooms()).includes(room));
}

// A bot that comes back with what it has kept hears each message once.
async function restart(bot, native, { group }, accessToken) {
  await native.say(group, { body: "before" });
  await bot.heard.text("before");
  // The token is kept a moment later than the event is told.
  await new Promise((done) => setTimeout(done, 1000));
  bot.client.stop();
  await native.say(group, { body: "the stopping bot may hear this" });
  await new Promise((done) => setTimeout(done, 2000));
  for (const n of [1, 2, 3]) await native.say(group, { body: `while away ${n}` });
  bot = start(accessToken);
  await bot.client.start();
  await bot.heard.until("the last", ({ event }) => event?.content?.body === "while away 3");
  bot.client.stop();
  bot = start(accessToken);
  const texts = [];
  bot.client.on("room.message", (_, event) => texts.push(event.content.body));
  await bot.client.start();
  await native.say(group, { body: "the end" });
  await bot.heard.text("the end");
  assert.ok(!texts.includes("while away 1") && !texts.includes("before"), `${texts}`);
  return bot;
}

async function main() {
  const native = new Native(process.env.NATIVE_TOKEN);
  await native.start();
  const accessToken = await logIn(process.env.MATRIX_TOKEN);
  let bot = start(accessToken);
  await bot.client.start();
  const place = await conversation(bot, native);
  await files(bot, native, place);
  await rooms(bot, native);
  bot = await restart(bot, native, place, accessToken);
  bot.client.stop();
  console.log("all of it");
  process.exit(0);
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
