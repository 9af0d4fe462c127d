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

-- When an id was made (Unix ms), as its first ten characters tell (`relay.core.ids`).
local DIGITS = '0123456789ABCDEFGHJKMNPQRSTVWXYZ'
local function time_of(id)
  local at = 0
  for index = 1, 10 do at = at * 32 + string.find(DIGITS, string.sub(id, index, index), 1, true) - 1 end
  return at
end

local function by_name(flat)
  local found = {}
  for index = 1, #flat, 2 do found[flat[index]] = flat[index + 1] end
  return found
end

-- HMGET as a table by name; absent fields are nil.
local function read(hash, ...)
  local values = redis.call('HMGET', hash, ...)
  local found = {}
  for index, name in ipairs({...}) do
    if values[index] then found[name] = values[index] end
  end
  return found
end

local function flatten(fields)
  local found = {}
  for name, value in pairs(fields) do
    found[#found + 1] = name
    found[#found + 1] = value
  end
  return found
end

-- HSET of what is not nil.
local function write(hash, fields) redis.call('HSET', hash, unpack(flatten(fields))) end

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

-- What most records tell has a field of its own: the names of a stream's fields are stored once.
local TOLD = { 'itsm_state', 'iem_state', 'resolved_by', 'mapping', 'attempts' }

-- `more`: a table, or JSON text as it is: cjson's numbers have 14 digits.
local function audit(kind, fields, more)
  local told, rest = {}, more or ''
  if type(more) == 'table' then
    for _, name in ipairs(TOLD) do told[name], more[name] = more[name], nil end
    rest = next(more) and cjson.encode(more) or ''
  end
  redis.call('XADD', key('audit'), '*', 'type', kind, 'at', now, 'delivery', fields.id or '', 'sys_id', fields.sys_id or '',
    'number', fields.number or '', 'actor', fields.actor or '', 'itsm_state', told.itsm_state or '', 'iem_state', told.iem_state or '',
    'resolved_by', told.resolved_by or '', 'mapping', told.mapping or '', 'attempts', told.attempts or '', 'more', rest)
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

-- What is known of an identity: the delivery that it belongs to, and how long after that one's acceptance it is forgotten (ms).
local function tell_identity(id, forgotten_at) return id .. ' ' .. string.format('%.0f', forgotten_at - time_of(id)) end

local function read_identity(known)
  local id, after = string.match(known, '^(%w+) (-?%d+)$')
  return id, time_of(id) + after
end

-- A month of deliveries that are over for good waits in memory: each is one member of the sorted set of its status, its id and, packed,
-- what is known of it. A hash with its key and its index would take more than twice as much.
local FOR_GOOD = { 'delivered', 'superseded' }
-- The members of the packed array: first the times, as numbers, relative to that of the id. Behind all of them come the attempts, each by
-- its number and its line, the time in it relative, too.
local TIMES = 3
local PACKED = { 'created_at', 'updated_at', 'finished_at', 'sys_id', 'number', 'table', 'itsm_state', 'iem_state', 'version',
  'resolved_by', 'from', 'mapping', 'via', 'reason', 'superseded_by', 'replay_of', 'duplicates', 'attempts' }

-- Shifts the time with which the line of an attempt begins.
local function shift(line, by)
  local at, rest = string.match(line, '^(-?%d+)(.*)$')
  return string.format('%.0f', at + by) .. rest
end

local function pack(id, record)
  local values, began = {}, time_of(id)
  for place, name in ipairs(PACKED) do values[place] = record[name] or false end
  for place = 1, TIMES do values[place] = values[place] and values[place] - began end
  for number = 1, tonumber(record.attempts or 0) do
    local line = record['a' .. number]
    if line then
      values[#values + 1] = number
      values[#values + 1] = shift(line, -began)
    end
  end
  return id .. ' ' .. cmsgpack.pack(values)
end

-- Returns the id that a member of `in:<status>` begins with, and the record where that is packed into it.
local function unpack_member(member, status)
  local id, packed = string.match(member, '^(%w+) ?(.*)$')
  if packed == '' then return id, nil end
  local values, record, began = cmsgpack.unpack(packed), { status = status }, time_of(id)
  for place = 1, TIMES do values[place] = values[place] and values[place] + began end
  for place, name in ipairs(PACKED) do
    local value = values[place] or nil
    record[name] = type(value) == 'number' and string.format('%.0f', value) or value
  end
  for place = #PACKED + 1, #values, 2 do record['a' .. values[place]] = shift(values[place + 1], began) end
  return id, record
end

-- Returns the member that a delivery is which is over for good, and its status.
local function find_member(id)
  for _, status in ipairs(FOR_GOOD) do
    local member = redis.call('ZRANGE', key('in:' .. status), '[' .. id .. ' ', '(' .. id .. '!', 'BYLEX')[1]
    if member then return member, status end
  end
end

-- Returns its record, too.
local function find_finished(id)
  local member, status = find_member(id)
  if not member then return nil end
  local _, record = unpack_member(member, status)
  return record, member
end

-- Puts a changed record in the place of the member that it was found in.
local function replace_finished(id, record, member)
  redis.call('ZREM', key('in:' .. record.status), member)
  redis.call('ZADD', key('in:' .. record.status), 0, pack(id, record))
end

-- Whether there is a record of a delivery.
local function is_known(id) return redis.call('EXISTS', delivery_key(id)) == 1 or find_member(id) ~= nil end

-- Returns the whole record of a delivery, wherever it is kept, or nil.
local function find_delivery(id)
  local flat = redis.call('HGETALL', delivery_key(id))
  if #flat > 0 then return by_name(flat) end
  return (find_finished(id))
end

-- `reason` first: what has ended can have one, too.
local PENDING_ONLY = { 'reason', 'place', 'entry', 'lease', 'next_at', 'fence', 'tries', 'parked_before', 'unknown_since', 'bugs' }

-- Ends a pending delivery. `record` is the whole of it; `ending` the fields to set. Nothing goes before what takes its place is there: a
-- script that fails takes nothing back.
local function finish(id, record, ending)
  local delivery = delivery_key(id)
  for _, name in ipairs(PENDING_ONLY) do record[name] = nil end
  for name, value in pairs(ending) do record[name] = value end
  record.finished_at = now
  if record.status == 'dead' then
    redis.call('ZADD', key('in:dead'), 0, id)
    write(delivery, record)
    redis.call('HDEL', delivery, unpack(PENDING_ONLY, record.reason and 2 or 1))
  else
    redis.call('ZADD', key('in:' .. record.status), 0, pack(id, record))
    redis.call('DEL', delivery)
  end
  redis.call('ZREM', key('in:pending'), id)
end

-- Closes a dead letter for good; `closing` says why.
local function close(id, closing)
  closing.status = 'discarded'
  closing.finished_at = now
  write(delivery_key(id), closing)
  redis.call('ZREM', key('in:dead'), id)
  redis.call('ZADD', key('in:discarded'), 0, id)
end

-- Of very many attempts the first ones and the last ones are kept.
local FIRST_ATTEMPTS, LAST_ATTEMPTS = 10, 40

-- Lists an attempt in a record.
local function list_attempt(record, line)
  local number = tonumber(record.attempts or 0) + 1
  record.attempts, record['a' .. number] = number, line
  if number - LAST_ATTEMPTS > FIRST_ATTEMPTS then record['a' .. (number - LAST_ATTEMPTS)] = nil end
end

-- Writes the attempt down that a record lists last.
local function write_attempt(id, record)
  local delivery, number = delivery_key(id), record.attempts
  write(delivery, { attempts = number, ['a' .. number] = record['a' .. number], tries = record.tries })
  if number - LAST_ATTEMPTS > FIRST_ATTEMPTS then redis.call('HDEL', delivery, 'a' .. (number - LAST_ATTEMPTS)) end
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
