// What a session is in Redis: the Lua that every session script begins with, and the bounds of what it keeps.

import { KEY_PREFIX, NEWS_CHANNEL } from './redis-keys.ts';
import { ENDING_TTL_MS, MAX_REVOKED, REVOCATION_KEPT_MS } from './store.ts';

/** Redis forgets a record by itself so long after its id has expired, should no gateway have tidied it up before. */
const MARGIN_MS = 24 * 3_600_000;
/** Rebindings and ends that a new process is told of. What is left out costs a session one more look at its record. */
const MAX_NEWS = 100_000;

/**
 * Before every script: what sessions are and how they are found. ARGV[1] is the caller's clock in milliseconds. All times to live are
 * relative, so that a clock that differs from that of Redis does not cost a session its record.
 */
export const PRELUDE = `
local P, NOW = '${KEY_PREFIX}', tonumber(ARGV[1])

local function keep(name, expiresAt)
  local ttl = math.max(math.ceil(expiresAt - NOW), 0) + ${MARGIN_MS}
  if redis.call('PTTL', name) < ttl then redis.call('PEXPIRE', name, string.format('%.0f', ttl)) end
end

local function load(key)
  local id = P .. 'r:' .. key
  local f = redis.call('HMGET', id, 'expiresAt', 'generation', 'instance', 'upstreamId', 'end', 'since', 'backend', 'caller', 'reopens')
  if not f[1] then return nil end
  return {
    key = key, id = id, expiresAt = tonumber(f[1]), generation = tonumber(f[2]), instance = f[3], upstreamId = f[4],
    state = f[5] or '', since = tonumber(f[6] or '0'), backend = f[7], caller = f[8], reopens = f[9] == '1',
  }
end

local function isOver(s) return s.state == 'ended' or s.state == 'revoked' end

local function list(s, used)
  redis.call('ZADD', P .. 'open', used, s.key)
  keep(P .. 'open', s.expiresAt)
  if s.instance == '' then return end
  redis.call('SADD', P .. 'i:' .. s.instance, s.key)
  keep(P .. 'i:' .. s.instance, s.expiresAt)
  if not s.reopens then return end
  redis.call('ZADD', P .. 'b:' .. s.backend, used, s.key)
  keep(P .. 'b:' .. s.backend, s.expiresAt)
end

local function unlist(s)
  redis.call('ZREM', P .. 'open', s.key)
  redis.call('ZREM', P .. 'b:' .. s.backend, s.key)
  redis.call('SREM', P .. 'i:' .. s.instance, s.key)
end

local function untell(key)
  redis.call('HDEL', P .. 'news', key)
  redis.call('ZREM', P .. 'news:x', key)
  redis.call('ZREM', P .. 'news:r', key)
end

local function remember(index, most, key, expiresAt, text)
  redis.call('HSET', P .. 'news', key, text)
  redis.call('ZADD', index, expiresAt, key)
  keep(P .. 'news', expiresAt)
  keep(index, expiresAt)
  local over = redis.call('ZCARD', index) - most
  if over > 0 then
    for _, old in ipairs(redis.call('ZRANGE', index, 0, over - 1)) do untell(old) end
  end
end

local function tell(s)
  local version = redis.call('HINCRBY', s.id, 'version', 1)
  local expiresAt = string.format('%.0f', s.expiresAt)
  local text = table.concat({ s.key, version, expiresAt, s.generation, s.state, s.instance, s.upstreamId }, '\\n')
  untell(s.key)
  if s.state == 'revoked' then
    remember(P .. 'news:r', ${MAX_REVOKED}, s.key, expiresAt, text)
  elseif s.state ~= '' or s.generation > 0 then
    remember(P .. 'news:x', ${MAX_NEWS}, s.key, expiresAt, text)
  end
  redis.call('PUBLISH', '${NEWS_CHANNEL}', 's\\n' .. text)
end

local function finish(s, state)
  unlist(s)
  redis.call('SREM', P .. 'c:' .. s.caller, s.key)
  redis.call('ZREM', P .. 'ending', s.key)
  redis.call('DEL', P .. 'u:' .. s.key)
  -- Written anew: a hash that has held a long value never gets small again, and there are many more tombstones than sessions.
  local names = { 'expiresAt', 'generation', 'instance', 'upstreamId', 'stream', 'backend', 'caller', 'about', 'version' }
  local fields = { 'end', state }
  for n, value in ipairs(redis.call('HMGET', s.id, unpack(names))) do
    if value then
      fields[#fields + 1] = names[n]
      fields[#fields + 1] = value
    end
  end
  redis.call('DEL', s.id)
  redis.call('HSET', s.id, unpack(fields))
  keep(s.id, s.expiresAt)
  s.state = state
  tell(s)
end

local function find(key)
  local s = load(key)
  if not s or s.expiresAt <= NOW then return nil end
  if s.state == 'ending' and NOW - s.since > ${ENDING_TTL_MS} then finish(s, 'ended') end
  return s
end

local function refuseCaller(caller, before)
  local name = P .. 'callers'
  local changed = redis.call('ZADD', name, 'GT', 'CH', before, caller)
  redis.call('ZREMRANGEBYRANK', name, 0, -${MAX_REVOKED + 1})
  keep(name, NOW + ${REVOCATION_KEPT_MS})
  if changed == 1 then redis.call('PUBLISH', '${NEWS_CHANNEL}', 'c\\n' .. caller .. '\\n' .. before) end
end
`;
