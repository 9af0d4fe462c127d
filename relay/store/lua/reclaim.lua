-- Puts back the deliveries that a worker took and did not settle before its lease ended.
-- KEYS[1]  the integration's queue
-- ARGV[1]  now (Unix ms)
-- ARGV[2]  the consumer that reclaims
-- ARGV[3]  the minimum idle time of an entry (ms)
-- ARGV[4]  the cursor: '0-0' at first
-- ARGV[5]  how many entries to read
-- ARGV[6]  the idle time after which a consumer without entries is removed (ms, by the server's clock)
-- Returns  the next cursor ('0-0': done), how many deliveries were put back, and how many entries were missing from
--          the queue, which should never happen

local consumer, min_idle, cursor, limit, gone_after = ARGV[2], ARGV[3], ARGV[4], tonumber(ARGV[5]), tonumber(ARGV[6])

local function read_record(id)
  return by_name(redis.call('HGETALL', delivery_key(id)))
end

local function lease_is_over(record) return record.place == 'flight' and tonumber(record.lease) <= now end

local function put_back(id, record)
  list_attempt(record, string.format('%.0f', now) .. '|interrupted|worker_lost|||0')
  if record.superseded_by then
    finish(id, record, { status = 'superseded', reason = 'newer_accepted' })
    audit('superseded', { id = id, sys_id = record.sys_id, number = record.number }, { superseded_by = record.superseded_by })
  else
    write_attempt(id, record)
    redis.call('HDEL', delivery_key(id), 'lease')
    enqueue(id, record.sys_id)
  end
  release(id, record.sys_id)
end

local function reclaim(entry, id)
  local record = read_record(id)
  local is_current = record.entry == entry
  if is_current and record.place == 'flight' and not lease_is_over(record) then return 0 end
  redis.call('XACK', queue, GROUP, entry)
  redis.call('XDEL', queue, entry)
  if is_current and record.place == 'flight' then put_back(id, record)
  -- A program that is not a worker of the relay has read the entry, and would keep it.
  elseif is_current and record.place == 'queue' then enqueue(id, record.sys_id)
  else return 0 end
  return 1
end

-- A stream that was created again can give the id of an entry to another delivery.
local function is_in_queue(id, entry)
  local found = redis.call('XRANGE', queue, entry, entry)[1]
  return found ~= nil and found[2][2] == id
end

-- Puts back deliveries without an entry, which would wait forever: another program has deleted the entry, or the
-- group. Reads only the oldest pending deliveries, because deliveries without an entry become the oldest.
local function recover_stranded()
  local recovered, missing = 0, 0
  for _, id in ipairs(redis.call('ZRANGE', key('in:pending'), 0, limit - 1)) do
    local record = read_record(id)
    if record.place == 'queue' and not is_in_queue(id, record.entry) then
      enqueue(id, record.sys_id)
      missing = missing + 1
    elseif lease_is_over(record) and #redis.call('XPENDING', queue, GROUP, record.entry, record.entry, 1) == 0 then
      redis.call('XDEL', queue, record.entry)
      put_back(id, record)
      recovered = recovered + 1
    end
  end
  return recovered, missing
end

-- Each start of a worker creates a consumer. Those that are gone and hold no entries must not accumulate.
local function remove_gone_consumers()
  for _, info in ipairs(redis.call('XINFO', 'CONSUMERS', queue, GROUP)) do
    local found = by_name(info)
    if found.pending == 0 and found.idle >= gone_after and found.name ~= consumer then
      redis.call('XGROUP', 'DELCONSUMER', queue, GROUP, found.name)
    end
  end
end

local answer = call_group('XAUTOCLAIM', queue, GROUP, consumer, min_idle, cursor, 'COUNT', limit)
local total, missing = 0, #answer[3]
for _, item in ipairs(answer[2]) do total = total + reclaim(item[1], item[2][2]) end
if answer[1] == '0-0' then
  local recovered, lost = recover_stranded()
  total, missing = total + recovered, missing + lost
  remove_gone_consumers()
end
if total + missing > 0 then wake() end
return { answer[1], total, missing }
