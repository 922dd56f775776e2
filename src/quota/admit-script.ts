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
 * Keys: verdict, leases, slots, then the prefix of each window's counter.
 * Arguments: request id, concurrent or -1, sessions or -1, lease TTL, how long an admission and how long a refusal is remembered,
 * then limit, length and cost of each window.
 *
 * Answers "kind retryAfterMs [remaining resetMs]…" in one string, which is also what is remembered; Lua writes numbers of up to 14
 * digits as they are. Kinds: a(dmitted), and what refused: c(oncurrency), s(essions), q(uota). The order of the checks is the contract's.
 */
export const ADMIT_SCRIPT = `
local known = redis.call('GET', KEYS[1])
if known then return known end
${NOW}
${EXTEND}
local id, concurrent, sessions, lease = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])

local windows, keys = {}, {}
for i = 4, #KEYS do
  local at = 7 + (i - 4) * 3
  local length = tonumber(ARGV[at + 1])
  local number = math.floor(now / length)
  local key = KEYS[i] .. ':' .. number
  keys[#keys + 1] = key
  windows[#windows + 1] = { key = key, limit = tonumber(ARGV[at]), cost = tonumber(ARGV[at + 2]), reset = (number + 1) * length - now }
end

local counts = {}
if #keys > 0 then counts = redis.call('MGET', unpack(keys)) end
local wait = 0
for i, window in ipairs(windows) do
  window.used = tonumber(counts[i] or 0)
  if window.used + window.cost > window.limit and window.reset > wait then wait = window.reset end
end

local kind = 'a'
if concurrent >= 0 then
  redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', now)
  if redis.call('ZCARD', KEYS[2]) >= concurrent then kind = 'c' end
end
if kind == 'a' and sessions >= 0 then
  redis.call('ZREMRANGEBYSCORE', KEYS[3], '-inf', now)
  if redis.call('ZCARD', KEYS[3]) >= sessions then kind = 's' end
end
if kind == 'a' and wait > 0 then kind = 'q' end

if kind == 'a' then
  if concurrent >= 0 then
    redis.call('ZADD', KEYS[2], now + lease, id)
    extend(KEYS[2], lease)
  end
  if sessions >= 0 then
    redis.call('ZADD', KEYS[3], now + lease, id)
    extend(KEYS[3], lease)
  end
  for i, window in ipairs(windows) do
    window.used = window.used + window.cost
    if counts[i] then
      redis.call('INCRBY', window.key, window.cost)
    else
      redis.call('SET', window.key, window.cost, 'PX', window.reset + 1000)
    end
  end
end

local text = kind .. ' ' .. (kind == 'q' and wait or 0)
for _, window in ipairs(windows) do
  text = text .. ' ' .. math.max(0, window.limit - window.used) .. ' ' .. window.reset
end
redis.call('SET', KEYS[1], text, 'PX', kind == 'a' and ARGV[5] or ARGV[6])
return text
`;
