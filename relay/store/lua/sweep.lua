-- Forgets what was finished longer than the retention ago, some of it at a time, and what is over a cap. Nothing pending is touched.
-- ARGV[2] retention (ms); ARGV[3] how many of each kind; ARGV[4] cap of dead letters and of rejections; ARGV[5] the least id of what is
-- younger than the retention.
-- Returns how many records went, how many dead letters and rejections went over their cap, and how many records are left of all kinds.

local retention, most, cap, young = tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4]), ARGV[5]
-- The tickets that lost a delivery, with its number.
local bereft = {}

local function forget(status, member, id, record)
  if redis.call('ZREM', key('lookups'), id) == 1 then
    audit('virima_lookup', { id = id, sys_id = record.sys_id, number = record.number, actor = 'relay' },
      { outcome = 'failed', reason = 'given_up', cached = false })
  end
  if member == id then redis.call('DEL', delivery_key(id)) end
  redis.call('ZREM', key('in:' .. status), member)
  if record.sys_id then
    redis.call('HDEL', ticket_key(record.sys_id), 'd:' .. id)
    bereft[record.sys_id] = record.number or ''
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

-- Until when a ticket without deliveries must be remembered (Unix ms): its mark for the retention, each identity for its window.
-- Nil: it has a delivery.
local function remembered_until(ticket)
  local fields = by_name(redis.call('HGETALL', ticket))
  if fields.last and is_known(fields.last) then return nil end
  local last_until = tonumber(string.match(fields.mark or '', '^%d+') or 0) + retention
  for name, value in pairs(fields) do
    local kind = string.sub(name, 1, 2)
    if kind == 'd:' then return nil end
    if kind == 'i:' then
      local _, forgotten_at = read_identity(value)
      last_until = math.max(last_until, forgotten_at)
    end
  end
  return last_until
end

local function forget_ticket(sys_id, number)
  local last_until = remembered_until(ticket_key(sys_id))
  if not last_until then return end
  redis.call('PEXPIRE', ticket_key(sys_id), math.max(0, last_until - now))
  if redis.call('HGET', key('numbers'), number) == sys_id then redis.call('HDEL', key('numbers'), number) end
end

local gone = forget_old('delivered') + forget_old('superseded') + forget_old('discarded')
local over_cap = forget_over_cap()
-- Each once: a ticket can lose very many at a time.
for sys_id, number in pairs(bereft) do forget_ticket(sys_id, number) end
local left = redis.call('ZCARD', key('rejections')) + redis.call('XLEN', key('audit'))
for _, index in ipairs({ 'pending', 'delivered', 'superseded', 'dead', 'discarded' }) do
  left = left + redis.call('ZCARD', key('in:' .. index))
end
return { gone, over_cap, left }
