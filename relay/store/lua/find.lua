-- Returns the records of deliveries.
-- KEYS[1]   the integration's queue
-- ARGV[1]   now (Unix ms)
-- ARGV[2…]  delivery ids
-- Returns   for each known delivery a list of its id and its fields (name, value, …)

local found = {}
for index = 2, #ARGV do
  local record = find_delivery(ARGV[index])
  if record then found[#found + 1] = { ARGV[index], flatten(record) } end
end
return found
