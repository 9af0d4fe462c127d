-- Looking resolvers up in Virima: what waits for it, and Virima's own parking. Deliveries never wait for any of this.
-- Each configuration of the `virima` block is parked by itself: a process with an old password must not park one with the new one,
-- nor be let in by it again and again.
-- ARGV[2] take: ARGV[3] digest of the `virima` block; ARGV[4] how many at most; ARGV[5] lease (ms).
--   Returns when to look again (Unix ms) or '', then a list for each: id, due (its fence), resolved_by, probe (1 or 0).
-- ARGV[2] settle: ARGV[3] that digest; ARGV[4] failures in a row that park; ARGV[5…] a JSON object for each:
--   id due (the fence), and either `again` (when to try again, Unix ms: nothing was found out) or `record` (what the trail tells, JSON
--   text) and `cached`; of a failure that speaks of Virima as a whole also park_as at_once (whether one is enough) probe_first
--   probe_most (ms)
--   Returns 1 for each that was written down, 0 where it had been lent to somebody else since.

local waiting, told, circuit_key = key('lookups'), key('virima'), key('virima:parked:' .. ARGV[3])
-- A configuration that nobody works with any more is forgotten (ms).
local FORGOTTEN_AFTER = 172800000

local function settle_circuit(settled)
  local circuit = read(circuit_key, 'reason', 'step', 'failures')
  if not settled.park_as then
    redis.call('DEL', circuit_key, told)
    return
  end
  local failures = tonumber(circuit.failures or 0) + 1
  redis.call('HSET', circuit_key, 'failures', failures)
  redis.call('PEXPIRE', circuit_key, FORGOTTEN_AFTER)
  if not circuit.reason and not settled.at_once and failures < tonumber(ARGV[4]) then return end
  if circuit.reason and not settled.probe then return end
  local step = circuit.reason == settled.park_as and tonumber(circuit.step or 0) + 1 or 0
  local wait = math.min(settled.probe_first * 2 ^ math.min(step, 40), settled.probe_most)
  redis.call('HSET', circuit_key, 'reason', settled.park_as, 'step', step, 'probe_at', now + wait, 'parked_at', now)
  if redis.call('HEXISTS', told, 'reason') == 0 then redis.call('HSET', told, 'since', now) end
  redis.call('HSET', told, 'reason', settled.park_as)
  redis.call('PEXPIRE', told, FORGOTTEN_AFTER)
end

-- A probe that asked nobody is none: the next one may come at once.
local function free_probe(settled)
  if settled.probe and redis.call('HEXISTS', circuit_key, 'reason') == 1 then redis.call('HSET', circuit_key, 'probe_at', now) end
end

local function settle(settled)
  if tonumber(redis.call('ZSCORE', waiting, settled.id) or -1) ~= settled.due then return 0 end
  if settled.again then
    free_probe(settled)
    redis.call('ZADD', waiting, settled.again, settled.id)
    return 1
  end
  redis.call('ZREM', waiting, settled.id)
  local delivery = find_delivery(settled.id) or {}
  audit('virima_lookup', { id = settled.id, sys_id = delivery.sys_id, number = delivery.number, actor = 'relay' }, settled.record)
  if settled.cached then free_probe(settled) else settle_circuit(settled) end
  return 1
end

-- Whether to take nothing now, one probe, or what waits; for the former until when.
local function restraint()
  local circuit = read(circuit_key, 'reason', 'probe_at', 'parked_at')
  if not circuit.reason then return nil, 0 end
  local resumed_at = tonumber(redis.call('HGET', told, 'resumed_at') or 0)
  local probe_at = tonumber(circuit.probe_at)
  if now < probe_at and resumed_at <= tonumber(circuit.parked_at) then return probe_at, 1 end
  return nil, 1
end

local function take(most, lease)
  local wait_until, probe = restraint()
  if wait_until then return { string.format('%.0f', wait_until) } end
  if probe == 1 then most = 1 end
  local taken = {}
  for _, id in ipairs(redis.call('ZRANGEBYSCORE', waiting, '-inf', now, 'LIMIT', 0, most)) do
    redis.call('ZADD', waiting, now + lease, id)
    local delivery = find_delivery(id) or {}
    taken[#taken + 1] = { id, string.format('%.0f', now + lease), delivery.resolved_by or '', probe }
  end
  if probe == 1 and #taken > 0 then redis.call('HSET', circuit_key, 'probe_at', now + lease, 'parked_at', now) end
  local soonest = redis.call('ZRANGE', waiting, 0, 0, 'WITHSCORES')[2]
  return { soonest or '', unpack(taken) }
end

if ARGV[2] == 'take' then return take(tonumber(ARGV[4]), tonumber(ARGV[5])) end
local written = {}
for index = 5, #ARGV do written[#written + 1] = settle(cjson.decode(ARGV[index])) end
return written
