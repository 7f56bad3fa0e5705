// A conversation through the client that @hey-api/openapi-ts generates.

import { acceptInvitation, createGroup, listEvents, listInvitations, sendMessage } from "./gateway";
import type { Event, MessageRequest } from "./gateway";
import { createClient, createConfig } from "./gateway/client";

function variable(name: string): string {
  const value = process.env[name];
  if (value === undefined) throw new Error(`${name} is not set`);
  return value;
}

function assert(condition: unknown, what: unknown): asserts condition {
  if (!condition) throw new Error(typeof what === "string" ? what : JSON.stringify(what));
}

/** What is only told apart by the field `type`. */
function bodyOf(event: Event): string | undefined {
  if (event.type !== "message.received") return undefined;
  const message = event.data;
  return message.type === "text" ? String((message.content as { body: string }).body) : undefined;
}

async function main(): Promise<void> {
  const client = (token: string) =>
    createClient(createConfig({ baseUrl: variable("QPQ_URL"), auth: variable(token) }));
  const [alice, bob] = [client("QPQ_ALICE"), client("QPQ_BOB")];
  const created = await createGroup({
    client: alice, body: { name: "typescript", members: [variable("QPQ_BOB_IDENTITY")] },
  });
  assert(created.data && "group_id" in created.data, created.error);
  const group_id = created.data.group_id;

  const deadline = Date.now() + 60_000;
  for (;;) {
    const invitations = await listInvitations({ client: bob, throwOnError: true });
    if (invitations.data.items.some((invitation) => invitation.group_id === group_id)) break;
    assert(Date.now() < deadline, "no invitation");
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  await acceptInvitation({ client: bob, path: { invitation_id: group_id }, throwOnError: true });

  const tail = await listEvents({ client: bob, query: { timeout: 0 }, throwOnError: true });
  const body: MessageRequest = { type: "text", content: { body: "hello" } };
  const send = () =>
    sendMessage({
      client: alice, path: { group_id }, headers: { "Idempotency-Key": "typescript-1" }, body,
      throwOnError: true,
    });
  const [first, second] = [(await send()).data, (await send()).data];
  assert(first.message_id === second.message_id, "one key, one message");

  let heard: Array<Event> = [];
  let after = (tail.data as { next: string | null }).next ?? undefined;
  while (heard.length === 0) {
    assert(Date.now() < deadline, "no message");
    const query = { after, timeout: 10_000, types: "message.received" };
    const page = await listEvents({ client: bob, query, throwOnError: true });
    assert(typeof page.data === "object", page.data);
    heard = page.data.items;
    after = page.data.next ?? undefined;
  }
  assert(heard.length === 1 && heard[0] && bodyOf(heard[0]) === "hello", heard);

  const refused = await sendMessage({ client: alice, path: { group_id: "0".repeat(64) }, body });
  assert(refused.error && refused.response?.status === 404, refused);
  assert(refused.error.type.endsWith("group-not-found") && !refused.error.retryable, refused.error);
  console.log("conversation held");
}

main().catch((error: unknown) => {
  console.error(error);
  process.exit(1);
});
