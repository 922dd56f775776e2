// The other Lua scripts of the quotas – what happened to leases and slots, who is alive, how counters stand – and their registration.

import type { Redis } from 'ioredis';
import { type AdmitScriptOptions, admitScript, EXTEND, NOW } from './admit-script.ts';

/** Keys: leases, slots. Arguments: lease TTL, then changes one after the other, each a letter and its fields. */
const APPLY_SCRIPT = `
${NOW}
${EXTEND}
local lease, i, longest, taken = tonumber(ARGV[1]), 2, 0, false
local function slot(session, idle)
  redis.call('ZADD', KEYS[2], now + idle, session)
  if idle > longest then longest = idle end
end
while i <= #ARGV do
  local change = ARGV[i]
  if change == 'r' then
    redis.call('ZREM', KEYS[1], ARGV[i + 1])
    i = i + 2
  elseif change == 'p' then
    redis.call('ZADD', KEYS[1], now + lease, ARGV[i + 1])
    taken = true
    i = i + 2
  elseif change == 'f' then
    redis.call('ZREM', KEYS[2], ARGV[i + 1])
    i = i + 2
  elseif change == 'k' then
    slot(ARGV[i + 1], tonumber(ARGV[i + 2]))
    i = i + 3
  elseif change == 'c' then
    redis.call('ZREM', KEYS[2], ARGV[i + 1])
    slot(ARGV[i + 2], tonumber(ARGV[i + 3]))
    i = i + 4
  else
    return redis.error_reply('unknown change ' .. change)
  end
end
if taken then extend(KEYS[1], lease) end
if longest > 0 then extend(KEYS[2], longest) end
return 'OK'
`;

/** Keys: who is alive. Arguments: a sidecar or nothing, for how long. Answers how many there are. */
const BEAT_SCRIPT = `
${NOW}
if ARGV[1] ~= '' then redis.call('ZADD', KEYS[1], now + ARGV[2], ARGV[1]) end
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now)
redis.call('PEXPIRE', KEYS[1], ARGV[2])
return redis.call('ZCARD', KEYS[1])
`;

/** Keys: leases, slots, then the prefix of each window's counter. Arguments: the windows' lengths. Answers leases, slots, [used resetMs]… */
const USAGE_SCRIPT = `
${NOW}
local answer = { redis.call('ZCOUNT', KEYS[1], '(' .. now, '+inf'), redis.call('ZCOUNT', KEYS[2], '(' .. now, '+inf') }
for i = 3, #KEYS do
  local length = tonumber(ARGV[i - 2])
  local number = math.floor(now / length)
  answer[#answer + 1] = tonumber(redis.call('GET', KEYS[i] .. ':' .. number) or 0)
  answer[#answer + 1] = (number + 1) * length - now
end
return answer
`;

type Argument = string | number;

/** What the scripts are called once they are registered. The first argument is the number of keys where it varies. */
export interface QuotaCommands {
  mcpQuotaAdmit(keys: number, ...keysAndArguments: Argument[]): Promise<string>;
  mcpQuotaApply(...keysAndArguments: Argument[]): Promise<'OK'>;
  mcpQuotaBeat(...keysAndArguments: Argument[]): Promise<number>;
  mcpQuotaUsage(keys: number, ...keysAndArguments: Argument[]): Promise<number[]>;
}

/** ioredis sends a script once per connection, and its hash from then on; a restarted Redis gets it again. */
export function defineQuotaCommands(redis: Redis, admission: AdmitScriptOptions): QuotaCommands {
  redis.defineCommand('mcpQuotaAdmit', { lua: admitScript(admission) });
  redis.defineCommand('mcpQuotaApply', { lua: APPLY_SCRIPT, numberOfKeys: 2 });
  redis.defineCommand('mcpQuotaBeat', { lua: BEAT_SCRIPT, numberOfKeys: 1 });
  redis.defineCommand('mcpQuotaUsage', { lua: USAGE_SCRIPT });
  return redis as unknown as QuotaCommands;
}
