// The Lua that changes sessions in Redis: each script is one change of the record, of all indexes, and of the news about it.

import { NEWS_CHANNEL } from './redis-keys.ts';
import { PRELUDE } from './redis-lua-prelude.ts';
import { ENDING_TTL_MS, MAX_REVOKED, MAX_SUBSCRIPTIONS, MAX_SUBSCRIPTIONS_BYTES, REVOCATION_KEPT_MS } from './store.ts';

/** key, expiresAt, number of subscriptions, the subscriptions, then field and value of the record in turn. */
const CREATE = `
local key, expiresAt, count = ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4])
if redis.call('EXISTS', P .. 'r:' .. key) == 1 then return end
redis.call('HSET', P .. 'r:' .. key, unpack(ARGV, 5 + count))
keep(P .. 'r:' .. key, expiresAt)
if count > 0 then
  redis.call('RPUSH', P .. 'u:' .. key, unpack(ARGV, 5, 4 + count))
  keep(P .. 'u:' .. key, expiresAt)
end
redis.call('ZADD', P .. 'expiry', ARGV[3], key)
keep(P .. 'expiry', expiresAt)
local s = find(key)
if not s then return end
if not isOver(s) then
  redis.call('SADD', P .. 'c:' .. s.caller, key)
  keep(P .. 'c:' .. s.caller, expiresAt)
end
if s.state == '' then list(s, ARGV[1]) end
if s.state ~= '' or s.generation > 0 then tell(s) end
`;

/** key, kind, level or URI. */
const NOTE = `
local s = find(ARGV[2])
if not s or s.state ~= '' then return end
if ARGV[3] == 'level' then return redis.call('HSET', s.id, 'level', ARGV[4]) end
local name = P .. 'u:' .. s.key
redis.call('LREM', name, 0, ARGV[4])
if ARGV[3] == 'unsubscribe' then return end
redis.call('RPUSH', name, ARGV[4])
local uris, kept, bytes = redis.call('LRANGE', name, -${MAX_SUBSCRIPTIONS}, -1), 0, 0
for n = #uris, 1, -1 do
  bytes = bytes + #uris[n]
  if bytes > ${MAX_SUBSCRIPTIONS_BYTES} then break end
  kept = kept + 1
end
redis.call('LTRIM', name, -kept, -1)
keep(name, s.expiresAt)
`;

/** key, from, instance, upstream id. Answers with the binding in force, or nothing. */
const REBIND = `
local s = find(ARGV[2])
if not s or s.state ~= '' then return false end
if s.generation == tonumber(ARGV[3]) then
  local used = redis.call('ZSCORE', P .. 'open', s.key) or ARGV[1]
  unlist(s)
  s.generation, s.instance, s.upstreamId = s.generation + 1, ARGV[4], ARGV[5]
  redis.call('HSET', s.id, 'generation', s.generation, 'instance', s.instance, 'upstreamId', s.upstreamId)
  list(s, s.instance == '' and used or ARGV[1])
  tell(s)
end
return { s.generation, s.instance, s.upstreamId }
`;

/** key, the end or nothing. */
const END = `
local s, state = find(ARGV[2]), ARGV[3]
if not s or isOver(s) then return end
if state == 'ended' or state == 'revoked' then return finish(s, state) end
if state == 'ending' then
  if s.state == '' then
    redis.call('HSET', s.id, 'used', redis.call('ZSCORE', P .. 'open', s.key) or ARGV[1])
    unlist(s)
  end
  redis.call('HSET', s.id, 'end', state, 'since', ARGV[1])
  redis.call('ZADD', P .. 'ending', ARGV[1], s.key)
  keep(P .. 'ending', s.expiresAt)
elseif s.state == 'ending' then
  list(s, redis.call('HGET', s.id, 'used') or ARGV[1])
  redis.call('HDEL', s.id, 'end', 'since', 'used')
  redis.call('ZREM', P .. 'ending', s.key)
end
s.state = state
tell(s)
`;

/** key. 1 for the first stream of a generation. */
const CLAIM = `
local s = find(ARGV[2])
if not s or s.generation <= tonumber(redis.call('HGET', s.id, 'stream')) then return 0 end
redis.call('HSET', s.id, 'stream', s.generation)
return 1
`;

/** keys. An index that does not hold a session is not made to: it is idle already, or over. */
const USE = `
for n = 2, #ARGV do
  local backend = redis.call('HGET', P .. 'r:' .. ARGV[n], 'backend')
  if backend then
    redis.call('ZADD', P .. 'open', 'XX', 'GT', ARGV[1], ARGV[n])
    redis.call('ZADD', P .. 'b:' .. backend, 'XX', 'GT', ARGV[1], ARGV[n])
  end
end
`;

/** keys. Answers with seven texts for each that is open: see `listSessions`. */
const DETAILS = `
local open = {}
for n = 2, #ARGV do
  local used = redis.call('ZSCORE', P .. 'open', ARGV[n])
  local f = redis.call('HMGET', P .. 'r:' .. ARGV[n], 'expiresAt', 'generation', 'instance', 'backend', 'about', 'end')
  if used and f[1] and not f[6] then
    for _, text in ipairs({ ARGV[n], used, f[1], f[2], f[3], f[4], f[5] }) do open[#open + 1] = text end
  end
end
return open
`;

/** caller of the revocation, before, index of the caller, at most so many. Answers with how many were open, and how many are left. */
const REVOKE = `
refuseCaller(ARGV[2], ARGV[3])
local name, ended = P .. 'c:' .. ARGV[4], 0
for _, key in ipairs(redis.call('SRANDMEMBER', name, ARGV[5])) do
  local s = find(key)
  if s and not isOver(s) then
    if s.state == '' then ended = ended + 1 end
    finish(s, 'ended')
  end
  redis.call('SREM', name, key)
end
return { ended, redis.call('SCARD', name) }
`;

/** caller and before in turn. */
const RESTORE_CALLERS = `
for n = 2, #ARGV, 2 do refuseCaller(ARGV[n], ARGV[n + 1]) end
`;

/** key, expiresAt and text of a revoked session in turn. */
const RESTORE_SESSIONS = `
for n = 2, #ARGV, 3 do
  if redis.call('HEXISTS', P .. 'news', ARGV[n]) == 0 then
    remember(P .. 'news:r', ${MAX_REVOKED}, ARGV[n], ARGV[n + 1], ARGV[n + 2])
    redis.call('ZADD', P .. 'expiry', ARGV[n + 1], ARGV[n])
    keep(P .. 'expiry', tonumber(ARGV[n + 1]))
    redis.call('PUBLISH', '${NEWS_CHANNEL}', 's\\n' .. ARGV[n + 2])
  end
end
`;

/** At most so many. Answers with how much it did: less than that means that there is no more to do. */
const TIDY = `
local expired = redis.call('ZRANGEBYSCORE', P .. 'expiry', '-inf', ARGV[1], 'LIMIT', 0, ARGV[2])
for _, key in ipairs(expired) do
  local s = load(key)
  if s then
    unlist(s)
    redis.call('SREM', P .. 'c:' .. s.caller, key)
  end
  redis.call('ZREM', P .. 'open', key)
  redis.call('ZREM', P .. 'ending', key)
  redis.call('ZREM', P .. 'expiry', key)
  redis.call('DEL', P .. 'r:' .. key, P .. 'u:' .. key)
  untell(key)
end
local overdue = redis.call('ZRANGEBYSCORE', P .. 'ending', '-inf', '(' .. string.format('%.0f', NOW - ${ENDING_TTL_MS}), 'LIMIT', 0, ARGV[2])
for _, key in ipairs(overdue) do
  if not find(key) then redis.call('ZREM', P .. 'ending', key) end
end
redis.call('ZREMRANGEBYSCORE', P .. 'callers', '-inf', string.format('%.0f', math.floor((NOW - ${REVOCATION_KEPT_MS}) / 1000)))
return math.max(#expired, #overdue)
`;

/** Nobody but its holder prolongs or frees a lock. KEYS[1], token, milliseconds (0: free it). 1 when it was still held. */
export const HOLD = `
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
if ARGV[2] == '0' then return redis.call('DEL', KEYS[1]) end
return redis.call('PEXPIRE', KEYS[1], ARGV[2])
`;

const withPrelude = <Name extends string>(scripts: Record<Name, string>): Record<Name, string> => {
  return Object.fromEntries(Object.entries<string>(scripts).map(([name, lua]) => [name, PRELUDE + lua])) as Record<Name, string>;
};

/** By name; each is told the time and then its own arguments. */
export const sessionScripts = withPrelude({
  create: CREATE,
  note: NOTE,
  rebind: REBIND,
  end: END,
  claim: CLAIM,
  use: USE,
  details: DETAILS,
  revoke: REVOKE,
  restoreCallers: RESTORE_CALLERS,
  restoreSessions: RESTORE_SESSIONS,
  tidy: TIDY,
});
