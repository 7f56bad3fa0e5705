// The order in which events are handled, and what is acknowledged.

import assert from "node:assert/strict";
import { test } from "node:test";
import { setImmediate } from "node:timers/promises";

import { type Job, Lanes } from "../src/lanes.js";
import type { AnyEvent } from "../src/messages.js";

type Handle = (cursor: string) => Promise<void>;

/** Lanes with a connection that keeps what is said to it. */
function scene(handle: Handle, terms: { lease?: number; patience?: number } = {}) {
  const acknowledged: string[] = [];
  const extended: string[] = [];
  const link = {
    acknowledge: (id: string) => void acknowledged.push(id),
    extend: (id: string) => void extended.push(id),
  };
  const all = { lease: 30_000, patience: 5_000, ...terms, complain: () => undefined };
  const lanes = new Lanes((event) => handle(event.cursor), link, all);
  const deliver = async (...jobs: Job[]) => {
    for (const job of jobs) lanes.deliver(job);
    await settled();
  };
  return { lanes, deliver, acknowledged, extended };
}

async function settled(): Promise<void> {
  for (let turn = 0; turn < 10; turn += 1) await setImmediate();
}

function job(cursor: number, { group = "a", delivery = 1, attempt = 1, replayed = false } = {}): Job {
  const event = { type: "group.left", cursor: String(cursor), group_id: group, attempt, replayed };
  return { deliveryId: `${cursor}.${delivery}`, event: event as unknown as AnyEvent };
}

function gate(): { open: () => void; opened: Promise<void> } {
  let open = (): void => undefined;
  const opened = new Promise<void>((resolve) => (open = resolve));
  return { open: () => open(), opened };
}

test("groups go side by side, and each in order", async () => {
  const seen: string[] = [];
  const { open, opened } = gate();
  const { deliver, acknowledged } = scene(async (cursor) => {
    if (cursor === "1") await opened;
    seen.push(cursor);
  });
  await deliver(job(1), job(2), job(3, { group: "b" }));
  assert.deepEqual(seen, ["3"]);
  open();
  await settled();
  assert.deepEqual(seen, ["3", "1", "2"]);
  assert.deepEqual(acknowledged, ["3.1", "1.1", "2.1"]);
});

test("what failed comes again before what follows", async () => {
  const seen: string[] = [];
  let broken = true;
  const { deliver, acknowledged } = scene(async (cursor) => {
    seen.push(cursor);
    if (broken && cursor === "1") throw new Error("broken");
  });
  await deliver(job(1), job(2));
  await deliver(job(3));
  assert.deepEqual([seen, acknowledged], [["1"], []]);
  broken = false;
  await deliver(...[1, 2, 3].map((n) => job(n, { delivery: 2, attempt: 2 })));
  assert.deepEqual(seen, ["1", "1", "2", "3"]);
  assert.deepEqual(acknowledged, ["1.2", "2.2", "3.2"]);
});

test("what was set aside holds nothing up", async () => {
  const { deliver, acknowledged } = scene(async (cursor) => {
    if (cursor === "1") throw new Error("broken");
  });
  await deliver(job(1, { attempt: 10 }), job(2));
  assert.deepEqual(acknowledged, ["2.1"]);
});

test("a lost acknowledgement is given again", async () => {
  const seen: string[] = [];
  const { lanes, deliver, acknowledged } = scene(async (cursor) => void seen.push(cursor));
  await deliver(job(1));
  lanes.disconnected();
  await deliver(job(1, { delivery: 2 }));
  assert.deepEqual([seen, acknowledged], [["1"], ["1.1", "1.2"]]);
  await deliver(job(1, { delivery: 3, replayed: true }));
  assert.deepEqual(seen, ["1", "1"], "what is asked for again is handled again");
});

test("what runs while the connection is lost is not begun twice", async () => {
  const seen: string[] = [];
  const { open, opened } = gate();
  const { lanes, deliver, acknowledged } = scene(async (cursor) => {
    seen.push(cursor);
    await opened;
  });
  await deliver(job(1), job(2));
  lanes.disconnected();
  await deliver(job(1, { delivery: 2 }), job(2, { delivery: 2 }));
  open();
  await settled();
  assert.deepEqual(seen, ["1", "2"]);
  assert.deepEqual(acknowledged, ["1.2", "2.2"]);
});

test("what takes long is extended, and ends", async () => {
  const never = new Promise<void>(() => undefined);
  const { lanes, deliver, acknowledged, extended } = scene(() => never, { lease: 30, patience: 100 });
  await deliver(job(1));
  await lanes.finish(5_000);
  assert.ok(extended.length > 0);
  assert.deepEqual(acknowledged, []);
});
