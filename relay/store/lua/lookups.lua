-- Looking resolvers up in Virima: what waits for it, and Virima's own parking. Deliveries never wait for any of this.
-- ARGV[2] take: ARGV[3] how many at most; ARGV[4] lease (ms); ARGV[5] digest of the `virima` block.
--   Returns when to look again (Unix ms) or '', then a list for each: id, due (its fence), resolved_by, sys_id, number, probe (1 or 0).
-- ARGV[2] settle: ARGV[3] failures in a row that park; ARGV[4…] a JSON object for each:
--   id due (the fence), and either `again` (when to try again, Unix ms: nothing was found out) or `record` (what the trail tells);
--   of a failure that speaks of Virima as a whole also park_as at_once (whether one is enough) probe_first probe_most (ms) config
--   Returns 1 for each that was written down, 0 where it had been lent to somebody else since.

local waiting, circuit_key = key('lookups'), key('virima')

local function settle_circuit(settled)
  local circuit = read(circuit_key, 'reason', 'step', 'failures')
  if not settled.park_as then
    if circuit.reason or circuit.failures then redis.call('DEL', circuit_key) end
    return
  end
  local failures = tonumber(circuit.failures or 0) + 1
  redis.call('HSET', circuit_key, 'failures', failures)
  if not circuit.reason and not settled.at_once and failures < tonumber(ARGV[3]) then return end
  if circuit.reason and not settled.probe then return end
  local step = circuit.reason == settled.park_as and tonumber(circuit.step or 0) + 1 or 0
  local wait = math.min(settled.probe_first * 2 ^ math.min(step, 40), settled.probe_most)
  if not circuit.reason then redis.call('HSET', circuit_key, 'since', now) end
  redis.call('HSET', circuit_key, 'reason', settled.park_as, 'step', step, 'probe_at', now + wait, 'config', settled.config)
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
  local delivery = read(delivery_key(settled.id), 'sys_id', 'number')
  audit('virima_lookup', { id = settled.id, sys_id = delivery.sys_id, number = delivery.number, actor = 'relay' }, settled.record)
  if settled.record.cached then free_probe(settled) else settle_circuit(settled) end
  return 1
end

local function take(most, lease, config)
  local circuit = read(circuit_key, 'reason', 'probe_at', 'config')
  local probe = 0
  if circuit.reason then
    local probe_at = tonumber(circuit.probe_at or 0)
    -- Somebody mended the configuration: see at once whether it works.
    if now < probe_at and circuit.config == config then return { string.format('%.0f', probe_at) } end
    redis.call('HSET', circuit_key, 'probe_at', now + lease, 'config', config)
    most, probe = 1, 1
  end
  local taken = {}
  for _, id in ipairs(redis.call('ZRANGEBYSCORE', waiting, '-inf', now, 'LIMIT', 0, most)) do
    local delivery = read(delivery_key(id), 'resolved_by', 'sys_id', 'number')
    redis.call('ZADD', waiting, now + lease, id)
    taken[#taken + 1] = { id, string.format('%.0f', now + lease), delivery.resolved_by or '', delivery.sys_id or '', delivery.number or '', probe }
  end
  local soonest = redis.call('ZRANGE', waiting, 0, 0, 'WITHSCORES')[2]
  return { soonest or '', unpack(taken) }
end

if ARGV[2] == 'take' then return take(tonumber(ARGV[3]), tonumber(ARGV[4]), ARGV[5]) end
local written = {}
for index = 4, #ARGV do written[#written + 1] = settle(cjson.decode(ARGV[index])) end
return written
