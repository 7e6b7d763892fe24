// Ask the kernel for its latest frame if nothing arrived for a while: messages get lost, and some hosts hold them back.

const QUIET_MS = 1500;
const UNANSWERED_LIMIT = 3;

export interface Heartbeat {
  /** Something arrived. */
  arrived(): void;
  destroy(): void;
}

/** `waiting` returns whether anything is expected; `silent` is called when the kernel stops or starts to answer. */
export function startHeartbeat(
  waiting: () => boolean,
  pull: () => void,
  silent: (isSilent: boolean) => void,
): Heartbeat {
  let last = performance.now();
  let unanswered = 0;
  const timer = setInterval(() => {
    if (!waiting()) {
      last = performance.now();
      return;
    }
    const quiet = performance.now() - last;
    if (quiet < QUIET_MS) return;
    if (unanswered >= UNANSWERED_LIMIT) {
      silent(true);
      // Ask less often from here on, so that a busy kernel does not return to a pile of requests.
      if (quiet < 4 * QUIET_MS) return;
    }
    unanswered++;
    last = performance.now();
    pull();
  }, 500);
  return {
    arrived() {
      last = performance.now();
      unanswered = 0;
      silent(false);
    },
    destroy: () => clearInterval(timer),
  };
}
