-- Forgets what was finished longer than the retention ago, some of it at a time, and what is over a cap. Nothing pending is touched.
-- ARGV[2] retention (ms); ARGV[3] how many of each kind; ARGV[4] cap of dead letters and of rejections.
-- Returns how many records went, how many dead letters and rejections went over their cap, and how many records are left of all kinds.

local retention, most, cap = tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])

local function forget(index, id)
  local record = read(delivery_key(id), 'sys_id', 'number')
  if redis.call('ZREM', key('lookups'), id) == 1 then
    audit('virima_lookup', { id = id, sys_id = record.sys_id, number = record.number, actor = 'relay' },
      { outcome = 'failed', reason = 'given_up', cached = false })
  end
  redis.call('DEL', delivery_key(id))
  redis.call('ZREM', key('in:' .. index), id)
  if record.sys_id then redis.call('HDEL', ticket_key(record.sys_id), 'd:' .. id) end
  if record.number and redis.call('EXISTS', ticket_key(record.sys_id)) == 0 then
    redis.call('HDEL', key('numbers'), record.number)
  end
end

-- By the time of acceptance: of those that finished long after, the next sweep that finds them old enough takes them.
local function forget_old(index)
  local gone = 0
  for _, id in ipairs(redis.call('ZRANGEBYSCORE', key('in:' .. index), '-inf', now - retention, 'LIMIT', 0, most)) do
    local finished_at = redis.call('HGET', delivery_key(id), 'finished_at')
    if not finished_at or tonumber(finished_at) <= now - retention then
      forget(index, id)
      gone = gone + 1
    end
  end
  return gone
end

local function forget_over_cap()
  local over = math.min(most, redis.call('ZCARD', key('in:dead')) - cap)
  local gone = 0
  for _, id in ipairs(over > 0 and redis.call('ZRANGE', key('in:dead'), 0, over - 1) or {}) do
    local letter = read(delivery_key(id), 'sys_id', 'number')
    audit('dead', { id = id, sys_id = letter.sys_id, number = letter.number, actor = 'relay' }, { discarded = true, why = 'over the cap' })
    if letter.sys_id then redis.call('HINCRBY', ticket_key(letter.sys_id), 'dead', -1) end
    forget('dead', id)
    gone = gone + 1
  end
  over = math.min(most, redis.call('ZCARD', key('rejections')) - cap)
  for _, id in ipairs(over > 0 and redis.call('ZRANGE', key('rejections'), 0, over - 1) or {}) do
    redis.call('DEL', key('r:' .. id))
    redis.call('ZREM', key('rejections'), id)
    gone = gone + 1
  end
  return gone
end

local gone = forget_old('delivered') + forget_old('superseded') + forget_old('discarded')
local over_cap = forget_over_cap()
local left = redis.call('ZCARD', key('rejections')) + redis.call('XLEN', key('audit'))
for _, index in ipairs({ 'pending', 'delivered', 'superseded', 'dead', 'discarded' }) do
  left = left + redis.call('ZCARD', key('in:' .. index))
end
return { gone, over_cap, left }
