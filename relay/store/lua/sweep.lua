-- Removes records that were finished longer ago than the retention, and records that exceed a cap: a limited number at a
-- time, and no pending delivery.
-- KEYS[1]  the integration's queue
-- ARGV[1]  now (Unix ms)
-- ARGV[2]  retention (ms)
-- ARGV[3]  the maximum number of records to remove, for each kind
-- ARGV[4]  the cap of dead letters, and of rejections
-- ARGV[5]  the lowest id of a delivery that is younger than the retention
-- Returns  how many expired records were removed, how many dead letters and rejections over their cap, and how many
--          records of all kinds are left

local retention, limit, cap, first_kept = tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4]), ARGV[5]
-- The tickets of the removed deliveries: sys_id → number.
local touched_tickets = {}

local function forget(status, member, id, record)
  if redis.call('ZREM', key('lookups'), id) == 1 then
    audit('virima_lookup', { id = id, sys_id = record.sys_id, number = record.number, actor = 'relay' },
      { outcome = 'failed', reason = 'given_up', cached = false })
  end
  if member == id then redis.call('DEL', delivery_key(id)) end
  redis.call('ZREM', key('in:' .. status), member)
  if record.sys_id then
    redis.call('HDEL', ticket_key(record.sys_id), 'd:' .. id)
    touched_tickets[record.sys_id] = record.number or ''
  end
end

-- Reads in the order of acceptance. A delivery that was finished long after that stays until a later sweep.
local function forget_old(status)
  local removed = 0
  for _, member in ipairs(redis.call('ZRANGE', key('in:' .. status), '-', '(' .. first_kept, 'BYLEX', 'LIMIT', 0, limit)) do
    local id, record = unpack_member(member, status)
    record = record or by_name(redis.call('HGETALL', delivery_key(id)))
    if tonumber(record.finished_at or 0) <= now - retention then
      forget(status, member, id, record)
      removed = removed + 1
    end
  end
  return removed
end

local function forget_over_cap()
  local over = math.min(limit, redis.call('ZCARD', key('in:dead')) - cap)
  local removed = 0
  for _, id in ipairs(over > 0 and redis.call('ZRANGE', key('in:dead'), 0, over - 1) or {}) do
    local letter = read(delivery_key(id), 'sys_id', 'number')
    audit('dead', { id = id, sys_id = letter.sys_id, number = letter.number, actor = 'relay' },
      { discarded = true, why = 'over the cap' })
    forget('dead', id, id, letter)
    removed = removed + 1
  end
  over = math.min(limit, redis.call('ZCARD', key('rejections')) - cap)
  for _, id in ipairs(over > 0 and redis.call('ZRANGE', key('rejections'), 0, over - 1) or {}) do
    redis.call('DEL', key('r:' .. id))
    redis.call('ZREM', key('rejections'), id)
    removed = removed + 1
  end
  return removed
end

-- Returns until when a ticket without deliveries must be kept (Unix ms): its mark for the retention, each identity for
-- its window. Returns nil if the ticket has a delivery.
local function kept_until(ticket)
  local fields = by_name(redis.call('HGETALL', ticket))
  if fields.last and is_known(fields.last) then return nil end
  local latest = tonumber(string.match(fields.mark or '', '^%d+') or 0) + retention
  for name, value in pairs(fields) do
    local kind = string.sub(name, 1, 2)
    if kind == 'd:' then return nil end
    if kind == 'i:' then
      local _, forgotten_at = read_identity(value)
      latest = math.max(latest, forgotten_at)
    end
  end
  return latest
end

local function forget_ticket(sys_id, number)
  local latest = kept_until(ticket_key(sys_id))
  if not latest then return end
  redis.call('PEXPIRE', ticket_key(sys_id), math.max(0, latest - now))
  if redis.call('HGET', key('numbers'), number) == sys_id then redis.call('HDEL', key('numbers'), number) end
end

local removed = forget_old('delivered') + forget_old('superseded') + forget_old('discarded')
local over_cap = forget_over_cap()
-- Each ticket once: it can lose very many deliveries in one sweep.
for sys_id, number in pairs(touched_tickets) do forget_ticket(sys_id, number) end
local left = redis.call('ZCARD', key('rejections')) + redis.call('XLEN', key('audit'))
for _, index in ipairs({ 'pending', 'delivered', 'superseded', 'dead', 'discarded' }) do
  left = left + redis.call('ZCARD', key('in:' .. index))
end
return { removed, over_cap, left }
