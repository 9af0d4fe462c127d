-- The functions that all scripts share. This text precedes that of every script, and returns nothing itself.
-- KEYS[1]  the queue of the integration, `relay:{<integration>}:queue`; every other key is derived from it
-- ARGV[1]  now (Unix ms); no script reads the server's clock, so that tests can use a virtual one

local queue = KEYS[1]
-- Without the final "queue".
local base = string.sub(queue, 1, -6)
local now = tonumber(ARGV[1])
local GROUP = 'workers'

local function key(name) return base .. name end
local function delivery_key(id) return base .. 'd:' .. id end
local function ticket_key(sys_id) return base .. 't:' .. sys_id end
local function is_pending(status) return status == 'queued' or status == 'retrying' end

-- Returns when an id was made (Unix ms): its first ten characters contain the time (`relay.core.ids`).
local DIGITS = '0123456789ABCDEFGHJKMNPQRSTVWXYZ'
local function time_of(id)
  local at = 0
  for index = 1, 10 do at = at * 32 + string.find(DIGITS, string.sub(id, index, index), 1, true) - 1 end
  return at
end

-- Returns the names and values of `flat`, a list of both, as a table by name.
local function by_name(flat)
  local fields = {}
  for index = 1, #flat, 2 do fields[flat[index]] = flat[index + 1] end
  return fields
end

-- HMGET as a table by name; absent fields are nil.
local function read(hash, ...)
  local values = redis.call('HMGET', hash, ...)
  local fields = {}
  for index, name in ipairs({...}) do
    if values[index] then fields[name] = values[index] end
  end
  return fields
end

local function flatten(fields)
  local flat = {}
  for name, value in pairs(fields) do
    flat[#flat + 1] = name
    flat[#flat + 1] = value
  end
  return flat
end

-- HSET of all fields that are not nil.
local function write(hash, fields) redis.call('HSET', hash, unpack(flatten(fields))) end

-- Wakes the workers. They also poll: a Redis user without the right to publish must not lose an update.
local function wake() redis.pcall('PUBLISH', 'relay:wake', string.match(base, '{(.*)}')) end

-- Calls a command of the consumer group, and creates the group if it is missing.
local function call_group(...)
  local answer = redis.pcall(...)
  if type(answer) == 'table' and answer.err and string.find(answer.err, 'NOGROUP', 1, true) then
    redis.call('XGROUP', 'CREATE', queue, GROUP, '0', 'MKSTREAM')
    answer = redis.pcall(...)
  end
  if type(answer) == 'table' and answer.err then error(answer.err) end
  return answer
end

-- Members of most audit records. Each has a separate stream field: Redis stores the names of these fields only once.
local AUDIT_FIELDS = { 'itsm_state', 'iem_state', 'resolved_by', 'mapping', 'attempts' }

-- Adds an audit record. `more` is a table, or JSON text, which keeps all digits of numbers: cjson writes only 14.
local function audit(kind, fields, more)
  local own, rest = {}, more or ''
  if type(more) == 'table' then
    for _, name in ipairs(AUDIT_FIELDS) do own[name], more[name] = more[name], nil end
    rest = next(more) and cjson.encode(more) or ''
  end
  redis.call('XADD', key('audit'), '*', 'type', kind, 'at', now, 'delivery', fields.id or '', 'sys_id', fields.sys_id or '',
    'number', fields.number or '', 'actor', fields.actor or '', 'itsm_state', own.itsm_state or '',
    'iem_state', own.iem_state or '', 'resolved_by', own.resolved_by or '', 'mapping', own.mapping or '',
    'attempts', own.attempts or '', 'more', rest)
end

-- Returns the place of a pending delivery and its entry there: in the queue, or behind the delivery of its ticket that
-- is in flight.
local function assign_place(id, flight)
  if flight and flight ~= id then return 'behind' end
  return 'queue', redis.call('XADD', queue, '*', 'd', id)
end

local function enqueue(id, sys_id)
  local place, entry = assign_place(id, redis.call('HGET', ticket_key(sys_id), 'flight'))
  write(delivery_key(id), { place = place, entry = entry })
end

-- Removes a pending delivery that is not in flight from the place where it waits.
local function withdraw(id, record)
  if record.place == 'queue' then redis.call('XDEL', queue, record.entry) end
  if record.place == 'retry' then redis.call('ZREM', key('retry'), id) end
end

-- The value of an identity: the delivery that it belongs to, and the time after that delivery's id was made when it is
-- forgotten (ms).
local function format_identity(id, forgotten_at) return id .. ' ' .. string.format('%.0f', forgotten_at - time_of(id)) end

local function read_identity(value)
  local id, after = string.match(value, '^(%w+) (-?%d+)$')
  return id, time_of(id) + after
end

-- Deliveries with these statuses stay finished, and a month of them is in memory. Each is one member of the sorted set
-- of its status: its id and its packed record. A hash with its key and index would take more than twice the memory.
local FINISHED = { 'delivered', 'superseded' }
-- The members of the packed array. The first TIMES of them are times, as numbers relative to the time of the id. After
-- all of them come the attempts: for each its number and its line, in which the time is also relative.
local TIMES = 3
local PACKED = { 'created_at', 'updated_at', 'finished_at', 'sys_id', 'number', 'table', 'itsm_state', 'iem_state', 'version',
  'resolved_by', 'from', 'mapping', 'via', 'reason', 'superseded_by', 'replay_of', 'duplicates', 'attempts' }

-- Shifts the time at the beginning of an attempt's line.
local function shift_time(line, by)
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
      values[#values + 1] = shift_time(line, -began)
    end
  end
  return id .. ' ' .. cmsgpack.pack(values)
end

-- Returns the id at the beginning of a member of `in:<status>`, and the record if the member contains it.
local function unpack_member(member, status)
  local id, packed = string.match(member, '^(%w+) ?(.*)$')
  if packed == '' then return id, nil end
  local values, record, began = cmsgpack.unpack(packed), { status = status }, time_of(id)
  for place = 1, TIMES do values[place] = values[place] and values[place] + began end
  for place, name in ipairs(PACKED) do
    local value = values[place] or nil
    record[name] = type(value) == 'number' and string.format('%.0f', value) or value
  end
  for place = #PACKED + 1, #values, 2 do record['a' .. values[place]] = shift_time(values[place + 1], began) end
  return id, record
end

-- Returns the member of a finished delivery, and its status; nil if the delivery is not finished.
local function find_member(id)
  for _, status in ipairs(FINISHED) do
    local member = redis.call('ZRANGE', key('in:' .. status), '[' .. id .. ' ', '(' .. id .. '!', 'BYLEX')[1]
    if member then return member, status end
  end
end

-- Returns the record of a finished delivery, and its member; nil if the delivery is not finished.
local function find_finished(id)
  local member, status = find_member(id)
  if not member then return nil end
  local _, record = unpack_member(member, status)
  return record, member
end

-- Replaces the member of a finished delivery with its changed record.
local function replace_finished(id, record, member)
  redis.call('ZREM', key('in:' .. record.status), member)
  redis.call('ZADD', key('in:' .. record.status), 0, pack(id, record))
end

-- Returns whether there is a record of a delivery.
local function is_known(id) return redis.call('EXISTS', delivery_key(id)) == 1 or find_member(id) ~= nil end

-- Returns the complete record of a delivery, from its hash or its member, or nil.
local function find_delivery(id)
  local flat = redis.call('HGETALL', delivery_key(id))
  if #flat > 0 then return by_name(flat) end
  return (find_finished(id))
end

-- The fields that only a pending delivery has. `reason` is the first one: a finished delivery can also have one.
local PENDING_ONLY = { 'reason', 'place', 'entry', 'lease', 'next_at', 'fence', 'tries', 'parked_before', 'unknown_since',
  'bugs' }

-- Ends a pending delivery. `record` is its complete record, `ending` the fields to set. A script that fails does not
-- undo its writes: so the new record is written before the old one is removed.
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

-- Closes a dead letter for good. `closing` has the field `closed`: why.
local function close_dead_letter(id, closing)
  closing.status = 'discarded'
  closing.finished_at = now
  write(delivery_key(id), closing)
  redis.call('ZREM', key('in:dead'), id)
  redis.call('ZADD', key('in:discarded'), 0, id)
end

-- A record lists this many of its first and of its last attempts.
local FIRST_ATTEMPTS, LAST_ATTEMPTS = 10, 40

-- Adds an attempt to a record that was read, not to the stored one.
local function list_attempt(record, line)
  local number = tonumber(record.attempts or 0) + 1
  record.attempts, record['a' .. number] = number, line
  if number - LAST_ATTEMPTS > FIRST_ATTEMPTS then record['a' .. (number - LAST_ATTEMPTS)] = nil end
end

-- Stores the last attempt of a record.
local function write_attempt(id, record)
  local delivery, number = delivery_key(id), record.attempts
  write(delivery, { attempts = number, ['a' .. number] = record['a' .. number], tries = record.tries })
  if number - LAST_ATTEMPTS > FIRST_ATTEMPTS then redis.call('HDEL', delivery, 'a' .. (number - LAST_ATTEMPTS)) end
end

-- Ends the lease of a delivery in flight on its ticket, and enqueues the delivery that waits behind it.
local function release(id, sys_id)
  local ticket = ticket_key(sys_id)
  local found = read(ticket, 'flight', 'last')
  if found.flight == id then redis.call('HDEL', ticket, 'flight') end
  if found.last and found.last ~= id and redis.call('HGET', delivery_key(found.last), 'place') == 'behind' then
    enqueue(found.last, sys_id)
    wake()
  end
end

-- Resumes a parked integration. The time for which it was parked does not count towards giving up its deliveries.
local function unpark(actor)
  local circuit = read(key('circuit'), 'reason', 'since', 'parked_ms')
  redis.call('HSET', key('circuit'), 'parked_ms', tonumber(circuit.parked_ms or 0) + now - tonumber(circuit.since))
  redis.call('HDEL', key('circuit'), 'reason', 'since', 'probe_at', 'probing_until', 'step', 'config', 'by_hand', 'set_aside')
  audit('resumed', { actor = actor }, { reason = circuit.reason, parked_ms = now - tonumber(circuit.since) })
  wake()
end
