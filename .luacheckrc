-- Lints the Lua scripts: `make lint-lua`. Redis runs each one behind prelude.lua, so the names that the prelude defines are known in all.
std = "lua51"
max_line_length = 130
read_globals = { "KEYS", "ARGV", "redis", "cjson", "cmsgpack" }
-- Redis does not offer these to scripts.
not_globals = { "collectgarbage", "dofile", "io", "loadfile", "module", "os", "package", "print", "require" }

local PRELUDE = "relay/store/lua/prelude.lua"
-- The prelude itself uses only some of them.
local unused_in_prelude = {}
for line in io.lines(PRELUDE) do
  local names = line:match("^local function ([%w_]+)") or line:match("^local ([%w_, ]+) =") or ""
  for name in names:gmatch("[%w_]+") do
    table.insert(read_globals, name)
    table.insert(unused_in_prelude, "211/" .. name)
  end
end
files = { [PRELUDE] = { ignore = unused_in_prelude } }
