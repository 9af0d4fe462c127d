-- Gives one process the lease to publish an integration to IEM, and stores what it published.
-- KEYS[1]  the integration's queue
-- ARGV[1]  now (Unix ms)
-- ARGV[2]  look: take or extend the lease
-- ARGV[3]  the process
-- ARGV[4]  the duration of the lease (ms)
-- Returns  {} if another process holds the lease, otherwise a list:
--          the counts delivered, retrying, dead and latency_ms;
--          pending, the id of the oldest pending delivery or '', retrying, dead letters, the id of the oldest one or '';
--          why the integration is parked or '', since when or '';
--          the memory (field, value, …)
--
-- ARGV[2]  remember: change the memory
-- ARGV[3]  the process
-- ARGV[4]  a JSON object of the fields to change; '' removes a field
-- Returns  1, or 0 if another process holds the lease
--
-- ARGV[2]  leave: release the lease
-- ARGV[3]  the process
-- Returns  1

local action, owner = ARGV[2], ARGV[3]
local lease, memory = key('publisher:lease'), key('publisher')
local holder = redis.call('GET', lease)

if action == 'leave' then
  if holder == owner then redis.call('DEL', lease) end
  return 1
end

if action == 'remember' then
  if holder ~= owner then return 0 end
  for name, text in pairs(cjson.decode(ARGV[4])) do
    if text == '' then redis.call('HDEL', memory, name) else redis.call('HSET', memory, name, text) end
  end
  return 1
end

if holder and holder ~= owner then return {} end
redis.call('SET', lease, owner, 'PX', ARGV[4])
local counts = redis.call('HMGET', key('counts'), 'delivered', 'retrying', 'dead', 'latency_ms')
local oldest = redis.call('ZRANGE', key('in:pending'), 0, 0)
local dead = redis.call('ZRANGE', key('in:dead'), 0, 0)
local circuit = read(key('circuit'), 'reason', 'since')
return { counts[1] or 0, counts[2] or 0, counts[3] or 0, counts[4] or 0,
  redis.call('ZCARD', key('in:pending')), oldest[1] or '', redis.call('ZCARD', key('retry')), redis.call('ZCARD', key('in:dead')),
  dead[1] or '', circuit.reason or '', circuit.since or '', redis.call('HGETALL', memory) }
