-- The records of deliveries. ARGV[2…] ids. Returns for each one that is known its id and its fields, flat.

local found = {}
for index = 2, #ARGV do
  local record = find_delivery(ARGV[index])
  if record then found[#found + 1] = { ARGV[index], flatten(record) } end
end
return found
