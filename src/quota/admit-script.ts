// The Lua script that decides a claim in Redis, in one round trip: all of it or nothing is taken.

/** The clock is Redis' own, so that replicas whose clocks differ count in the same window. */
export const NOW = `
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
`;

/** A set of leases or slots lives as long as its longest member. `PEXPIRE … GT` would do, but only from Redis 7 on. */
export const EXTEND = `
local function extend(key, ttl)
  if redis.call('PTTL', key) < ttl then redis.call('PEXPIRE', key, ttl) end
end
`;

/**
 * Keys: verdict, the prefix of each window's counter, and if there is a limit on one of them: leases, slots.
 * Arguments: concurrent or -1, sessions or -1, then limit, length and cost of each window, then (with leases and slots) the request id.
 *
 * Answers "kind retryAfterMs seconds microseconds [left]…" in one string, which is also what is remembered: the clock, from which who asks
 * knows when each window ends, and what is left of each. Kinds: a(dmitted), and what refused: c(oncurrency), s(essions), q(uota). The
 * order of the checks is the contract's. Most numbers stay the texts that they are, because Lua turns each of its own into text anew.
 */
export function admitScript({ leaseTtlMs, admittedMs, refusedMs }: AdmitScriptOptions): string {
  return `
local known = redis.call('GET', KEYS[1])
if known then return known end
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local concurrent, sessions = tonumber(ARGV[1]), tonumber(ARGV[2])
local windows = math.floor((#ARGV - 2) / 3)
local leases, slots, id = KEYS[windows + 2], KEYS[windows + 3], ARGV[3 * windows + 3]

local keys, left, wait = {}, {}, 0
for i = 1, windows do keys[i] = KEYS[i + 1] .. ':' .. math.floor(now / ARGV[3 * i + 1]) end
local used = windows > 0 and redis.call('MGET', unpack(keys))
for i = 1, windows do
  left[i] = ARGV[3 * i] - (used[i] or 0)
  if left[i] < tonumber(ARGV[3 * i + 2]) then wait = math.max(wait, ARGV[3 * i + 1] - now % ARGV[3 * i + 1]) end
end

local kind = 'a'
if concurrent >= 0 then
  redis.call('ZREMRANGEBYSCORE', leases, '-inf', now)
  if redis.call('ZCARD', leases) >= concurrent then kind = 'c' end
end
if kind == 'a' and sessions >= 0 then
  redis.call('ZREMRANGEBYSCORE', slots, '-inf', now)
  if redis.call('ZCARD', slots) >= sessions then kind = 's' end
end
if kind == 'a' and wait > 0 then kind = 'q' end

if kind == 'a' then
  local lease = ${leaseTtlMs}
  ${EXTEND}
  if concurrent >= 0 then
    redis.call('ZADD', leases, now + lease, id)
    extend(leases, lease)
  end
  if sessions >= 0 then
    redis.call('ZADD', slots, now + lease, id)
    extend(slots, lease)
  end
  for i = 1, windows do
    local cost = ARGV[3 * i + 2]
    left[i] = left[i] - cost
    if used[i] then redis.call('INCRBY', keys[i], cost)
    else redis.call('SET', keys[i], cost, 'PX', ARGV[3 * i + 1] - now % ARGV[3 * i + 1] + 1000) end
  end
end
local text = kind .. ' ' .. (kind == 'q' and wait or '0') .. ' ' .. time[1] .. ' ' .. time[2]
if windows > 0 then text = text .. ' ' .. table.concat(left, ' ') end
redis.call('SET', KEYS[1], text, 'PX', kind == 'a' and '${admittedMs}' or '${refusedMs}')
return text
`;
}

export interface AdmitScriptOptions {
  readonly leaseTtlMs: number;
  /** How long an admission and how long a refusal is remembered. */
  readonly admittedMs: number;
  readonly refusedMs: number;
}
