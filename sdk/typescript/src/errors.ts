// What can go wrong, each with a sentence that says what to do.

import type { components } from "./generated/gateway.js";

export type Problem = components["schemas"]["Problem"];

const PREFIX = "urn:quicproquo:problem:";

/** Everything this package throws by itself. */
export class QuicproquoError extends Error {
  override name = this.constructor.name;
}

/** A setting is absent or not usable. */
export class ConfigurationError extends QuicproquoError {}

/** The gateway did not answer for as long as requests are repeated. */
export class Unreachable extends QuicproquoError {}

/** The gateway closed the stream for a reason that reconnecting does not mend. */
export class StreamEnded extends QuicproquoError {}

/** The gateway answered with a problem (RFC 9457) that repeating does not mend. */
export class Refused extends QuicproquoError {
  constructor(readonly problem: Problem) {
    const detail = problem.detail ? `: ${problem.detail}` : "";
    const fields = (problem.errors ?? []).map((field) => `; ${field.pointer}: ${field.detail}`);
    super(`${problem.status} ${kindOf(problem)}: ${problem.title}${detail}${fields.join("")}`);
  }

  /** The word by which programs decide, such as `group-not-found`. */
  get kind(): string {
    return kindOf(this.problem);
  }
}

/**
 * A handler that ran before has used this request's idempotency key for another content.
 *
 * An event that comes again, after a crash, does what it does under the same keys. When what it
 * sends is not the same then, the first one stands.
 */
export class AlreadyDone extends Refused {}

/** The error for a problem. */
export function refusal(problem: Problem): Refused {
  const done = kindOf(problem) === "idempotency-mismatch";
  return done ? new AlreadyDone(problem) : new Refused(problem);
}

/** A problem, if that is what this is. */
export function asProblem(value: unknown): Problem | undefined {
  const found = typeof value === "object" && value !== null && "type" in value && "status" in value;
  return found ? (value as Problem) : undefined;
}

function kindOf(problem: Problem): string {
  return problem.type.startsWith(PREFIX) ? problem.type.slice(PREFIX.length) : problem.type;
}
