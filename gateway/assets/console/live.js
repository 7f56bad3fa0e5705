// Work that repeats until its page is closed.

import { notice } from "./dom.js";
import { Problem } from "./api.js";

export function pause(ms, signal) {
  return new Promise((resolve) => {
    if (signal.aborted) return resolve();
    const timer = setTimeout(resolve, ms);
    signal.addEventListener("abort", () => { clearTimeout(timer); resolve(); }, { once: true });
  });
}

/**
 * Runs `step` again and again. A failure is told and tried again, later each time; one that cannot
 * pass (the token is no longer good) ends it.
 */
export async function repeat(step, signal) {
  let failures = 0;
  while (!signal.aborted) {
    try {
      await step();
      if (failures > 0) notice("");
      failures = 0;
    } catch (error) {
      if (signal.aborted) return;
      notice(error instanceof Problem ? error.message : "The gateway does not answer.", true);
      if (error instanceof Problem && (error.status === 401 || error.status === 403)) throw error;
      failures += 1;
      await pause(Math.min(1000 * 2 ** failures, 15_000), signal);
    }
  }
}
