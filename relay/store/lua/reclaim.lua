-- Puts back what a worker took and never settled: its lease is over.
-- ARGV[2] retention (ms); ARGV[3] consumer; ARGV[4] least idle time (ms); ARGV[5] cursor; ARGV[6] how many entries to look at.
-- Returns the next cursor ('0-0': done), how many were put back, and how many entries were missing from the queue (an alarm).

local retention = tonumber(ARGV[2])

local function reclaim(entry, id)
  local record = read(delivery_key(id), 'place', 'entry', 'lease', 'sys_id', 'number', 'created_at', 'superseded_by', 'attempts')
  local in_flight = record.place == 'flight' and record.entry == entry
  if in_flight and tonumber(record.lease) > now then return 0 end
  redis.call('XACK', queue, GROUP, entry)
  redis.call('XDEL', queue, entry)
  if not in_flight then return 0 end
  local number = redis.call('HINCRBY', delivery_key(id), 'attempts', 1)
  redis.call('HSET', delivery_key(id), 'a' .. number, string.format('%.0f', now) .. '|interrupted|worker_lost|||0')
  if record.superseded_by then
    finish(id, record, { status = 'superseded', reason = 'newer_accepted' }, retention)
    audit('superseded', { id = id, sys_id = record.sys_id, number = record.number }, { superseded_by = record.superseded_by })
  else
    redis.call('HDEL', delivery_key(id), 'lease')
    enqueue(id, record.sys_id)
  end
  release(id, record.sys_id)
  return 1
end

local answer = grouped('XAUTOCLAIM', queue, GROUP, ARGV[3], ARGV[4], ARGV[5], 'COUNT', ARGV[6])
local put_back = 0
for _, item in ipairs(answer[2]) do put_back = put_back + reclaim(item[1], item[2][2]) end
if put_back > 0 then wake() end
return { answer[1], put_back, #answer[3] }
