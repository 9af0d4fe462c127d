-- Returns a page of an integration's deliveries, newest first.
-- KEYS[1]  the integration's queue
-- ARGV[1]  now (Unix ms)
-- ARGV[2]  the maximum number of deliveries
-- ARGV[3]  the lowest id ('' for any)
-- ARGV[4]  the id before which the page begins ('' for the newest)
-- ARGV[5]  a JSON list of the statuses to read
-- ARGV[6]  a JSON object of the values that fields must have
-- Returns  '1' if there can be more, the last id that was read, then for each delivery a list of its id and its
--          fields (name, value, …)

local limit = tonumber(ARGV[2])
local lowest = ARGV[3] == '' and '-' or '[' .. ARGV[3]
local before = ARGV[4] == '' and '+' or '(' .. ARGV[4]
local statuses, wanted = cjson.decode(ARGV[5]), cjson.decode(ARGV[6])

-- A filter that few records match must not block the server: the page ends early, and the next page continues there.
local MAX_SCANNED = 2000

local function matches(record)
  for field, value in pairs(wanted) do
    if record[field] ~= value then return false end
  end
  return true
end

-- If a status has more deliveries than were read, those of other statuses that are older than its last one wait for
-- the next page.
local candidates, more, floor = {}, false, ''
local count = next(wanted) and math.max(limit, 200) or limit
for _, status in ipairs(statuses) do
  local members = redis.call('ZRANGE', key('in:' .. status), before, lowest, 'BYLEX', 'REV', 'LIMIT', 0, count)
  for _, member in ipairs(members) do
    candidates[#candidates + 1] = { id = string.match(member, '^%w+'), member = member, status = status }
  end
  if #members == count then
    more = true
    local oldest = candidates[#candidates].id
    if oldest > floor then floor = oldest end
  end
end
table.sort(candidates, function(left, right) return left.id > right.id end)

local page, last = {}, ''
for position, candidate in ipairs(candidates) do
  if #page >= limit or position > MAX_SCANNED or candidate.id < floor then
    more = true
    break
  end
  last = candidate.id
  local _, record = unpack_member(candidate.member, candidate.status)
  record = record or by_name(redis.call('HGETALL', delivery_key(last)))
  if record.status and matches(record) then page[#page + 1] = { last, flatten(record) } end
end
return { more and '1' or '', last, unpack(page) }
