-- What happens to an audit trail as a whole.
-- ARGV[2] mapping: ARGV[3] the type, mapping_loaded or mapping_refused, ARGV[4] what tells this state of the file from others,
--   ARGV[5] what the trail tells (JSON). Returns 1, or 0 where that is known already.
-- ARGV[2] seal: ARGV[3] number, ARGV[4] MAC of the seal before, ARGV[5] key, ARGV[6] records (as `store.seal_chain` packs them), ARGV[7] MAC.
--   Returns 1, or 0 where the chain has a seal of that number already, or lacks the one before.
-- ARGV[2] drop: ARGV[3] number of the last seal to go, ARGV[4] its MAC, ARGV[5] its last record, ARGV[6] key and ARGV[7] MAC of the
--   anchor, ARGV[8] the id from which records stay. Returns 1, or 0 where more than that was dropped already.

if ARGV[2] == 'mapping' then
  local before = redis.call('HGET', key('mapping'), 'state')
  if before == ARGV[4] then return 0 end
  redis.call('HSET', key('mapping'), 'state', ARGV[4])
  -- A file with other faults than before is faulty since then all the same.
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
-- Another process has dropped more by now: the chain must not hang on what is gone.
if number <= tonumber(redis.call('HGET', anchor, 'number') or 0) then return 0 end
redis.call('HSET', anchor, 'number', number, 'seal', ARGV[4], 'last', ARGV[5], 'key', ARGV[6], 'mac', ARGV[7])
redis.call('XTRIM', key('audit'), 'MINID', ARGV[8])
redis.call('XTRIM', seals, 'MINID', (number + 1) .. '-0')
return 1
