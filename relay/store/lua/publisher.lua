-- What IEM is told of an integration: by which process, how it stands, and what was told before.
-- ARGV[2] look: be ARGV[3], the one who tells, for ARGV[4] ms. Returns {} where another process is, else
--   { delivered, retrying, dead and latency_ms ever; pending, the oldest one's id ('' for none), in retry, dead letters, the oldest one's
--     id ('' for none), why and since when it is parked ('' for not), what was remembered (field, value …) }
-- ARGV[2] remember: ARGV[3], who tells; ARGV[4] a JSON object of what to remember, '' forgets. Returns 1, or 0 where it is another one by now.
-- ARGV[2] leave: ARGV[3] tells no more.

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
