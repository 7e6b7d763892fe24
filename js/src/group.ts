// Compared landscapes in one page: they share ranges, and a change in one is passed on to the others. This works in
// the browser alone, so that they stay together while the kernel is busy or gone. Every widget loads its own copy of
// this module, so the groups live on globalThis.

import type { CameraState, Controls } from "./model/controls.ts";
import type { Range } from "./model/wire.ts";

export interface Member {
  /** Return the ranges that its values ask for, by quantity and scale. */
  ranges(): Map<string, Range>;
  /** The shared ranges have changed. */
  refresh(): void;
  /** The camera of another member was moved. */
  setCamera(camera: CameraState | Record<string, never>): void;
  /** The controls of another member were changed. */
  apply(controls: Partial<Controls>): void;
}

const KEY = Symbol.for("lljupyter.groups.v2");
type Holder = { [KEY]?: Map<string, Set<Member>> };

function membersOf(id: string): Set<Member> {
  const holder = globalThis as Holder;
  holder[KEY] ??= new Map();
  const groups = holder[KEY];
  const members = groups.get(id) ?? new Set<Member>();
  groups.set(id, members);
  return members;
}

/** Return the smallest ranges that contain those of all members, by quantity and scale. */
export function commonRanges(members: Iterable<Pick<Member, "ranges">>): Map<string, Range> {
  const common = new Map<string, Range>();
  for (const member of members) {
    for (const [key, [lo, hi]] of member.ranges()) {
      const known = common.get(key);
      common.set(key, known ? [Math.min(known[0], lo), Math.max(known[1], hi)] : [lo, hi]);
    }
  }
  return common;
}

export interface Group {
  common(key: string): Range | null;
  /** The ranges of this member may have changed. */
  announce(): void;
  shareCamera(camera: CameraState | Record<string, never>): void;
  share(controls: Partial<Controls>): void;
  leave(): void;
}

export function joinGroup(id: string, self: Member): Group {
  const members = membersOf(id);
  const others = (): Member[] => [...members].filter((member) => member !== self);
  let announced = "";
  const group: Group = {
    common: (key) => commonRanges(members).get(key) ?? null,
    announce() {
      const now = JSON.stringify([...self.ranges()]);
      if (now === announced) return;
      announced = now;
      for (const member of others()) member.refresh();
    },
    shareCamera(camera) {
      for (const member of others()) member.setCamera(camera);
    },
    share(controls) {
      for (const member of others()) member.apply(controls);
    },
    leave() {
      members.delete(self);
      for (const member of others()) member.refresh();
    },
  };
  members.add(self);
  return group;
}
