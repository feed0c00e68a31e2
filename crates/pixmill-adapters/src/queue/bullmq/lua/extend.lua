--[[
  Extends the locks of jobs, where they are still held by who took them.

  KEYS: 1 stalled
  ARGV: 1 prefix of keys, 2 lock in ms, then ids, each with its token
]]
local rcall = redis.call
for at = 3, #ARGV, 2 do
  local lock = ARGV[1] .. ARGV[at] .. ":lock"
  if rcall("GET", lock) == ARGV[at + 1] then
    rcall("SET", lock, ARGV[at + 1], "PX", ARGV[2])
    rcall("SREM", KEYS[1], ARGV[at])
  end
end
return 0
