-- Shared by every script of an integration. KEYS[1] is its queue: `relay:{name}:queue`. ARGV[1] is now (Unix ms): no script reads
-- the server's clock, so that a virtual one can be put in.

local queue = KEYS[1]
local base = string.sub(queue, 1, -6)
local now = tonumber(ARGV[1])
local GROUP = 'workers'

local function key(name) return base .. name end
local function delivery_key(id) return base .. 'd:' .. id end
local function ticket_key(sys_id) return base .. 't:' .. sys_id end
local function is_pending(status) return status == 'queued' or status == 'retrying' end

-- HMGET as a table by name; absent fields are nil.
local function read(hash, ...)
  local values = redis.call('HMGET', hash, ...)
  local found = {}
  for index, name in ipairs({...}) do
    if values[index] then found[name] = values[index] end
  end
  return found
end

-- HSET of what is not nil.
local function write(hash, fields)
  local flat = {}
  for name, value in pairs(fields) do
    flat[#flat + 1] = name
    flat[#flat + 1] = value
  end
  redis.call('HSET', hash, unpack(flat))
end

local function wake()
  -- A user without the right to publish must not lose an update over it: workers also look by themselves.
  redis.pcall('PUBLISH', 'relay:wake', string.match(base, '{(.*)}'))
end

-- Calls a consumer group command; makes the group (again) where it is missing.
local function grouped(...)
  local answer = redis.pcall(...)
  if type(answer) == 'table' and answer.err and string.find(answer.err, 'NOGROUP', 1, true) then
    redis.call('XGROUP', 'CREATE', queue, GROUP, '0', 'MKSTREAM')
    answer = redis.pcall(...)
  end
  if type(answer) == 'table' and answer.err then error(answer.err) end
  return answer
end

-- `more`: a table, or JSON text as it is: cjson's numbers have 14 digits.
local function audit(kind, fields, more)
  redis.call('XADD', key('audit'), '*', 'type', kind, 'at', now, 'delivery', fields.id or '', 'sys_id', fields.sys_id or '',
    'number', fields.number or '', 'actor', fields.actor or '', 'more', type(more) == 'table' and cjson.encode(more) or more or '')
end

-- Returns the place of a pending delivery, and its entry there: where the next worker finds it, or behind the one of its ticket that is
-- in flight.
local function line_up(id, flight)
  if flight and flight ~= id then return 'behind' end
  return 'queue', redis.call('XADD', queue, '*', 'd', id)
end

local function enqueue(id, sys_id)
  local place, entry = line_up(id, redis.call('HGET', ticket_key(sys_id), 'flight'))
  write(delivery_key(id), { place = place, entry = entry })
end

-- Takes a pending delivery that is not in flight out of wherever it waits.
local function withdraw(id, record)
  if record.place == 'queue' then redis.call('XDEL', queue, record.entry) end
  if record.place == 'retry' then redis.call('ZREM', key('retry'), id) end
end

-- Lets a ticket be forgotten after the retention, but not before the identities that it knows, nor while it has dead letters.
-- More arguments are PEXPIRE's.
local function let_go(ticket, retention, ...)
  local found = read(ticket, 'dead', 'known_until')
  if tonumber(found.dead or 0) > 0 then return end
  redis.call('PEXPIRE', ticket, math.max(retention, tonumber(found.known_until or 0) - now), ...)
end

-- Ends a pending delivery. `record` has created_at and sys_id; `ending` the fields to set.
local function finish(id, record, ending, retention)
  local delivery, ticket = delivery_key(id), ticket_key(record.sys_id)
  ending.finished_at = now
  -- A month of finished ones waits in memory: what only a pending one needs goes.
  redis.call('HDEL', delivery, 'reason', 'place', 'entry', 'lease', 'next_at', 'fence', 'tries', 'parked_before', 'unknown_since', 'bugs')
  write(delivery, ending)
  redis.call('ZREM', key('in:pending'), id)
  redis.call('ZADD', key('in:' .. ending.status), record.created_at, id)
  if ending.status == 'dead' then
    redis.call('HINCRBY', ticket, 'dead', 1)
    redis.call('PERSIST', ticket)
  elseif redis.call('HGET', ticket, 'last') == id then let_go(ticket, retention) end
end

-- Closes a dead letter for good. `record` has created_at and sys_id; `closing` says why.
local function close(id, record, closing, retention)
  local ticket = ticket_key(record.sys_id)
  closing.status = 'discarded'
  closing.finished_at = now
  write(delivery_key(id), closing)
  redis.call('ZREM', key('in:dead'), id)
  redis.call('ZADD', key('in:discarded'), record.created_at, id)
  if redis.call('HINCRBY', ticket, 'dead', -1) <= 0 then redis.call('HDEL', ticket, 'dead') end
  local last = redis.call('HGET', ticket, 'last')
  if not (last and is_pending(redis.call('HGET', delivery_key(last), 'status'))) then let_go(ticket, retention) end
end

-- Lists an attempt, after those that `record` counts, with more `fields`. Of very many the first ones and the last ones are kept.
local FIRST_ATTEMPTS, LAST_ATTEMPTS = 10, 40
local function list_attempt(delivery, record, line, fields)
  local number = tonumber(record.attempts or 0) + 1
  record.attempts = number
  fields = fields or {}
  fields.attempts, fields['a' .. number] = number, line
  write(delivery, fields)
  if number - LAST_ATTEMPTS > FIRST_ATTEMPTS then redis.call('HDEL', delivery, 'a' .. (number - LAST_ATTEMPTS)) end
  return number
end

-- Ends the lease that a delivery in flight has on its ticket, and lets the one behind it go.
local function release(id, sys_id)
  local ticket = ticket_key(sys_id)
  local found = read(ticket, 'flight', 'last')
  if found.flight == id then redis.call('HDEL', ticket, 'flight') end
  if found.last and found.last ~= id and redis.call('HGET', delivery_key(found.last), 'place') == 'behind' then
    enqueue(found.last, sys_id)
    wake()
  end
end

-- Lets a parked integration go on. Its deliveries' clocks stood still meanwhile.
local function unpark(actor)
  local circuit = read(key('circuit'), 'reason', 'since', 'parked_ms')
  redis.call('HSET', key('circuit'), 'parked_ms', tonumber(circuit.parked_ms or 0) + now - tonumber(circuit.since))
  redis.call('HDEL', key('circuit'), 'reason', 'since', 'probe_at', 'probing_until', 'step', 'config', 'by_hand', 'set_aside')
  audit('resumed', { actor = actor }, { reason = circuit.reason, parked_ms = now - tonumber(circuit.since) })
  wake()
end
