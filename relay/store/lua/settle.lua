-- Records the results of attempts, and acknowledges each delivery in the same step.
-- KEYS[1]   the integration's queue
-- ARGV[1]   now (Unix ms)
-- ARGV[2]   a JSON object of the limits in `core.retry`: failures unknown_tickets bugs patience (ms)
-- ARGV[3…]  a JSON object per attempt (relay/store/settlements.py):
--   id fence outcome (delivered | retry | park | dead | returned) reason
--   speaks_of_iem: the failure counts towards `down`
--   park_as probe_first probe_most: the reason for which to park the integration, and its probe intervals (ms)
--   probe: the attempt was a probe
--   delay give_up_after (ms)
--   config: digest of the IEM configuration of the attempt
--   attempt: its line in the record, "at|outcome|reason|status|duration"
-- Returns   a status for each: delivered | retrying | parked | superseded | dead | queued | stale (the lease was
--           lost: nothing was written)

local limits = cjson.decode(ARGV[2])
local circuit_key = key('circuit')

local function lines(text)
  local list = {}
  for line in string.gmatch(text or '', '[^\n]+') do list[#list + 1] = line end
  return list
end

local function set_or_clear(field, list)
  if #list == 0 then redis.call('HDEL', circuit_key, field)
  else redis.call('HSET', circuit_key, field, table.concat(list, '\n')) end
end

-- Parks the integration. After a failed probe, keeps it parked until a later probe.
local function park(settlement)
  local circuit = read(circuit_key, 'reason', 'step')
  local step = 0
  if circuit.reason == settlement.park_as then step = tonumber(circuit.step or 0) + 1 end
  local wait = math.min(settlement.probe_first * 2 ^ math.min(step, 40), settlement.probe_most)
  if not circuit.reason then
    redis.call('HSET', circuit_key, 'since', now)
    audit('parked', { id = settlement.id, actor = 'relay' }, { reason = settlement.park_as })
  end
  redis.call('HSET', circuit_key, 'reason', settlement.park_as, 'step', step, 'probe_at', now + wait, 'config', settlement.config)
  redis.call('HDEL', circuit_key, 'probing_until', 'streak')
end

-- Puts a delivery back into the queue, which no worker reads while the integration is parked.
local function hold(id, sys_id)
  redis.call('HDEL', delivery_key(id), 'lease', 'next_at')
  enqueue(id, sys_id)
end

local function add_attempt(settlement, record, counted)
  if counted then record.tries = tonumber(record.tries or 0) + 1 end
  list_attempt(record, settlement.attempt .. '|' .. (counted and 1 or 0))
end

local function note_attempt(settlement, record, counted)
  add_attempt(settlement, record, counted)
  write_attempt(settlement.id, record)
end

local function uncount_finished(id, attempt)
  local record, member = find_finished(id)
  if not (record and record[attempt]) then return end
  record[attempt] = string.sub(record[attempt], 1, -2) .. '0'
  replace_finished(id, record, member)
end

-- The failures that led to parking as `down` do not count: their deliveries return to the queue as if untried.
local function uncount(streak)
  for _, failure in ipairs(streak) do
    local id, number = string.match(failure, '^(%w+):(%d+)$')
    local delivery, attempt = delivery_key(id), 'a' .. number
    local record = read(delivery, 'place', 'sys_id', attempt)
    if record[attempt] then
      redis.call('HSET', delivery, attempt, string.sub(record[attempt], 1, -2) .. '0')
      redis.call('HINCRBY', delivery, 'tries', -1)
      if record.place == 'retry' then
        redis.call('ZREM', key('retry'), id)
        hold(id, record.sys_id)
      end
    else
      uncount_finished(id, attempt)
    end
  end
end

local function age_of(record, circuit)
  local parked = tonumber(circuit.parked_ms or 0) - tonumber(record.parked_before or 0)
  if circuit.since then parked = parked + now - tonumber(circuit.since) end
  return now - tonumber(record.created_at) - parked
end

local function end_as(settlement, record, status, reason)
  finish(settlement.id, record, { status = status, reason = reason })
  audit(status, { id = settlement.id, sys_id = record.sys_id, number = record.number }, { reason = reason,
    superseded_by = status == 'superseded' and record.superseded_by or nil,
    attempts = tonumber(record.attempts or 0) })
  return status
end

local function wait_for_retry(settlement, record, circuit)
  local left = settlement.give_up_after - age_of(record, circuit)
  -- No delivery is given up while its integration is parked, nor by the probe that resumes it: after resuming, each
  -- delivery gets another attempt.
  local can_give_up = not circuit.reason and not settlement.probe
  if left <= 0 and can_give_up then return end_as(settlement, record, 'dead', settlement.reason) end
  local due = now + math.max(0, math.min(settlement.delay, left))
  redis.call('HSET', delivery_key(settlement.id), 'status', 'retrying', 'reason', settlement.reason, 'place', 'retry',
    'next_at', due)
  redis.call('HDEL', delivery_key(settlement.id), 'entry', 'lease')
  redis.call('ZADD', key('retry'), due, settlement.id)
  return 'retrying'
end

local function keep_waiting(settlement, record)
  if record.superseded_by then return end_as(settlement, record, 'superseded', 'newer_accepted') end
  redis.call('HSET', delivery_key(settlement.id), 'reason', settlement.reason)
  hold(settlement.id, record.sys_id)
  return 'parked'
end

-- Any answer that is not a reason to park shows that IEM works: it ends the streak of failures, and a probe with such
-- an answer resumes the integration.
local function saw_iem_work(settlement, circuit)
  if circuit.streak then redis.call('HDEL', circuit_key, 'streak') end
  if settlement.probe and circuit.reason then
    unpark('probe')
    circuit.reason, circuit.since = nil, nil
    circuit.parked_ms = redis.call('HGET', circuit_key, 'parked_ms')
  end
end

local function settle_counting_as_down(settlement, record, circuit)
  if circuit.reason then
    note_attempt(settlement, record, false)
    if settlement.probe then park(settlement) end
    return keep_waiting(settlement, record)
  end
  local streak = lines(circuit.streak)
  if #streak + 1 >= limits.failures then
    note_attempt(settlement, record, false)
    uncount(streak)
    park(settlement)
    -- Read again: an earlier attempt of this delivery can be one of the uncounted failures.
    return keep_waiting(settlement, by_name(redis.call('HGETALL', delivery_key(settlement.id))))
  end
  note_attempt(settlement, record, true)
  streak[#streak + 1] = settlement.id .. ':' .. record.attempts
  set_or_clear('streak', streak)
  if record.superseded_by then return end_as(settlement, record, 'superseded', 'newer_accepted') end
  return wait_for_retry(settlement, record, circuit)
end

local function settle_unknown_ticket(settlement, record, circuit)
  local unknown, seen = lines(circuit.unknown), false
  for _, sys_id in ipairs(unknown) do seen = seen or sys_id == record.sys_id end
  if not seen and #unknown < limits.unknown_tickets then unknown[#unknown + 1] = record.sys_id end
  set_or_clear('unknown', unknown)
  local in_a_row = #unknown >= limits.unknown_tickets
  local keeps_parked = settlement.probe and circuit.reason == settlement.park_as and in_a_row
  note_attempt(settlement, record, not keeps_parked)
  if not keeps_parked then saw_iem_work(settlement, circuit) end
  if in_a_row and (keeps_parked or not circuit.reason) then park(settlement) end
  if record.superseded_by then return end_as(settlement, record, 'superseded', 'newer_accepted') end
  local since = tonumber(record.unknown_since or now)
  local patience_left = since + limits.patience - now
  -- A probe is also given up: a ticket that IEM never knows must not block all others forever.
  if patience_left <= 0 then return end_as(settlement, record, 'dead', settlement.reason) end
  redis.call('HSET', delivery_key(settlement.id), 'unknown_since', since)
  if keeps_parked then return keep_waiting(settlement, record) end
  settlement.delay = math.min(settlement.delay, patience_left)
  return wait_for_retry(settlement, record, circuit)
end

-- A bug of the relay says nothing about IEM, and is not retried for two days.
local function settle_bug(settlement, record, circuit)
  note_attempt(settlement, record, false)
  if settlement.probe and circuit.reason then
    -- Also delays the next probe. Otherwise the three bugs of each delivery would follow each other at once.
    redis.call('HDEL', circuit_key, 'probing_until')
    redis.call('HSET', circuit_key, 'probe_at', now + settlement.delay)
  end
  if redis.call('HINCRBY', delivery_key(settlement.id), 'bugs', 1) >= limits.bugs then
    return end_as(settlement, record, 'dead', settlement.reason)
  end
  if record.superseded_by then return end_as(settlement, record, 'superseded', 'newer_accepted') end
  return wait_for_retry(settlement, record, circuit)
end

local function settle_other_retry(settlement, record, circuit)
  saw_iem_work(settlement, circuit)
  note_attempt(settlement, record, true)
  if record.superseded_by then return end_as(settlement, record, 'superseded', 'newer_accepted') end
  return wait_for_retry(settlement, record, circuit)
end

local function settle_park(settlement, record, circuit)
  note_attempt(settlement, record, not settlement.probe and not circuit.reason)
  if settlement.probe or not circuit.reason then park(settlement) end
  return keep_waiting(settlement, record)
end

local function settle_end(settlement, record, circuit)
  saw_iem_work(settlement, circuit)
  add_attempt(settlement, record, true)
  if settlement.outcome == 'delivered' and circuit.unknown then redis.call('HDEL', circuit_key, 'unknown') end
  return end_as(settlement, record, settlement.outcome, settlement.reason)
end

local function return_unattempted(settlement, record)
  if settlement.probe then redis.call('HDEL', circuit_key, 'probing_until') end
  if record.superseded_by then return end_as(settlement, record, 'superseded', 'newer_accepted') end
  hold(settlement.id, record.sys_id)
  wake()
  return 'queued'
end

local function settle(settlement)
  local record = by_name(redis.call('HGETALL', delivery_key(settlement.id)))
  if record.place ~= 'flight' or record.fence ~= settlement.fence then return 'stale' end
  redis.call('XACK', queue, GROUP, record.entry)
  redis.call('XDEL', queue, record.entry)
  local circuit = read(circuit_key, 'reason', 'since', 'streak', 'unknown', 'parked_ms', 'by_hand')
  -- An operator has parked the integration in the meantime: no answer of IEM resumes it or changes the reason.
  if circuit.by_hand then settlement.probe = nil end
  local status
  if settlement.outcome == 'returned' then status = return_unattempted(settlement, record)
  elseif settlement.outcome == 'park' then status = settle_park(settlement, record, circuit)
  elseif settlement.outcome ~= 'retry' then status = settle_end(settlement, record, circuit)
  elseif settlement.speaks_of_iem then status = settle_counting_as_down(settlement, record, circuit)
  elseif settlement.reason == 'not_found' then status = settle_unknown_ticket(settlement, record, circuit)
  elseif settlement.reason == 'bug' then status = settle_bug(settlement, record, circuit)
  else status = settle_other_retry(settlement, record, circuit) end
  release(settlement.id, record.sys_id)
  return status, record.created_at
end

local statuses, counts = {}, {}
local function count(name, by) counts[name] = (counts[name] or 0) + by end
for index = 3, #ARGV do
  local settlement = cjson.decode(ARGV[index])
  local status, created_at = settle(settlement)
  if status == 'delivered' then count('latency_ms', math.max(0, now - tonumber(created_at))) end
  if status == 'delivered' or status == 'dead' or status == 'retrying' then count(status, 1) end
  statuses[#statuses + 1] = status
end
for name, by in pairs(counts) do redis.call('HINCRBY', key('counts'), name, by) end
return statuses
