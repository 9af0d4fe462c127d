-- Puts back what a worker took and never settled: its lease is over.
-- ARGV[2] consumer; ARGV[3] least idle time (ms); ARGV[4] cursor; ARGV[5] how many entries to look at;
-- ARGV[6] after how long without a word a consumer is gone (ms, by the server's clock).
-- Returns the next cursor ('0-0': done), how many were put back, and how many entries were missing from the queue (an alarm).

local consumer, min_idle, cursor, most, gone_after = ARGV[2], ARGV[3], ARGV[4], tonumber(ARGV[5]), tonumber(ARGV[6])

local function record_of(id)
  return by_name(redis.call('HGETALL', delivery_key(id)))
end

local function lease_is_over(record) return record.place == 'flight' and tonumber(record.lease) <= now end

local function take_back(id, record)
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
  local record = record_of(id)
  local is_its_own = record.entry == entry
  if is_its_own and record.place == 'flight' and not lease_is_over(record) then return 0 end
  redis.call('XACK', queue, GROUP, entry)
  redis.call('XDEL', queue, entry)
  if is_its_own and record.place == 'flight' then take_back(id, record)
  -- Something that is no worker of ours read it, and would keep it.
  elseif is_its_own and record.place == 'queue' then enqueue(id, record.sys_id)
  else return 0 end
  return 1
end

-- A stream that was made anew can give an entry's number to another delivery.
local function stands_in_queue(id, entry)
  local found = redis.call('XRANGE', queue, entry, entry)[1]
  return found ~= nil and found[2][2] == id
end

-- Finds deliveries that no entry leads to any more, for something else deleted it or the group: they would wait for ever. Only the
-- oldest are looked at: those that are left behind become the oldest.
local function recover_stranded()
  local put_back, missing = 0, 0
  for _, id in ipairs(redis.call('ZRANGE', key('in:pending'), 0, most - 1)) do
    local record = record_of(id)
    if record.place == 'queue' and not stands_in_queue(id, record.entry) then
      enqueue(id, record.sys_id)
      missing = missing + 1
    elseif lease_is_over(record) and #redis.call('XPENDING', queue, GROUP, record.entry, record.entry, 1) == 0 then
      redis.call('XDEL', queue, record.entry)
      take_back(id, record)
      put_back = put_back + 1
    end
  end
  return put_back, missing
end

-- Every start of a worker makes a consumer: those that are gone, and have nothing any more, must not pile up.
local function remove_gone_consumers()
  for _, info in ipairs(redis.call('XINFO', 'CONSUMERS', queue, GROUP)) do
    local found = by_name(info)
    if found.pending == 0 and found.idle >= gone_after and found.name ~= consumer then
      redis.call('XGROUP', 'DELCONSUMER', queue, GROUP, found.name)
    end
  end
end

local answer = grouped('XAUTOCLAIM', queue, GROUP, consumer, min_idle, cursor, 'COUNT', most)
local put_back, missing = 0, #answer[3]
for _, item in ipairs(answer[2]) do put_back = put_back + reclaim(item[1], item[2][2]) end
if answer[1] == '0-0' then
  local found, lost = recover_stranded()
  put_back, missing = put_back + found, missing + lost
  remove_gone_consumers()
end
if put_back + missing > 0 then wake() end
return { answer[1], put_back, missing }
