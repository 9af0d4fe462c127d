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
local function park(settled)
  local circuit = read(circuit_key, 'reason', 'step')
  local step = 0
  if circuit.reason == settled.park_as then step = tonumber(circuit.step or 0) + 1 end
  local wait = math.min(settled.probe_first * 2 ^ math.min(step, 40), settled.probe_most)
  if not circuit.reason then
    redis.call('HSET', circuit_key, 'since', now)
    audit('parked', { id = settled.id, actor = 'relay' }, { reason = settled.park_as })
  end
  redis.call('HSET', circuit_key, 'reason', settled.park_as, 'step', step, 'probe_at', now + wait, 'config', settled.config)
  redis.call('HDEL', circuit_key, 'probing_until', 'streak')
end

-- Puts a delivery back into the queue, which no worker reads while the integration is parked.
local function hold(id, sys_id)
  redis.call('HDEL', delivery_key(id), 'lease', 'next_at')
  enqueue(id, sys_id)
end

local function add_attempt(settled, record, counted)
  if counted then record.tries = tonumber(record.tries or 0) + 1 end
  list_attempt(record, settled.attempt .. '|' .. (counted and 1 or 0))
end

local function note_attempt(settled, record, counted)
  add_attempt(settled, record, counted)
  write_attempt(settled.id, record)
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

local function end_as(settled, record, status, reason)
  finish(settled.id, record, { status = status, reason = reason })
  audit(status, { id = settled.id, sys_id = record.sys_id, number = record.number }, { reason = reason,
    superseded_by = status == 'superseded' and record.superseded_by or nil,
    attempts = tonumber(record.attempts or 0) })
  return status
end

local function wait_for_retry(settled, record, circuit)
  local left = settled.give_up_after - age_of(record, circuit)
  -- No delivery is given up while its integration is parked, nor by the probe that resumes it: after resuming, each
  -- delivery gets another attempt.
  local can_give_up = not circuit.reason and not settled.probe
  if left <= 0 and can_give_up then return end_as(settled, record, 'dead', settled.reason) end
  local due = now + math.max(0, math.min(settled.delay, left))
  redis.call('HSET', delivery_key(settled.id), 'status', 'retrying', 'reason', settled.reason, 'place', 'retry', 'next_at', due)
  redis.call('HDEL', delivery_key(settled.id), 'entry', 'lease')
  redis.call('ZADD', key('retry'), due, settled.id)
  return 'retrying'
end

local function keep_waiting(settled, record)
  if record.superseded_by then return end_as(settled, record, 'superseded', 'newer_accepted') end
  redis.call('HSET', delivery_key(settled.id), 'reason', settled.reason)
  hold(settled.id, record.sys_id)
  return 'parked'
end

-- Any answer that is not a reason to park shows that IEM works: it ends the streak of failures, and a probe with such
-- an answer resumes the integration.
local function saw_iem_work(settled, circuit)
  if circuit.streak then redis.call('HDEL', circuit_key, 'streak') end
  if settled.probe and circuit.reason then
    unpark('probe')
    circuit.reason, circuit.since = nil, nil
    circuit.parked_ms = redis.call('HGET', circuit_key, 'parked_ms')
  end
end

local function settle_down(settled, record, circuit)
  if circuit.reason then
    note_attempt(settled, record, false)
    if settled.probe then park(settled) end
    return keep_waiting(settled, record)
  end
  local streak = lines(circuit.streak)
  if #streak + 1 >= limits.failures then
    note_attempt(settled, record, false)
    uncount(streak)
    park(settled)
    -- Read again: an earlier attempt of this delivery can be one of the uncounted failures.
    return keep_waiting(settled, by_name(redis.call('HGETALL', delivery_key(settled.id))))
  end
  note_attempt(settled, record, true)
  streak[#streak + 1] = settled.id .. ':' .. record.attempts
  set_or_clear('streak', streak)
  if record.superseded_by then return end_as(settled, record, 'superseded', 'newer_accepted') end
  return wait_for_retry(settled, record, circuit)
end

local function settle_unknown_ticket(settled, record, circuit)
  local unknown, seen = lines(circuit.unknown), false
  for _, sys_id in ipairs(unknown) do seen = seen or sys_id == record.sys_id end
  if not seen and #unknown < limits.unknown_tickets then unknown[#unknown + 1] = record.sys_id end
  set_or_clear('unknown', unknown)
  local in_a_row = #unknown >= limits.unknown_tickets
  local keeps_parked = settled.probe and circuit.reason == settled.park_as and in_a_row
  note_attempt(settled, record, not keeps_parked)
  if not keeps_parked then saw_iem_work(settled, circuit) end
  if in_a_row and (keeps_parked or not circuit.reason) then park(settled) end
  if record.superseded_by then return end_as(settled, record, 'superseded', 'newer_accepted') end
  local since = tonumber(record.unknown_since or now)
  local patience_left = since + limits.patience - now
  -- A probe is also given up: a ticket that IEM never knows must not block all others forever.
  if patience_left <= 0 then return end_as(settled, record, 'dead', settled.reason) end
  redis.call('HSET', delivery_key(settled.id), 'unknown_since', since)
  if keeps_parked then return keep_waiting(settled, record) end
  settled.delay = math.min(settled.delay, patience_left)
  return wait_for_retry(settled, record, circuit)
end

-- A bug of the relay says nothing about IEM, and is not retried for two days.
local function settle_bug(settled, record, circuit)
  note_attempt(settled, record, false)
  if settled.probe and circuit.reason then
    -- Also delays the next probe. Otherwise the three bugs of each delivery would follow each other at once.
    redis.call('HDEL', circuit_key, 'probing_until')
    redis.call('HSET', circuit_key, 'probe_at', now + settled.delay)
  end
  if redis.call('HINCRBY', delivery_key(settled.id), 'bugs', 1) >= limits.bugs then
    return end_as(settled, record, 'dead', settled.reason)
  end
  if record.superseded_by then return end_as(settled, record, 'superseded', 'newer_accepted') end
  return wait_for_retry(settled, record, circuit)
end

local function settle_other_retry(settled, record, circuit)
  saw_iem_work(settled, circuit)
  note_attempt(settled, record, true)
  if record.superseded_by then return end_as(settled, record, 'superseded', 'newer_accepted') end
  return wait_for_retry(settled, record, circuit)
end

local function settle_park(settled, record, circuit)
  note_attempt(settled, record, not settled.probe and not circuit.reason)
  if settled.probe or not circuit.reason then park(settled) end
  return keep_waiting(settled, record)
end

local function settle_end(settled, record, circuit)
  saw_iem_work(settled, circuit)
  add_attempt(settled, record, true)
  if settled.outcome == 'delivered' and circuit.unknown then redis.call('HDEL', circuit_key, 'unknown') end
  return end_as(settled, record, settled.outcome, settled.reason)
end

local function return_unattempted(settled, record)
  if settled.probe then redis.call('HDEL', circuit_key, 'probing_until') end
  if record.superseded_by then return end_as(settled, record, 'superseded', 'newer_accepted') end
  hold(settled.id, record.sys_id)
  wake()
  return 'queued'
end

local function settle(settled)
  local record = by_name(redis.call('HGETALL', delivery_key(settled.id)))
  if record.place ~= 'flight' or record.fence ~= settled.fence then return 'stale' end
  redis.call('XACK', queue, GROUP, record.entry)
  redis.call('XDEL', queue, record.entry)
  local circuit = read(circuit_key, 'reason', 'since', 'streak', 'unknown', 'parked_ms', 'by_hand')
  -- An operator has parked the integration in the meantime: no answer of IEM resumes it or changes the reason.
  if circuit.by_hand then settled.probe = nil end
  local status
  if settled.outcome == 'returned' then status = return_unattempted(settled, record)
  elseif settled.outcome == 'park' then status = settle_park(settled, record, circuit)
  elseif settled.outcome ~= 'retry' then status = settle_end(settled, record, circuit)
  elseif settled.speaks_of_iem then status = settle_down(settled, record, circuit)
  elseif settled.reason == 'not_found' then status = settle_unknown_ticket(settled, record, circuit)
  elseif settled.reason == 'bug' then status = settle_bug(settled, record, circuit)
  else status = settle_other_retry(settled, record, circuit) end
  release(settled.id, record.sys_id)
  return status, record.created_at
end

local statuses, counts = {}, {}
local function count(name, by) counts[name] = (counts[name] or 0) + by end
for index = 3, #ARGV do
  local settled = cjson.decode(ARGV[index])
  local status, created_at = settle(settled)
  if status == 'delivered' then count('latency_ms', math.max(0, now - tonumber(created_at))) end
  if status == 'delivered' or status == 'dead' or status == 'retrying' then count(status, 1) end
  statuses[#statuses + 1] = status
end
for name, by in pairs(counts) do redis.call('HINCRBY', key('counts'), name, by) end
return statuses
