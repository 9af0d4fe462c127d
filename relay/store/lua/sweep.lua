-- Forgets what was finished longer than the retention ago, some of it at a time, and what is over a cap. Nothing pending is touched.
-- ARGV[2] retention (ms); ARGV[3] how many of each kind; ARGV[4] cap of dead letters and of rejections; ARGV[5] the least id of what is
-- younger than the retention.
-- Returns how many records went, how many dead letters and rejections went over their cap, and how many records are left of all kinds.

local retention, most, cap, young = tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4]), ARGV[5]

-- A ticket goes with its last delivery; where others finished later, after them.
local function forget_at(sys_id, id)
  local ticket = ticket_key(sys_id)
  redis.call('HDEL', ticket, 'd:' .. id)
  local last = redis.call('HGET', ticket, 'last')
  if not last or is_known(last) then return end
  local others = false
  for _, field in ipairs(redis.call('HKEYS', ticket)) do others = others or string.sub(field, 1, 2) == 'd:' end
  let_go(ticket, others and retention or 0)
end

local function forget(status, member, id, record)
  if redis.call('ZREM', key('lookups'), id) == 1 then
    audit('virima_lookup', { id = id, sys_id = record.sys_id, number = record.number, actor = 'relay' },
      { outcome = 'failed', reason = 'given_up', cached = false })
  end
  redis.call('DEL', delivery_key(id))
  redis.call('ZREM', key('in:' .. status), member)
  if record.sys_id then forget_at(record.sys_id, id) end
  if record.number and redis.call('EXISTS', ticket_key(record.sys_id)) == 0 then
    redis.call('HDEL', key('numbers'), record.number)
  end
end

-- By the time of acceptance: of those that finished long after, the next sweep that finds them old enough takes them.
local function forget_old(status)
  local gone = 0
  for _, member in ipairs(redis.call('ZRANGE', key('in:' .. status), '-', '(' .. young, 'BYLEX', 'LIMIT', 0, most)) do
    local id, record = unpack_member(member, status)
    record = record or by_name(redis.call('HGETALL', delivery_key(id)))
    if tonumber(record.finished_at or 0) <= now - retention then
      forget(status, member, id, record)
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
    forget('dead', id, id, letter)
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
