-- Decides on the records of one webhook, and stores them in one step: all of them or none
-- (docs/mapping-files/ordering-and-deduplication.md).
-- KEYS[1]   the integration's queue
-- ARGV[1]   now (Unix ms)
-- ARGV[2]   the maximum number of pending deliveries
-- ARGV[3…]  a JSON object per record (relay/store/submissions.py); its `kind` is
--   relay   with id sys_id iem_state itsm_state identity window collapse created_at received_at, and if known
--           number table version version_key updated_at resolved_by mapping from via;
--           lookup: of the resolver in Virima (`mode`; `skip` is the reason if no lookup is possible);
--           replay_of (the dead letter that this record delivers again) or rejection (that this record was), with actor
--   ignore  with sys_id received_at, and if known version_key updated_at
--   reject  with id created_at record errors mapping from
-- Returns   verdict and id for each record, in one list. A verdict is queued, duplicate, superseded, ignored or
--           rejected; for a replay also unknown, pending or closed: the reason why the dead letter cannot be
--           replayed. Or only `full`, if nothing was stored because too many deliveries are pending.

-- A ticket with many updates forgets its old identities whenever its number of fields is a multiple of this.
local PRUNE_EVERY = 64

local function read_ticket(update)
  local ticket = read(ticket_key(update.sys_id), 'mark', 'state', 'last', 'flight', 'i:' .. (update.identity or ''),
    'd:' .. (update.id or ''))
  if ticket.mark then
    local received_at, updated_at, version_key = string.match(ticket.mark, '^(%S+) (%S+) (%S+)$')
    ticket.received_at, ticket.updated_at = tonumber(received_at), tonumber(updated_at)
    ticket.version_key = version_key ~= '-' and version_key or nil
  end
  return ticket
end

local function is_older(update, ticket)
  if update.version_key and ticket.version_key then return update.version_key < ticket.version_key end
  if update.updated_at and ticket.updated_at then return update.updated_at < ticket.updated_at end
  return ticket.received_at ~= nil and update.received_at < ticket.received_at
end

local function newer(left, right) return left and right and (left > right and left or right) or left or right end

-- Returns the mark of a ticket after an update, as one text: latest time of receipt, latest time of update, highest
-- version key.
local function mark_of(update, ticket)
  local received_at = newer(update.received_at, ticket.received_at)
  local updated_at = newer(update.updated_at, ticket.updated_at)
  return string.format('%.0f ', received_at) .. (updated_at and string.format('%.0f ', updated_at) or '- ')
    .. (newer(update.version_key, ticket.version_key) or '-')
end

local function prune_identities(ticket)
  if redis.call('HLEN', ticket) % PRUNE_EVERY ~= 0 then return end
  local fields = redis.call('HGETALL', ticket)
  for index = 1, #fields, 2 do
    if string.sub(fields[index], 1, 2) == 'i:' then
      local id, forgotten_at = read_identity(fields[index + 1])
      if forgotten_at <= now and not is_pending(redis.call('HGET', delivery_key(id), 'status')) then
        redis.call('HDEL', ticket, fields[index])
      end
    end
  end
end

-- Adds the identity of an update to the ticket's `fields`, so that one HSET writes all: most of the script's time is
-- spent in calls.
local function with_identity(update, id, fields)
  fields['i:' .. update.identity] = format_identity(id, now + update.window)
  return fields
end

-- Returns the delivery that the value of an identity belongs to, if the identity still counts.
local function duplicate_of(value)
  if not value then return nil end
  local id, forgotten_at = read_identity(value)
  local status = redis.call('HGET', delivery_key(id), 'status')
  if status == 'dead' or status == 'discarded' then return nil end
  if is_pending(status) or now < forgotten_at then return id end
  return nil
end

local function count_duplicate(id)
  if redis.call('EXISTS', delivery_key(id)) == 1 then
    redis.call('HINCRBY', delivery_key(id), 'duplicates', 1)
    return 'duplicate', id
  end
  local record, member = find_finished(id)
  if record then
    record.duplicates = tonumber(record.duplicates or 0) + 1
    replace_finished(id, record, member)
  end
  return 'duplicate', id
end

-- Returns for how long the integration had been parked before a delivery was accepted (ms). Time in which it is parked
-- does not count towards giving up. Nor does the time in an intake journal, so that is subtracted here.
local function parked_before(created_at)
  local circuit = read(key('circuit'), 'parked_ms', 'since')
  local total = tonumber(circuit.parked_ms or 0)
  if circuit.since then total = total + now - tonumber(circuit.since) end
  total = total - math.max(0, now - created_at)
  return total ~= 0 and total or nil
end

local function new_record(update, status)
  return {
    sys_id = update.sys_id, number = update.number, table = update.table, itsm_state = update.itsm_state,
    iem_state = update.iem_state, version = update.version, updated_at = update.updated_at,
    resolved_by = update.resolved_by, mapping = update.mapping, from = update.from, created_at = update.created_at,
    status = status, replay_of = update.replay_of, via = update.via,
  }
end

local function index_number(update)
  if update.number then redis.call('HSET', key('numbers'), update.number, update.sys_id) end
end

-- Schedules the lookup of the resolver; the delivery does not wait for it. The trail records at once that none is possible.
local function schedule_lookup(update)
  local lookup = update.lookup
  if not lookup then return end
  if lookup.skip then
    audit('virima_lookup', { id = update.id, sys_id = update.sys_id, number = update.number, actor = 'relay' },
      { lookup = lookup.mode, outcome = 'skipped', reason = lookup.skip, resolver = update.resolved_by, cached = false })
  else
    redis.call('ZADD', key('lookups'), now, update.id)
  end
end

-- Returns why a dead letter cannot be replayed, or nil.
local function why_not_replayable(replay_of)
  local letter = find_delivery(replay_of)
  if not letter then return 'unknown' end
  if letter.replayed_as and is_pending(redis.call('HGET', delivery_key(letter.replayed_as), 'status')) then return 'pending' end
  return letter.status ~= 'dead' and 'closed' or nil
end

local function close_replayed(update)
  close_dead_letter(update.replay_of, { closed = 'replayed', replayed_as = update.id })
  audit('replayed', { id = update.replay_of, sys_id = update.sys_id, number = update.number, actor = update.actor },
    { replayed_as = update.id })
end

local function supersede_pending(update, ticket)
  for _, id in ipairs({ ticket.last, ticket.flight }) do
    local older = by_name(redis.call('HGETALL', delivery_key(id)))
    if older.place == 'flight' then
      redis.call('HSETNX', delivery_key(id), 'superseded_by', update.id)
    elseif is_pending(older.status) then
      withdraw(id, older)
      finish(id, older, { status = 'superseded', reason = 'newer_accepted', superseded_by = update.id })
      audit('superseded', { id = id, sys_id = older.sys_id, number = older.number }, { superseded_by = update.id })
    end
  end
end

-- Returns the first verdict on an update if this step is a repeat, because Redis's first answer was lost. A repeat
-- either arrives at once, and its ticket knows the id, or comes from an intake journal, and its ticket can be forgotten.
local function first_verdict(update, ticket)
  if ticket.last ~= update.id and not ticket['d:' .. update.id] and now <= update.created_at then return nil end
  local record = find_delivery(update.id)
  return record and (record.reason == 'late' and 'superseded' or 'queued')
end

local function supersede_late(update, ticket)
  local ticket_hash = ticket_key(update.sys_id)
  index_number(update)
  finish(update.id, new_record(update), { status = 'superseded', reason = 'late', superseded_by = ticket.last })
  write(ticket_hash, with_identity(update, update.id, { ['d:' .. update.id] = '' }))
  redis.call('PERSIST', ticket_hash)
  prune_identities(ticket_hash)
  audit('superseded', { id = update.id, sys_id = update.sys_id, number = update.number, actor = update.from },
    { superseded_by = ticket.last, late = true })
  schedule_lookup(update)
  return 'superseded', update.id
end

-- Returns the last accepted delivery of a ticket if it makes an update with the same IEM state unnecessary.
local function collapses_into(update, ticket)
  if not update.collapse or update.replay_of or not ticket.last then return nil end
  if tonumber(ticket.state) ~= update.iem_state then return nil end
  local last = find_delivery(ticket.last)
  return last and (is_pending(last.status) or last.status == 'delivered') and ticket.last or nil
end

local function enqueue_update(update, ticket)
  local ticket_hash = ticket_key(update.sys_id)
  local fields = { mark = mark_of(update, ticket), state = update.iem_state, last = update.id }
  supersede_pending(update, ticket)
  local record = new_record(update, 'queued')
  record.place, record.entry = assign_place(update.id, ticket.flight)
  record.parked_before = parked_before(update.created_at)
  write(delivery_key(update.id), record)
  index_number(update)
  if ticket.last and is_known(ticket.last) then fields['d:' .. ticket.last] = '' end
  write(ticket_hash, with_identity(update, update.id, fields))
  if ticket.mark then
    redis.call('PERSIST', ticket_hash)
    prune_identities(ticket_hash)
  end
  redis.call('ZADD', key('in:pending'), 0, update.id)
  audit('accepted', { id = update.id, sys_id = update.sys_id, number = update.number, actor = update.from },
    { itsm_state = update.itsm_state, iem_state = update.iem_state, resolved_by = update.resolved_by, mapping = update.mapping,
      journaled_at = update.created_at < now and update.created_at or nil })
  schedule_lookup(update)
  return 'queued', update.id
end

-- The first rule that applies decides. Their order is a contract.
local function relay(update)
  local ticket = read_ticket(update)
  local repeated = first_verdict(update, ticket)
  if repeated then return repeated, update.id end
  if update.replay_of then
    local obstacle = why_not_replayable(update.replay_of)
    if obstacle then return obstacle, update.replay_of end
    close_replayed(update)
  else
    local same = duplicate_of(ticket['i:' .. update.identity])
    if same then return count_duplicate(same) end
  end
  if is_older(update, ticket) then return supersede_late(update, ticket) end
  local collapsed = collapses_into(update, ticket)
  if collapsed then
    local ticket_hash = ticket_key(update.sys_id)
    write(ticket_hash, with_identity(update, collapsed, { mark = mark_of(update, ticket) }))
    prune_identities(ticket_hash)
    return count_duplicate(collapsed)
  end
  return enqueue_update(update, ticket)
end

-- A state that is not relayed, such as a reopening, makes the next resolution a new one.
local function ignore(update)
  local ticket_hash = ticket_key(update.sys_id)
  local ticket = read_ticket(update)
  if not ticket.mark or is_older(update, ticket) then return 'ignored', '' end
  redis.call('HDEL', ticket_hash, 'state')
  for _, field in ipairs(redis.call('HKEYS', ticket_hash)) do
    if string.match(field, '^i:%-?%d+:[^vu]') then redis.call('HDEL', ticket_hash, field) end
  end
  return 'ignored', ''
end

local function reject(rejection)
  local hash = key('r:' .. rejection.id)
  if redis.call('HINCRBY', hash, 'seen', 1) == 1 then
    write(hash, { record = rejection.record, created_at = rejection.created_at, from = rejection.from,
      idempotency_key = rejection.idempotency_key })
  end
  write(hash, { errors = rejection.errors, mapping = rejection.mapping, seen_at = now })
  redis.call('ZADD', key('rejections'), now, rejection.id)
  audit('rejected', { actor = rejection.from }, { rejection_id = rejection.id, mapping = rejection.mapping })
  return 'rejected', rejection.id
end

-- Removes a rejection whose record could be mapped this time.
local function close_rejection(record)
  redis.call('DEL', key('r:' .. record.rejection))
  redis.call('ZREM', key('rejections'), record.rejection)
  audit('replayed', { id = record.id, sys_id = record.sys_id, number = record.number, actor = record.actor },
    { rejection_id = record.rejection })
end

-- Reads all records before the first write, because a script that fails does not undo its writes.
local records, relayed = {}, 0
for index = 3, #ARGV do
  local record = cjson.decode(ARGV[index])
  records[#records + 1] = record
  if record.kind == 'relay' then relayed = relayed + 1 end
end
-- The backlog of one integration must not fill the server for all integrations.
if relayed > 0 and redis.call('ZCARD', key('in:pending')) + relayed > tonumber(ARGV[2]) then return { 'full' } end

local verdicts = {}
local has_work = false
for _, record in ipairs(records) do
  local verdict, id
  if record.kind == 'relay' then verdict, id = relay(record)
  elseif record.kind == 'ignore' then verdict, id = ignore(record)
  else verdict, id = reject(record) end
  if record.rejection and verdict ~= 'rejected' then close_rejection(record) end
  has_work = has_work or verdict == 'queued'
  verdicts[#verdicts + 1] = verdict
  verdicts[#verdicts + 1] = id
end
if has_work then wake() end
return verdicts
