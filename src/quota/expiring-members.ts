// A set whose members leave by themselves: leases and slots of one tenant, and the processes that are alive.

export interface ExpiringMembers {
  /** Members that have not expired. */
  count(now: number): number;
  /** Cheaper than counting: nothing is looked through while there is room. */
  isFull(limit: number, now: number): boolean;
  add(member: string, until: number): void;
  delete(member: string): void;
}

/** Beyond `maxMembers` the one that was added first makes room. */
export function createExpiringMembers(maxMembers: number): ExpiringMembers {
  const members = new Map<string, number>();
  /** Nobody expires before. */
  let quietUntil = Number.POSITIVE_INFINITY;

  const sweep = (now: number): void => {
    if (now < quietUntil) return;
    quietUntil = Number.POSITIVE_INFINITY;
    for (const [member, until] of members) {
      if (until <= now) members.delete(member);
      else if (until < quietUntil) quietUntil = until;
    }
  };

  return {
    count(now) {
      sweep(now);
      return members.size;
    },
    isFull(limit, now) {
      if (members.size < limit) return false;
      sweep(now);
      return members.size >= limit;
    },
    add(member, until) {
      members.set(member, until);
      if (until < quietUntil) quietUntil = until;
      if (members.size > maxMembers) members.delete(members.keys().next().value as string);
    },
    delete: (member) => void members.delete(member),
  };
}
