// Requests are repeated under one key, for as long as that can help.

import assert from "node:assert/strict";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { test } from "node:test";

import { derivedKey, repeat, withKeysOf } from "../src/transport.js";

type Answer = { status: number; body?: string } | "cut off";

const problem = (status: number, retryable: boolean): Answer => ({
  status, body: JSON.stringify({ type: "urn:quicproquo:problem:x", title: "x", status, retryable }),
});

/** Sends one request to a server with these answers; answers the status and the key of each attempt. */
async function send(answers: Answer[], method = "POST", patience = 60_000) {
  const keys: (string | undefined)[] = [];
  const server = createServer((request, response) => {
    const answer = answers[Math.min(keys.length, answers.length - 1)];
    keys.push(request.headers["idempotency-key"] as string | undefined);
    if (answer === "cut off" || !answer) request.socket.destroy();
    else response.writeHead(answer.status).end(answer.body);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  try {
    const url = `http://127.0.0.1:${port}/v1/x`;
    const response = await repeat({ url, method, headers: new Headers() }, patience, 1);
    return { status: response.status, keys };
  } finally {
    server.close();
    server.closeAllConnections();
  }
}

test("a request keeps its key while it is repeated", async () => {
  const passing: Answer[] = ["cut off", problem(503, true), { status: 502, body: "a proxy's page" }];
  const { status, keys } = await send([...passing, { status: 201 }]);
  assert.equal(status, 201);
  assert.equal(keys.length, 4);
  assert.equal(new Set(keys).size, 1);
  assert.ok(keys[0]);
});

test("what cannot succeed is not repeated", async () => {
  for (const status of [400, 403, 404, 409, 500]) {
    const sent = await send([problem(status, false)]);
    assert.deepEqual([sent.status, sent.keys.length], [status, 1]);
  }
});

test("patience ends", async () => {
  await assert.rejects(send(["cut off"], "POST", 10));
  const { status, keys } = await send([problem(503, true)], "POST", 1_000);
  assert.equal(status, 503);
  assert.ok(keys.length > 1);
});

test("reading needs no key", async () => {
  assert.deepEqual(await send([{ status: 200 }], "GET"), { status: 200, keys: [undefined] });
});

test("the same event makes the same keys", async () => {
  const handled = (event: string) =>
    withKeysOf(event, async () => {
      const first = derivedKey("POST", "/a");
      await Promise.resolve();
      return [first, derivedKey("POST", "/a"), derivedKey("PUT", "/a")];
    });
  const first = await handled("bot/c1_5");
  assert.equal(new Set(first).size, 3);
  assert.deepEqual(await handled("bot/c1_5"), first);
  assert.notEqual((await handled("bot/c1_6"))[0], first[0]);
  assert.notEqual(derivedKey("POST", "/a"), derivedKey("POST", "/a"));
});
