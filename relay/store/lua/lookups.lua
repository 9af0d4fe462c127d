-- Takes lookups of resolvers in Virima, and settles them. Lookups have a separate circuit, and no delivery waits
-- for them. Each configuration of the `virima` block has its own circuit: a process with an old password must not park
-- the lookups of a process with the new one, and must not be resumed by its successes.
-- KEYS[1]   the integration's queue
-- ARGV[1]   now (Unix ms)
-- ARGV[2]   take: take lookups that are due
-- ARGV[3]   digest of the `virima` block
-- ARGV[4]   the maximum number of lookups
-- ARGV[5]   lease (ms)
-- Returns   when to look again (Unix ms) or '', then for each lookup a list: delivery id, due (its fence),
--           resolved_by, probe (1 or 0)
--
-- ARGV[2]   settle: record their results
-- ARGV[3]   digest of the `virima` block
-- ARGV[4]   the number of failures in a row that parks the lookups
-- ARGV[5…]  a JSON object per lookup: id due, and either `again` (when to try again, Unix ms, if there was no result)
--           or `record` (JSON text for the trail) with `cached`; for a failure of Virima as a whole also park_as
--           at_once (whether one failure is enough) probe_first probe_most (ms)
-- Returns   for each lookup 1 if it was settled, or 0 if its lease was lost

local waiting, summary_key, circuit_key = key('lookups'), key('virima'), key('virima:parked:' .. ARGV[3])
-- The circuit of a configuration that no process uses is forgotten after this time (ms).
local FORGOTTEN_AFTER = 172800000

local function settle_circuit(settlement)
  local circuit = read(circuit_key, 'reason', 'step', 'failures')
  if not settlement.park_as then
    redis.call('DEL', circuit_key, summary_key)
    return
  end
  local failures = tonumber(circuit.failures or 0) + 1
  redis.call('HSET', circuit_key, 'failures', failures)
  redis.call('PEXPIRE', circuit_key, FORGOTTEN_AFTER)
  if not circuit.reason and not settlement.at_once and failures < tonumber(ARGV[4]) then return end
  if circuit.reason and not settlement.probe then return end
  local step = circuit.reason == settlement.park_as and tonumber(circuit.step or 0) + 1 or 0
  local wait = math.min(settlement.probe_first * 2 ^ math.min(step, 40), settlement.probe_most)
  redis.call('HSET', circuit_key, 'reason', settlement.park_as, 'step', step, 'probe_at', now + wait, 'parked_at', now)
  if redis.call('HEXISTS', summary_key, 'reason') == 0 then redis.call('HSET', summary_key, 'since', now) end
  redis.call('HSET', summary_key, 'reason', settlement.park_as)
  redis.call('PEXPIRE', summary_key, FORGOTTEN_AFTER)
end

-- A probe that did not call Virima has shown nothing: the next one can follow at once.
local function free_probe(settlement)
  if settlement.probe and redis.call('HEXISTS', circuit_key, 'reason') == 1 then
    redis.call('HSET', circuit_key, 'probe_at', now)
  end
end

local function settle(settlement)
  if tonumber(redis.call('ZSCORE', waiting, settlement.id) or -1) ~= settlement.due then return 0 end
  if settlement.again then
    free_probe(settlement)
    redis.call('ZADD', waiting, settlement.again, settlement.id)
    return 1
  end
  redis.call('ZREM', waiting, settlement.id)
  local delivery = find_delivery(settlement.id) or {}
  audit('virima_lookup', { id = settlement.id, sys_id = delivery.sys_id, number = delivery.number, actor = 'relay' },
    settlement.record)
  if settlement.cached then free_probe(settlement) else settle_circuit(settlement) end
  return 1
end

-- Returns the time before which nothing can be taken (or nil), and 1 if only a probe can, otherwise 0.
local function restriction()
  local circuit = read(circuit_key, 'reason', 'probe_at', 'parked_at')
  if not circuit.reason then return nil, 0 end
  local resumed_at = tonumber(redis.call('HGET', summary_key, 'resumed_at') or 0)
  local probe_at = tonumber(circuit.probe_at)
  if now < probe_at and resumed_at <= tonumber(circuit.parked_at) then return probe_at, 1 end
  return nil, 1
end

local function take(limit, lease)
  local wait_until, probe = restriction()
  if wait_until then return { string.format('%.0f', wait_until) } end
  if probe == 1 then limit = 1 end
  local taken = {}
  for _, id in ipairs(redis.call('ZRANGEBYSCORE', waiting, '-inf', now, 'LIMIT', 0, limit)) do
    redis.call('ZADD', waiting, now + lease, id)
    local delivery = find_delivery(id) or {}
    taken[#taken + 1] = { id, string.format('%.0f', now + lease), delivery.resolved_by or '', probe }
  end
  if probe == 1 and #taken > 0 then redis.call('HSET', circuit_key, 'probe_at', now + lease, 'parked_at', now) end
  local soonest = redis.call('ZRANGE', waiting, 0, 0, 'WITHSCORES')[2]
  return { soonest or '', unpack(taken) }
end

if ARGV[2] == 'take' then return take(tonumber(ARGV[4]), tonumber(ARGV[5])) end
local results = {}
for index = 5, #ARGV do results[#results + 1] = settle(cjson.decode(ARGV[index])) end
return results
