-- Hands a worker the deliveries that it can push now, each with a lease on its ticket.
-- KEYS[1]  the integration's queue
-- ARGV[1]  now (Unix ms)
-- ARGV[2]  the consumer
-- ARGV[3]  the maximum number of deliveries
-- ARGV[4]  lease (ms)
-- ARGV[5]  digest of the worker's IEM configuration
-- Returns  why the integration is parked or '', when to look again (Unix ms) or '', then for each delivery a list:
--          id, fence, sys_id, iem_state, tries, probe (1 or 0), created_at, number

local consumer, limit, lease, config = ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4]), ARGV[5]
local taken = {}

-- Each configuration is probed at once only once in this time (ms): the longest probe interval of wrong credentials.
local AT_ONCE_EVERY = 3600000

local function assign(id, record, probe)
  local delivery = delivery_key(id)
  local fence = redis.call('HINCRBY', delivery, 'fence', 1)
  redis.call('HSET', delivery, 'place', 'flight', 'lease', now + lease)
  redis.call('HSET', ticket_key(record.sys_id), 'flight', id)
  taken[#taken + 1] = { id, tostring(fence), record.sys_id, record.iem_state, record.tries or '0', probe, record.created_at,
    record.number or '' }
end

local function read_record(id)
  return read(delivery_key(id), 'place', 'entry', 'sys_id', 'iem_state', 'tries', 'created_at', 'number')
end

local function promote_due()
  local due = redis.call('ZRANGEBYSCORE', key('retry'), '-inf', now, 'LIMIT', 0, limit)
  for _, id in ipairs(due) do
    redis.call('ZREM', key('retry'), id)
    redis.call('HDEL', delivery_key(id), 'next_at')
    enqueue(id, redis.call('HGET', delivery_key(id), 'sys_id'))
  end
end

-- Removes an entry that its delivery has left: a probe delivered it, it was superseded, or it was read again after the
-- group was lost.
local function drop(entry)
  redis.call('XACK', queue, GROUP, entry)
  redis.call('XDEL', queue, entry)
end

local function take_entries()
  while #taken < limit do
    local answer = call_group('XREADGROUP', 'GROUP', GROUP, consumer, 'COUNT', limit - #taken, 'STREAMS', queue, '>')
    if not answer then return end
    for _, item in ipairs(answer[1][2]) do
      local entry, id = item[1], item[2] and item[2][2]
      local record = id and read_record(id) or {}
      if record.place == 'queue' and record.entry == entry then assign(id, record, 0)
      elseif record.place ~= 'flight' or record.entry ~= entry then drop(entry) end
    end
  end
end

-- Takes the oldest pending delivery that is not in flight.
local function take_probe()
  for _, id in ipairs(redis.call('ZRANGE', key('in:pending'), 0, 63)) do
    local record = read_record(id)
    if record.place == 'retry' then
      redis.call('ZREM', key('retry'), id)
      redis.call('HDEL', delivery_key(id), 'next_at')
      enqueue(id, record.sys_id)
      record = read_record(id)
    end
    if record.place == 'queue' then
      call_group('XCLAIM', queue, GROUP, consumer, 0, record.entry, 'FORCE', 'JUSTID')
      redis.call('HSET', key('circuit'), 'probing_until', now + lease)
      assign(id, record, 1)
      return
    end
  end
end

local circuit = read(key('circuit'), 'reason', 'by_hand', 'probe_at', 'probing_until', 'config', 'probed', 'set_aside')

-- This worker has another configuration: a corrected one, which is to be probed at once; or a secret that has not
-- reached every worker. Two configurations must not alternate endlessly, so each is probed at once only now and then.
local function can_probe_at_once()
  local probed = cjson.decode(circuit.probed or '{}')
  if now - (probed[config] or -AT_ONCE_EVERY) < AT_ONCE_EVERY then return false end
  for other, at in pairs(probed) do
    if now - at >= AT_ONCE_EVERY then probed[other] = nil end
  end
  probed[config] = now
  redis.call('HSET', key('circuit'), 'probed', cjson.encode(probed), 'config', config, 'probe_at', now)
  return true
end

if circuit.set_aside then
  unpark('relay')
  circuit.reason = nil
end
if not circuit.reason then
  promote_due()
  take_entries()
  local soonest = redis.call('ZRANGE', key('retry'), 0, 0, 'WITHSCORES')
  return { '', soonest[2] or '', unpack(taken) }
end
if circuit.by_hand then return { circuit.reason, '' } end
if circuit.config ~= config and can_probe_at_once() then circuit.probe_at = now end
local probe_at = math.max(tonumber(circuit.probe_at), tonumber(circuit.probing_until or 0))
if now >= probe_at and limit > 0 then take_probe() end
return { circuit.reason, now < probe_at and string.format('%.0f', probe_at) or '', unpack(taken) }
