-- Changes the audit trail as a whole.
-- KEYS[1]  the integration's queue
-- ARGV[1]  now (Unix ms)
-- ARGV[2]  mapping: record the state of the mapping file
-- ARGV[3]  the type of the record: mapping_loaded or mapping_refused
-- ARGV[4]  the state: a text that differs for each state of the file
-- ARGV[5]  the other members of the record (JSON)
-- Returns  1, or 0 if this state was recorded last
--
-- ARGV[2]  seal: add a seal to the chain
-- ARGV[3]  its number
-- ARGV[4]  MAC of the previous seal
-- ARGV[5]  key
-- ARGV[6]  records, as `store.seal_chain` packs them
-- ARGV[7]  MAC
-- Returns  1, or 0 if the chain already has a seal with that number, or does not have the previous one
--
-- ARGV[2]  drop: drop the oldest seals with their records
-- ARGV[3]  number of the last seal to drop
-- ARGV[4]  its MAC
-- ARGV[5]  the id of its last record
-- ARGV[6]  key of the anchor
-- ARGV[7]  MAC of the anchor
-- ARGV[8]  the first id of the records to keep
-- Returns  1, or 0 if this seal was dropped before

if ARGV[2] == 'mapping' then
  local before = redis.call('HGET', key('mapping'), 'state')
  if before == ARGV[4] then return 0 end
  redis.call('HSET', key('mapping'), 'state', ARGV[4])
  -- A file whose faults change has been faulty since the first of them.
  local was_refused = before and string.find(before, 'refused', 1, true) == 1
  if not (was_refused and ARGV[3] == 'mapping_refused') then redis.call('HSET', key('mapping'), 'since', now) end
  audit(ARGV[3], { actor = 'relay' }, cjson.decode(ARGV[5]))
  return 1
end

local number = tonumber(ARGV[3])
local seals, anchor = key('seals'), key('seals:anchor')

local function last_number()
  local last = redis.call('XREVRANGE', seals, '+', '-', 'COUNT', 1)[1]
  if last then return tonumber(string.match(last[1], '^%d+')) end
  return tonumber(redis.call('HGET', anchor, 'number') or 0)
end

if ARGV[2] == 'seal' then
  if last_number() + 1 ~= number then return 0 end
  redis.call('XADD', seals, number .. '-0', 'previous', ARGV[4], 'key', ARGV[5], 'records', ARGV[6], 'mac', ARGV[7])
  return 1
end
-- Another process has already dropped more: the anchor must not refer to dropped seals.
if number <= tonumber(redis.call('HGET', anchor, 'number') or 0) then return 0 end
redis.call('HSET', anchor, 'number', number, 'seal', ARGV[4], 'last', ARGV[5], 'key', ARGV[6], 'mac', ARGV[7])
redis.call('XTRIM', key('audit'), 'MINID', ARGV[8])
redis.call('XTRIM', seals, 'MINID', (number + 1) .. '-0')
return 1
