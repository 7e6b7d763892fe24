// Landscapes that are compared, in one page: they agree on ranges and pass on what is changed in one of them. It works in the
// browser alone, so that they stay together while the kernel is busy or gone. Every widget loads its own copy of this module,
// so the groups live on globalThis.

import type { CameraState, Controls, Range } from "./model/wire.ts";

export interface Member {
  /** The ranges its own values ask for, by quantity and scale. */
  ranges(): Map<string, Range>;
  /** The common ranges are others now. */
  refresh(): void;
  /** Another member's camera was moved. */
  look(camera: CameraState | Record<string, never>): void;
  /** Another member's controls were changed. */
  apply(controls: Partial<Controls>): void;
}

const KEY = Symbol.for("lljupyter.groups.v1");
type Holder = { [KEY]?: Map<string, Set<Member>> };

function membersOf(id: string): Set<Member> {
  const groups = ((globalThis as Holder)[KEY] ??= new Map());
  const members = groups.get(id) ?? new Set<Member>();
  groups.set(id, members);
  return members;
}

/** The smallest range that holds those of all members, by quantity and scale. */
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
  /** This member's ranges may be others now. */
  announce(): void;
  look(camera: CameraState | Record<string, never>): void;
  share(controls: Partial<Controls>): void;
  leave(): void;
}

export function joinGroup(id: string, self: Member): Group {
  const members = membersOf(id);
  const others = (): Member[] => [...members].filter((member) => member !== self);
  let told = "";
  const group: Group = {
    common: (key) => commonRanges(members).get(key) ?? null,
    announce() {
      const now = JSON.stringify([...self.ranges()]);
      if (now === told) return;
      told = now;
      for (const member of others()) member.refresh();
    },
    look: (camera) => others().forEach((member) => member.look(camera)),
    share: (controls) => others().forEach((member) => member.apply(controls)),
    leave() {
      members.delete(self);
      for (const member of others()) member.refresh();
    },
  };
  members.add(self);
  return group;
}
